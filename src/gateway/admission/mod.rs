//! Admission: which limits a request falls under, whether they have room for it, and what becomes of
//! it where one has not.

mod applying;
mod claims;
mod explain;
pub(super) mod refusal;
mod tariff;

use std::sync::Arc;

use super::Gateway;
use super::decide::Decision;
use super::fare::Fare;
use crate::config::Mode;
use crate::config::limit::{Limit, Measure};
use crate::config::quota::Dimension;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::limits::fair::Urgency;
use crate::limits::ledger::{Amounts, Claim, LimitId, Part, Refused};
use crate::limits::{Ask, Limits, Permit};
use crate::request::ApiRequest;
use crate::response::usage::Usage;
use applying::Conditional;
use claims::{Demand, subject};
pub(super) use tariff::Tariff;

/// The limits of one generation.
pub(super) struct Admission {
    rules: Vec<(LimitId, Arc<Limit>)>,
    /// The places of all of them.
    all: Box<[u32]>,
    /// Where some are not for all requests: which are for which.
    conditional: Option<Conditional>,
    /// Some limit counts answers that cost nothing.
    hits: bool,
    /// Some limit counts each attempt, with the provider it is made at.
    each: bool,
    /// Seeds the digests by which counts are found.
    seed: u64,
}

/// A request that a limit has no room for.
pub(super) enum Turned {
    /// It is refused.
    Away(ApiError),
    /// It may still be answered by what is stored; else it is refused so.
    ToCache(ApiError),
    /// It is sent to this model instead, if that is another.
    ToModel(Box<str>, ApiError),
}

/// Who asks to be let through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Who makes a call.
    Caller,
    /// Who rides on another's call and pays a part of it: that is no call of its own, but tokens and
    /// money.
    Passenger,
}

/// What a call asks of the limits that it falls under.
struct Asked<'r> {
    admission: &'r Admission,
    mode: Mode,
    places: &'r [u32],
    demand: Demand,
    ask: Ask<'r>,
}

impl Admission {
    /// Puts the limits of a configuration in force; `None` where there are none.
    pub(super) fn new(limits: &[Limit], kept: &Limits, seed: u64) -> Option<Self> {
        let rules = kept.adopt(limits);
        let hits = limits.iter().any(|limit| limit.hits_count);
        let all = (0..).zip(&rules).map(|(place, _)| place).collect();
        let (conditional, each) = (Conditional::new(limits), limits.iter().any(is_per_provider));
        (!rules.is_empty()).then_some(Self { rules, all, conditional, hits, each, seed })
    }

    /// The limits at these places.
    fn at<'a>(&'a self, places: &'a [u32]) -> impl Iterator<Item = &'a (LimitId, Arc<Limit>)> {
        places.iter().filter_map(|place| self.rules.get(*place as usize))
    }
}

/// Whether a limit counts each attempt, with the provider it is made at, rather than the request.
fn is_per_provider(limit: &Limit) -> bool {
    limit.per.contains(&Dimension::Provider)
}

/// `u` of RFC 9218's `Priority`.
fn urgency(request: &ApiRequest) -> Urgency {
    let header = request.head.headers.get("priority").and_then(|value| value.to_str().ok());
    let members = header.into_iter().flat_map(|value| value.split(','));
    let u = members.filter_map(|member| member.trim().strip_prefix("u=")?.trim().parse().ok()).next_back();
    u.filter(|u| *u <= 7).map_or_else(Urgency::default, Urgency)
}

impl Gateway {
    /// Lets `request` through its limits, after waiting where they say so. `None` where none applies,
    /// or limits are only observed.
    ///
    /// # Errors
    /// What becomes of it instead.
    pub(super) async fn admit(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        who: Who,
        exchange: &mut Exchange,
    ) -> Result<Option<Fare>, Turned> {
        let asked = self.asked(request, decision).await.map_err(Turned::Away)?;
        let Some(mut asked) = asked else { return Ok(None) };
        if who == Who::Passenger {
            let claims = &mut asked.ask.claims;
            claims.retain(|claim| claim.amounts.only(Part::Consumption) != Amounts::NONE);
            claims.iter_mut().for_each(|claim| claim.amounts = claim.amounts.only(Part::Consumption));
        }
        let admitted = match asked.mode {
            Mode::Act => self.kept.limits.admit(&asked.ask).await,
            _ => self.kept.limits.admit_now(&asked.ask).await,
        };
        match admitted {
            Ok(permit) => {
                exchange.limits = super::allowance::fields(&permit.standings());
                let fare = self.fare(asked, permit, request, decision);
                exchange.told = fare.told();
                Ok(Some(fare))
            }
            Err(refused) if asked.mode == Mode::Act => {
                Err(self.turned(asked.admission, &asked.ask, &refused, exchange))
            }
            Err(Refused::Short(short)) => {
                self.kept.telemetry.metrics.limit_observed.with_label_values(&[&*short.name]).inc();
                Ok(None)
            }
            Err(Refused::Lost) => Ok(None),
        }
    }

    /// As [`Gateway::admit`] for a call that nobody waits for: now or not at all.
    pub(super) async fn admit_unasked(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
    ) -> Result<Option<Fare>, ()> {
        let Some(asked) = self.asked(request, decision).await.map_err(drop)? else { return Ok(None) };
        match self.kept.limits.admit_now(&asked.ask).await {
            Ok(permit) => Ok(Some(self.fare(asked, permit, request, decision))),
            Err(_) if asked.mode == Mode::Act => Err(()),
            Err(_) => Ok(None),
        }
    }

    /// What a call for `request` asks of the limits that count it as a whole; `None` where it falls under
    /// no limit.
    ///
    /// # Errors
    /// A limit counts money, and nobody knows the model's price.
    async fn asked<'r>(
        &'r self,
        request: &'r ApiRequest<'_>,
        decision: &'r Decision,
    ) -> Result<Option<Asked<'r>>, ApiError> {
        let Some((admission, mode)) = self.admission(request) else { return Ok(None) };
        let places = self.applying(admission, request, decision).await;
        if places.is_empty() {
            return Ok(None);
        }
        let demand = self.demand(admission, places, request).await;
        let whole = |limit: &Limit| !is_per_provider(limit);
        let ask = self.ask(admission, places, request, decision, &demand, whole)?;
        Ok(Some(Asked { admission, mode, places, demand, ask }))
    }

    /// What a call was let through with.
    fn fare(&self, asked: Asked, permit: Permit, request: &ApiRequest, decision: &Decision) -> Fare {
        let Asked { admission, mode, places, demand, ask } = asked;
        let tariff = self.tariff(admission, places, request, decision, demand, mode);
        Fare::new(permit, &ask, demand.estimate, tariff)
    }

    /// Counts an answer that causes no call with the limits that count those.
    ///
    /// # Errors
    /// One of them has no room for another request.
    pub(super) async fn admit_hit(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        usage: Option<Usage>,
        exchange: &mut Exchange,
    ) -> Result<(), ApiError> {
        let Some((admission, mode)) = self.admission(request).filter(|(admission, _)| admission.hits) else {
            return Ok(());
        };
        let one = Amounts::NONE.with(Measure::Requests, 1);
        let places = self.applying(admission, request, decision).await;
        let counting = admission.at(places).filter(|(_, limit)| limit.hits_count);
        let claims: Vec<_> = counting
            .map(|(id, limit)| {
                let subject = subject(limit, request, decision, admission.seed);
                Claim { limit: *id, subject, amounts: one }
            })
            .collect();
        if claims.is_empty() {
            return Ok(());
        }
        let ask = Ask { claims, tenant: &request.identity.tenant, urgency: urgency(request) };
        match self.kept.limits.admit_now(&ask).await {
            Ok(permit) => {
                exchange.limits = super::allowance::fields(&permit.standings());
                let usage = usage.unwrap_or_default();
                permit.count_hit(usage.input, usage.output);
                Ok(())
            }
            Err(refused) if mode == Mode::Act => match self.turned(admission, &ask, &refused, exchange) {
                Turned::Away(error) | Turned::ToCache(error) | Turned::ToModel(_, error) => Err(error),
            },
            Err(_) => Ok(()),
        }
    }

    /// Whether calls need admission.
    pub(super) fn is_limited(&self) -> bool {
        self.admission.is_some()
    }

    fn admission(&self, request: &ApiRequest) -> Option<(&Admission, Mode)> {
        let admission = self.admission.as_ref()?;
        let mode = self.config.features.limits.mode(request.identity.hash());
        (mode != Mode::Skip).then_some((admission, mode))
    }

    /// What a request asks of every limit it falls under that is one of `these`.
    ///
    /// # Errors
    /// A limit counts money, and nobody knows the model's price.
    fn ask<'r>(
        &self,
        admission: &Admission,
        places: &[u32],
        request: &'r ApiRequest,
        decision: &'r Decision,
        demand: &Demand,
        these: impl Fn(&Limit) -> bool,
    ) -> Result<Ask<'r>, ApiError> {
        let mut claims = Vec::with_capacity(places.len());
        for (id, limit) in admission.at(places).filter(|(_, limit)| these(limit)) {
            let amounts = demand.worst_case(limit, request.model(), &self.prices)?;
            let subject = subject(limit, request, decision, admission.seed);
            claims.push(Claim { limit: *id, subject, amounts });
        }
        Ok(Ask { claims, tenant: &request.identity.tenant, urgency: urgency(request) })
    }
}
