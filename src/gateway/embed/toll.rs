//! What requests hold of their limits for the inputs they send. The inputs of one request may go in several
//! calls, and beside others' in one: each attempt is held, and what it consumed counted, with every request
//! by the part that its inputs have in it.

use std::sync::Arc;

use crate::embedding::share::divide;
use crate::gateway::Gateway;
use crate::gateway::fare::{Denied, Fare};
use crate::gateway::metering::Used;
use crate::limits::estimate::Estimate;
use crate::telemetry::Telemetry;

/// What one request holds. Dropped, which is when all its calls have ended, it is settled.
pub(in crate::gateway) struct Toll {
    fare: Option<Fare>,
    /// The weight of all inputs that the request sends.
    weight: u64,
    telemetry: Arc<Telemetry>,
}

/// What the requests hold whose inputs go in one call.
pub(in crate::gateway) struct Tolls(Vec<Share>);

/// One request's part of a call.
pub(super) struct Share {
    /// `None` where the request falls under no limit.
    pub(super) toll: Option<Arc<Toll>>,
    /// The weight of each of its inputs.
    pub(super) weights: Vec<u64>,
}

impl Toll {
    /// For a request that was let through to send inputs of this weight.
    pub(super) fn new(fare: Fare, weight: u64, telemetry: Arc<Telemetry>) -> Self {
        Self { fare: Some(fare), weight, telemetry }
    }
}

impl Drop for Toll {
    fn drop(&mut self) {
        if let Some(fare) = self.fare.take() {
            fare.settle(&self.telemetry);
        }
    }
}

impl Share {
    fn weight(&self) -> u64 {
        self.weights.iter().sum()
    }

    fn fare(&self) -> Option<&Fare> {
        self.toll.as_ref()?.fare.as_ref()
    }

    /// The input tokens that it may consume. Rounded down, so that all parts of a request come to no more
    /// than it holds.
    fn input(&self) -> Option<u64> {
        let toll = self.toll.as_ref()?;
        let all = u128::from(toll.fare.as_ref()?.estimate()?.input);
        let part = all * u128::from(self.weight()) / u128::from(toll.weight.max(1));
        u64::try_from(part).ok()
    }
}

impl Tolls {
    /// Those of one call.
    pub(super) fn of(shares: Vec<Share>) -> Self {
        Self(shares)
    }

    fn fares(&self) -> impl Iterator<Item = (&Share, &Fare)> {
        self.0.iter().filter_map(|share| Some((share, share.fare()?)))
    }

    /// What the call may consume, where somebody's limits wanted to know.
    pub(in crate::gateway) fn estimate(&self) -> Option<Estimate> {
        let one = self.fares().find_map(|(_, fare)| fare.estimate())?;
        let input = self.0.iter().map(|share| share.input().unwrap_or_else(|| share.weight())).sum();
        Some(Estimate { input, ..one })
    }

    /// Whether their limits are not only observed.
    pub(in crate::gateway) fn acts(&self) -> bool {
        self.fares().any(|(_, fare)| fare.acts())
    }

    /// An attempt by `model` goes out.
    pub(in crate::gateway) fn depart(&self, model: Option<&str>) {
        for (share, fare) in self.fares() {
            fare.depart(model, share.input());
        }
    }

    /// Holds what is missing for one more attempt by `model`.
    ///
    /// # Errors
    /// Somebody's limit has no room.
    pub(in crate::gateway) async fn cover(
        &self,
        model: Option<&str>,
        gateway: &Gateway,
    ) -> Result<(), Denied> {
        for (share, fare) in self.fares() {
            fare.cover(model, share.input(), gateway).await?;
        }
        Ok(())
    }

    /// An attempt by `model` has ended and consumed this.
    pub(in crate::gateway) fn ended(&self, model: Option<&str>, used: &Used) {
        let weights: Vec<u64> = self.0.iter().flat_map(|share| &share.weights).copied().collect();
        let (inputs, costs) = (divide(used.input, &weights), divide(used.cost, &weights));
        let (mut inputs, mut costs) = (inputs.into_iter(), costs.into_iter());
        for share in &self.0 {
            let inputs = inputs.by_ref().take(share.weights.len()).sum();
            let cost = costs.by_ref().take(share.weights.len()).sum();
            if let Some(fare) = share.fare() {
                // Vectors are no output tokens.
                fare.ended(model, share.input(), Used { input: inputs, output: 0, cost });
            }
        }
    }
}
