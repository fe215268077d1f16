//! Who pays for a call that several share: its leader, or with `coalesce: {payer: shared}` all who took a
//! seat on it, in equal parts.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::Gateway;
use super::admission::{Turned, Who};
use super::decide::Decision;
use super::fare::Fare;
use super::metering::Used;
use crate::coalesce;
use crate::config::Payer;
use crate::exchange::Exchange;
use crate::limits::estimate::Estimate;
use crate::limits::fair::Urgency;
use crate::limits::{Ask, Attempt};
use crate::request::ApiRequest;
use crate::request::identity::Credential;
use crate::response::price::Cost;
use crate::telemetry::Telemetry;

/// Takes a flight off the list when dropped.
pub(super) type Landing = coalesce::Landing<Terms>;

/// What is told to whoever takes a seat on a flight.
#[derive(Clone)]
pub struct Terms {
    /// Whose credential the call uses: an answer that judges the credential is not for others.
    pub(super) credential: Credential,
    /// Those who pay for a part of it; `None` where the leader pays.
    pub(super) passengers: Option<Arc<Passengers>>,
}

/// Those who pay for a flight beside its leader.
#[derive(Default)]
pub(super) struct Passengers {
    aboard: Mutex<Aboard>,
    /// What a request like theirs may consume.
    estimate: OnceLock<Estimate>,
}

#[derive(Default)]
struct Aboard {
    all: Vec<Passenger>,
    /// It is paid for: who boards now pays nothing.
    closed: bool,
}

/// One of them: who hangs up stays aboard, for it was flown for them too.
pub(super) struct Passenger {
    tenant: Box<str>,
    /// What it holds of its limits. Dropped, that is given back.
    hold: Option<Attempt>,
}

/// What one attempt of a shared flight costs.
pub(super) struct Bill {
    pub(super) provider: Arc<str>,
    pub(super) model: Box<str>,
    pub(super) leader: Box<str>,
    pub(super) cost: Cost,
}

impl Passengers {
    /// One more pays for a part, up to what `fare` holds. Where all is paid for already it rides for
    /// nothing, and what it held goes back.
    pub(super) fn board(&self, tenant: &str, fare: Option<Fare>) {
        if let Some(estimate) = fare.as_ref().and_then(Fare::estimate) {
            let _ = self.estimate.set(estimate);
        }
        let passenger = Passenger { tenant: tenant.into(), hold: fare.and_then(Fare::into_hold) };
        let mut aboard = self.aboard.lock();
        if !aboard.closed {
            aboard.all.push(passenger);
        }
    }

    /// Everybody aboard; nobody pays from now on.
    pub(super) fn close(&self) -> Vec<Passenger> {
        let mut aboard = self.aboard.lock();
        aboard.closed = true;
        std::mem::take(&mut aboard.all)
    }

    pub(super) fn estimate(&self) -> Option<Estimate> {
        self.estimate.get().copied()
    }
}

/// Counts each passenger's equal part of what a flight consumed, in limits and in the books, and returns
/// the leader's: the same and what does not divide.
pub(super) fn divide(used: Used, bills: &[Bill], aboard: Vec<Passenger>, telemetry: &Telemetry) -> Used {
    let heads = aboard.len() as u64 + 1;
    if bills.is_empty() && heads == 1 {
        return used;
    }
    // What is no bill has no known price.
    let part_of = |bill: &Bill| bill.cost.pico_usd() / heads;
    let part = Used {
        input: used.input / heads,
        output: used.output / heads,
        cost: bills.iter().map(part_of).sum(),
    };
    let others = heads - 1;
    for bill in bills {
        let cost = Cost::from_pico_usd(part_of(bill));
        for passenger in &aboard {
            telemetry.paid(&bill.provider, &bill.model, &passenger.tenant, cost);
        }
        let own = Cost::from_pico_usd(bill.cost.pico_usd() - part_of(bill) * others);
        telemetry.paid(&bill.provider, &bill.model, &bill.leader, own);
    }
    for passenger in aboard {
        if let Some(hold) = passenger.hold {
            hold.settle(&part.amounts());
        }
    }
    Used {
        input: used.input - part.input * others,
        output: used.output - part.output * others,
        cost: used.cost - part.cost * others,
    }
}

impl Gateway {
    /// The terms of a flight that `request` may open.
    pub(super) fn terms(&self, request: &ApiRequest) -> Terms {
        let shared = self.config.coalesce.payer == Payer::Shared;
        Terms { credential: request.credential(), passengers: shared.then(Arc::default) }
    }

    /// The fare of a flight on these terms.
    pub(super) fn carrying(&self, fare: Option<Fare>, terms: Terms) -> Option<Fare> {
        let Some(passengers) = terms.passengers else { return fare };
        let nothing = Ask { claims: Vec::new(), tenant: "", urgency: Urgency::default() };
        let free = || Fare::new(self.kept.limits.nothing(), &nothing, None, None);
        let mut fare = fare.unwrap_or_else(free);
        fare.carry(passengers);
        Some(fare)
    }

    /// Lets `request` ride on another's flight, on its terms.
    ///
    /// # Errors
    /// Its own limits have no room for its part: what becomes of it instead.
    pub(super) async fn ride(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        terms: &Terms,
        exchange: &mut Exchange,
    ) -> Result<(), Turned> {
        if let Some(passengers) = &terms.passengers {
            let fare = self.admit(request, decision, Who::Passenger, exchange).await?;
            passengers.board(&request.identity.tenant, fare);
        }
        Ok(())
    }
}
