//! What a request holds of its limits for the inputs it sends. Its inputs may go in several calls, and
//! beside others' in one, so it settles its own part once all of them have ended.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::gateway::fare::Fare;
use crate::response::price::Cost;
use crate::response::usage::Usage;
use crate::telemetry::Telemetry;

/// A fare and what has been used of it. Dropped, it is settled; without a call it goes back.
pub(super) struct Toll {
    state: Mutex<State>,
    telemetry: Arc<Telemetry>,
}

struct State {
    fare: Fare,
    departed: bool,
    used: Usage,
    cost: Cost,
}

impl Toll {
    /// For a request that was let through.
    pub(super) fn new(fare: Fare, telemetry: Arc<Telemetry>) -> Self {
        let state = State { fare, departed: false, used: Usage::default(), cost: Cost::ZERO };
        Self { state: Mutex::new(state), telemetry }
    }

    /// The first of its calls goes out: from now on it counts.
    pub(super) fn depart(&self) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.departed, true) {
            state.fare.depart(None);
        }
    }

    /// Its inputs of one call consumed this.
    pub(super) fn add(&self, used: Usage, cost: Option<Cost>) {
        let mut state = self.state.lock();
        state.used.input += used.input;
        state.used.estimated |= used.estimated;
        state.cost += cost.unwrap_or(Cost::ZERO);
    }
}

impl Drop for Toll {
    fn drop(&mut self) {
        let State { fare, used, cost, .. } = self.state.get_mut();
        if let Some(basis) = fare.settle_part(used, *cost) {
            self.telemetry.metrics.limit_settlements.with_label_values(&[basis]).inc();
        }
    }
}
