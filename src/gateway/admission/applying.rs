//! Which limits a request falls under: all of them, or those whose conditions it meets.

use std::collections::HashMap;
use std::sync::Arc;

use super::Admission;
use crate::config::limit::Limit;
use crate::config::rule::{Action, Rule};
use crate::gateway::Gateway;
use crate::gateway::decide::Decision;
use crate::request::ApiRequest;
use crate::rules::Rules;

/// Limits that are not for all requests. Their conditions are compiled as those of rules are, each set
/// under its limit's name.
pub(super) struct Conditional {
    pub(super) conditions: Arc<Rules>,
    places: HashMap<Arc<str>, u32>,
    /// The places of the others.
    always: Vec<u32>,
}

impl Conditional {
    /// `None` where every limit is for all requests.
    pub(super) fn new(limits: &[Limit]) -> Option<Self> {
        let placed = (0..).zip(limits);
        let (always, some): (Vec<_>, Vec<_>) = placed.partition(|(_, limit)| limit.when.is_empty());
        let rules: Vec<Rule> = some
            .iter()
            .map(|(_, limit)| Rule {
                name: limit.name.as_str().into(),
                when: limit.when.clone(),
                state: Vec::new(),
                then: Action::default(),
            })
            .collect();
        Some(Self {
            conditions: Arc::new(Rules::new(&rules)?),
            places: rules.iter().zip(&some).map(|(rule, (place, _))| (rule.name.clone(), *place)).collect(),
            always: always.into_iter().map(|(place, _)| place).collect(),
        })
    }
}

impl Gateway {
    /// The places of the limits that `request` falls under, in their order; found out once.
    pub(super) async fn applying<'a>(
        &self,
        admission: &'a Admission,
        request: &ApiRequest<'_>,
        decision: &'a Decision,
    ) -> &'a [u32] {
        let Some(conditional) = &admission.conditional else { return &admission.all };
        if let Some(known) = decision.applying.get() {
            return known;
        }
        let case = self.case(&conditional.conditions, request).await;
        let holding = case.holding().filter_map(|rule| conditional.places.get(&rule.name));
        let mut places: Vec<u32> = conditional.always.iter().chain(holding).copied().collect();
        places.sort_unstable();
        decision.applying.get_or_init(|| places.into())
    }
}
