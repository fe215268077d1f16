//! What is claimed of limits for one attempt: kept with a flight, which outlives who asked.

use std::sync::Arc;

use super::claims::{Demand, joined, subject, value};
use super::{Admission, is_per_provider, urgency};
use crate::config::Mode;
use crate::config::limit::Limit;
use crate::config::quota::Dimension;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::gateway::decide::Decision;
use crate::gateway::embed::Tolls;
use crate::gateway::fare::{Fare, UnderWay};
use crate::limits::Ask;
use crate::limits::fair::Urgency;
use crate::limits::ledger::{Amounts, Claim, LimitId, Part, Subject};
use crate::request::ApiRequest;
use crate::response::price::PriceTable;

/// What is claimed of limits for each attempt of a flight.
pub(in crate::gateway) struct Tariff {
    demand: Demand,
    /// The model that the client asked for.
    asked: Option<Box<str>>,
    tenant: Box<str>,
    urgency: Urgency,
    /// Limits are not only observed.
    pub(in crate::gateway) acts: bool,
    seed: u64,
    /// Limits that count the flight as a whole.
    whole: Vec<(LimitId, Arc<Limit>, Subject<'static>)>,
    /// Limits that count each attempt, with the provider it is made at.
    each: Vec<(LimitId, Arc<Limit>, Box<[String]>)>,
}

impl Gateway {
    /// The tariff of a request; `None` where the first attempt is the only one, by the model asked for,
    /// and no limit looks at who is asked.
    pub(super) fn tariff(
        &self,
        admission: &Admission,
        places: &[u32],
        request: &ApiRequest,
        decision: &Decision,
        demand: Demand,
        mode: Mode,
    ) -> Option<Box<Tariff>> {
        let route = &decision.route;
        let differs = route.has_choice() || route.targets.iter().any(|target| target.model.is_some());
        let priced = differs && demand.estimate.is_some();
        if !priced && !admission.each {
            return None;
        }
        let mut tariff = Tariff {
            demand,
            asked: request.model().map(Box::from),
            tenant: request.identity.tenant.clone(),
            urgency: urgency(request),
            acts: mode == Mode::Act,
            seed: admission.seed,
            whole: Vec::new(),
            each: Vec::new(),
        };
        for (id, limit) in admission.at(places) {
            if is_per_provider(limit) {
                let values = limit.per.iter().map(|one| value(one, request, decision).into_owned());
                tariff.each.push((*id, limit.clone(), values.collect()));
            } else {
                let Subject { key, name } = subject(limit, request, decision, admission.seed);
                let subject = Subject { key, name: name.into_owned().into() };
                tariff.whole.push((*id, limit.clone(), subject));
            }
        }
        Some(Box::new(tariff))
    }

    /// The fare of a call that carries inputs of several requests: what limits per provider ask of it. For
    /// all other limits each request holds its part by `tolls`.
    pub(in crate::gateway) async fn fare_of_call(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        tolls: Option<Tolls>,
    ) -> Option<Fare> {
        let tariff = self.tariff_of_call(request, decision).await;
        if tariff.is_none() && tolls.is_none() {
            return None;
        }
        let estimate = tariff.as_ref().and_then(|tariff| tariff.demand.estimate);
        let nothing = Ask { claims: Vec::new(), tenant: "", urgency: Urgency::default() };
        Some(Fare::new(self.kept.limits.nothing(), &nothing, estimate, tariff).with(tolls))
    }

    async fn tariff_of_call(&self, request: &ApiRequest<'_>, decision: &Decision) -> Option<Box<Tariff>> {
        let (admission, mode) = self.admission(request).filter(|(admission, _)| admission.each)?;
        let places = self.applying(admission, request, decision).await;
        let demand = self.demand(admission, places, request).await;
        let mut tariff = self.tariff(admission, places, request, decision, demand, mode)?;
        tariff.whole.clear();
        Some(tariff)
    }
}

impl Tariff {
    /// The most that a call to `model` may take of a limit; by the price of the model asked for, where
    /// nobody knows that of the other one.
    fn worst_case(
        &self,
        limit: &Limit,
        model: Option<&str>,
        input: Option<u64>,
        prices: &PriceTable,
    ) -> Result<Amounts, ApiError> {
        let demand = input.map_or(self.demand, |input| self.demand.part(input));
        demand
            .worst_case(limit, model, prices)
            .or_else(|_| demand.worst_case(limit, self.asked.as_deref(), prices))
    }

    fn asks<'a>(&'a self, claims: Vec<Claim<'a>>) -> Ask<'a> {
        Ask { claims, tenant: &self.tenant, urgency: self.urgency }
    }

    /// Whether who is asked matters to some limit.
    pub(in crate::gateway) fn is_per_provider(&self) -> bool {
        !self.each.is_empty()
    }

    /// What an attempt at `provider` by `model` asks of the limits that count each.
    ///
    /// # Errors
    /// One counts money, and nobody knows the price.
    pub(in crate::gateway) fn each(
        &self,
        provider: &str,
        model: Option<&str>,
        prices: &PriceTable,
    ) -> Result<Ask<'_>, ApiError> {
        let mut claims = Vec::with_capacity(self.each.len());
        for (id, limit, values) in &self.each {
            let mut values = values.to_vec();
            for (dimension, value) in limit.per.iter().zip(&mut values) {
                if *dimension == Dimension::Provider {
                    provider.clone_into(value);
                }
            }
            let amounts = self.worst_case(limit, model, None, prices)?;
            claims.push(Claim {
                limit: *id,
                subject: Subject::of(joined(&values).into(), self.seed),
                amounts,
            });
        }
        Ok(self.asks(claims))
    }

    /// What is to be held beyond `held` of the limits that count the flight as a whole, while these
    /// calls are under way and others have used `used`.
    ///
    /// # Errors
    /// One counts money, and nobody knows the price.
    pub(in crate::gateway) fn beyond(
        &self,
        held: impl Fn(LimitId) -> Amounts,
        calls: &[UnderWay],
        used: &Amounts,
        prices: &PriceTable,
    ) -> Result<Ask<'_>, ApiError> {
        let mut claims = Vec::new();
        for (id, limit, subject) in &self.whole {
            let mut most = *used;
            for call in calls {
                let one = self.worst_case(limit, call.model.as_deref(), call.input, prices)?;
                most = most.plus(&one.only(Part::Consumption));
            }
            let amounts = most.beyond(&held(*id));
            if limit.quotas.iter().any(|quota| amounts[quota.measure] > 0) {
                claims.push(Claim { limit: *id, subject: subject.clone(), amounts });
            }
        }
        Ok(self.asks(claims))
    }
}
