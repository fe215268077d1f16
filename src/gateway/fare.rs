//! What a flight holds of the limits that let it through, for every attempt it makes, settled once.
//!
//! The request's own reservation is for its first attempt. Before another one, or one by a dearer model,
//! what is missing beside it is reserved; so at every moment all that was used and all that may yet be
//! is held. Limits per provider are asked for each attempt, when it is known where that goes.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Gateway;
use super::admission::Tariff;
use super::admission::refusal::{nothing_of, refusal};
use super::allowance;
use super::embed::Tolls;
use super::fly::Flight;
use super::leg::{Asked, Leg};
use super::metering::Used;
use super::passengers::{Bill, Passengers, divide};
use super::travel::unsaid;
use crate::config::Mode;
use crate::error::ApiError;
use crate::exchange::{Flown, Told};
use crate::limits::estimate::Estimate;
use crate::limits::ledger::{Amounts, LimitId, Refused, Standing};
use crate::limits::{Ask, Attempt, Permit};
use crate::route::course::Course;
use crate::route::{Asking, Target};
use crate::telemetry::Telemetry;

/// What a flight holds of the limits that let it through.
pub(super) struct Fare {
    permit: Permit,
    /// Tokens and money; `None` once they are settled.
    hold: Option<Attempt>,
    estimate: Option<Estimate>,
    tariff: Option<Box<Tariff>>,
    /// Who pays for a part of it.
    passengers: Option<Arc<Passengers>>,
    /// Who sends parts of it, and holds what they need for them by fares of their own.
    tolls: Option<Tolls>,
    /// What whoever asked is told of limits per provider.
    told: Option<Told>,
    state: Mutex<State>,
}

struct State {
    /// What the attempts that have ended consumed.
    used: Used,
    under_way: Vec<UnderWay>,
    /// All that is held of each limit.
    held: Vec<(LimitId, Amounts)>,
    /// What is held beside the first hold.
    more: Vec<Permit>,
    /// What is to be divided among the passengers.
    bills: Vec<Bill>,
}

/// An attempt under way: by which model, and with how much of the input where not with all of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct UnderWay {
    pub(super) model: Option<Box<str>>,
    pub(super) input: Option<u64>,
}

impl UnderWay {
    fn new(model: Option<&str>, input: Option<u64>) -> Self {
        Self { model: model.map(Box::from), input }
    }
}

/// What an attempt holds of the limits of its provider. Dropped before its call is made, it has cost
/// nothing.
pub(super) struct Seat {
    permit: Permit,
    hold: Attempt,
}

/// Why an attempt may not be made.
pub(super) struct Denied {
    /// The limit without room, where it is one.
    limit: Option<Arc<str>>,
    error: ApiError,
}

impl Seat {
    fn new(mut permit: Permit) -> Self {
        let hold = permit.attempt();
        Self { permit, hold }
    }

    /// The call is being made.
    pub(super) fn depart(&self) {
        self.permit.depart();
        self.hold.sent();
    }

    /// How the limits of its provider stand.
    pub(super) fn standings(&self) -> Vec<Standing> {
        self.permit.standings()
    }

    /// Counts what the attempt consumed.
    pub(super) fn settle(self, used: Used) {
        self.hold.settle(&used.amounts());
    }
}

impl From<ApiError> for Denied {
    fn from(error: ApiError) -> Self {
        Self { limit: None, error }
    }
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        let error = refusal(&refused);
        match refused {
            Refused::Short(short) => Self { limit: Some(short.name), error },
            Refused::Lost => Self { limit: None, error },
        }
    }
}

impl Fare {
    /// The fare of a request that was let through with what it asked.
    pub(super) fn new(
        mut permit: Permit,
        ask: &Ask,
        estimate: Option<Estimate>,
        tariff: Option<Box<Tariff>>,
    ) -> Self {
        let hold = Some(permit.attempt());
        let held = match &tariff {
            Some(_) => ask.claims.iter().map(|claim| (claim.limit, claim.amounts)).collect(),
            None => Vec::new(),
        };
        let state =
            State { used: Used::default(), under_way: Vec::new(), held, more: Vec::new(), bills: Vec::new() };
        let told = tariff.as_ref().filter(|tariff| tariff.is_per_provider()).map(|_| Told::default());
        let state = Mutex::new(state);
        Self { permit, hold, estimate, tariff, passengers: None, tolls: None, told, state }
    }

    /// The same for a call that carries parts of several requests.
    pub(super) fn with(self, tolls: Option<Tolls>) -> Self {
        Self { tolls, ..self }
    }

    /// What whoever asked is told of limits per provider, once that is known.
    pub(super) fn told(&self) -> Option<Told> {
        self.told.clone()
    }

    /// Tells how limits per provider stand; once, for there is one head.
    pub(super) fn tell(&self, standings: impl FnOnce() -> Vec<Standing>) {
        if let Some(told) = &self.told
            && let Some(fields) = allowance::fields(&standings())
        {
            let _ = told.set(*fields);
        }
    }

    /// Whether limits are not only observed.
    pub(super) fn acts(&self) -> bool {
        self.tariff.as_ref().is_some_and(|tariff| tariff.acts) || self.tolls.as_ref().is_some_and(Tolls::acts)
    }

    /// A call by `model` goes out with `input` tokens, or with all: from now on it counts.
    pub(super) fn depart(&self, model: Option<&str>, input: Option<u64>) {
        self.permit.depart();
        if let Some(hold) = &self.hold {
            hold.sent();
        }
        if let Some(tolls) = &self.tolls {
            tolls.depart(model);
        }
        if self.tariff.is_some() {
            self.state.lock().under_way.push(UnderWay::new(model, input));
        }
    }

    /// Divides what it will cost among the leader and these.
    pub(super) fn carry(&mut self, passengers: Arc<Passengers>) {
        self.passengers = Some(passengers);
    }

    /// What it holds of tokens and money, for who only rides.
    pub(super) fn into_hold(mut self) -> Option<Attempt> {
        self.hold.take()
    }

    /// What its request may consume, where somebody's limits wanted to know.
    pub(super) fn estimate(&self) -> Option<Estimate> {
        let of_others = || self.passengers.as_ref()?.estimate();
        self.estimate.or_else(of_others).or_else(|| self.tolls.as_ref()?.estimate())
    }

    /// Whether others pay for a part of it.
    pub(super) fn is_shared(&self) -> bool {
        self.passengers.is_some()
    }

    /// A call has ended whose cost is to be divided.
    pub(super) fn bill(&self, flown: &Flown) {
        let Some(cost) = flown.cost.filter(|_| flown.shared) else { return };
        let model = flown.answered.as_deref().or(flown.model.as_deref()).unwrap_or("unknown");
        let (provider, leader) = (flown.provider.clone(), flown.tenant.clone());
        self.state.lock().bills.push(Bill { provider, model: model.into(), leader, cost });
    }

    /// A call by `model` with `input` tokens, or with all, has ended and consumed this.
    pub(super) fn ended(&self, model: Option<&str>, input: Option<u64>, used: Used) {
        if let Some(tolls) = &self.tolls {
            tolls.ended(model, &used);
        }
        let mut state = self.state.lock();
        let call = UnderWay::new(model, input);
        if let Some(at) = state.under_way.iter().position(|one| *one == call) {
            state.under_way.swap_remove(at);
        }
        state.used.add(&used);
    }

    /// Counts what all attempts consumed, with who pays for it, and gives the rest back.
    pub(super) fn settle(mut self, telemetry: &Telemetry) {
        let State { used, bills, .. } = self.state.get_mut();
        let aboard = self.passengers.take().map(|passengers| passengers.close()).unwrap_or_default();
        let own = divide(*used, bills, aboard, telemetry);
        if let Some(hold) = self.hold.take() {
            hold.settle(&own.amounts());
        }
    }

    /// Holds what is missing for one more call by `model` with `input` tokens, or with all.
    ///
    /// # Errors
    /// A limit has no room.
    pub(super) async fn cover(
        &self,
        model: Option<&str>,
        input: Option<u64>,
        gateway: &Gateway,
    ) -> Result<(), Denied> {
        let Some(tariff) = &self.tariff else { return Ok(()) };
        let ask = {
            let state = self.state.lock();
            let mut calls = state.under_way.clone();
            calls.push(UnderWay::new(model, input));
            let held = |limit| {
                let held = state.held.iter().filter(|(id, _)| *id == limit);
                held.fold(Amounts::NONE, |sum, (_, amounts)| sum.plus(amounts))
            };
            tariff.beyond(held, &calls, &state.used.amounts(), &gateway.prices)?
        };
        if ask.claims.is_empty() {
            return Ok(());
        }
        let permit = gateway.kept.limits.admit_now(&ask).await?;
        let mut state = self.state.lock();
        state.held.extend(ask.claims.iter().map(|claim| (claim.limit, claim.amounts)));
        state.more.push(permit);
        Ok(())
    }
}

impl Gateway {
    /// Lets an attempt at `target` through the limits that it needs more of: at once, or where it
    /// `waits`, as their `wait` says. `None` where it needs nothing.
    ///
    /// # Errors
    /// A limit has no room.
    pub(super) async fn seat(
        &self,
        flight: &Flight,
        target: &Target,
        waits: bool,
    ) -> Result<Option<Seat>, Denied> {
        let Some(fare) = &flight.fare else { return Ok(None) };
        if fare.tariff.is_none() && fare.tolls.is_none() {
            return Ok(None);
        }
        let model = target.asked(flight.model.as_deref());
        match self.ask_seat(fare, model, target, waits && fare.acts()).await {
            Err(denied) if !fare.acts() => {
                if let Some(limit) = denied.limit {
                    self.kept.telemetry.metrics.limit_observed.with_label_values(&[&*limit]).inc();
                }
                Ok(None)
            }
            asked => asked,
        }
    }

    async fn ask_seat(
        &self,
        fare: &Fare,
        model: Option<&str>,
        target: &Target,
        waits: bool,
    ) -> Result<Option<Seat>, Denied> {
        let limits = &self.kept.limits;
        let seat = match fare.tariff.as_ref().filter(|tariff| tariff.is_per_provider()) {
            Some(tariff) => {
                let ask = tariff.each(&target.account.name, model, &self.prices)?;
                let permit = match waits {
                    true => limits
                        .admit(&ask)
                        .await
                        .inspect_err(|_| fare.tell(|| limits.standings(&nothing_of(&ask))))?,
                    false if limits.is_waited_for(&ask) => {
                        return Err(ApiError::unavailable("Others wait for the same provider.").into());
                    }
                    false => limits.admit_now(&ask).await?,
                };
                Some(Seat::new(permit))
            }
            None => None,
        };
        fare.cover(model, None, self).await?;
        if let Some(tolls) = &fare.tolls {
            tolls.cover(model, self).await?;
        }
        Ok(seat)
    }

    /// The first leg and its seat: of the target that was chosen, or where a limit has no room there or
    /// another sidecar finds out whether it works again, of another one. Where none has, the first is
    /// waited for.
    ///
    /// # Errors
    /// Why no call is made.
    pub(super) async fn first_seat(
        &self,
        flight: &Flight,
        mut leg: Leg,
        course: &mut Course,
        asked: Option<&Asked>,
    ) -> Result<(Leg, Option<Seat>), ApiError> {
        if let Some(asked) = asked.filter(|_| flight.failover == Mode::Act) {
            if let Some(seat) = self.free_seat(flight, &mut leg.asking).await {
                return Ok((leg, seat));
            }
            if let Some(asking) = course.instead(self.io.clock.now())
                && let Some((asking, seat)) = self.seated(flight, course, asking).await
            {
                let target = asking.target.name.clone();
                let leg = asked.leg(asking).map_err(|error| unsaid(target, &error))?;
                return Ok((leg, seat));
            }
        }
        match self.seat(flight, leg.target(), true).await {
            Ok(seat) => Ok((leg, seat)),
            Err(Denied { limit, error }) => {
                if let Some(limit) = limit {
                    self.kept.telemetry.metrics.limit_rejections.with_label_values(&[&*limit]).inc();
                }
                Err(error)
            }
        }
    }

    /// A seat where one is free now, and nobody else finds out whether the target works again.
    async fn free_seat(&self, flight: &Flight, asking: &mut Asking) -> Option<Option<Seat>> {
        if asking.stands().await { self.seat(flight, &asking.target, false).await.ok() } else { None }
    }

    /// Who is asked next, with a seat: the one that was chosen, or where a limit has no room there or
    /// another sidecar finds out whether it works again, another one; `None` where none has.
    pub(super) async fn seated(
        &self,
        flight: &Flight,
        course: &mut Course,
        asking: Asking,
    ) -> Option<(Asking, Option<Seat>)> {
        let mut next = Some(asking);
        while let Some(mut asking) = next {
            if let Some(seat) = self.free_seat(flight, &mut asking).await {
                return Some((asking, seat));
            }
            next = course.instead(self.io.clock.now());
        }
        None
    }
}
