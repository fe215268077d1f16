//! Which limits a request would fall under, and what it would reserve of them. Nothing is counted.

use super::Admission;
use super::claims::subject;
use super::refusal::{nothing_of, shown, unit};
use crate::config::limit::{Limit, Quota, Window};
use crate::config::quota::Dimension;
use crate::gateway::Gateway;
use crate::gateway::decide::Decision;
use crate::limits::ledger::{Amounts, Standing, Subject};
use crate::request::ApiRequest;
use crate::request::explanation::Section;

impl Gateway {
    /// Says of every limit whether it is for `request`, and what would be reserved of it; `live`: also
    /// how it stands in this process, and whether the request would pass.
    pub(in crate::gateway) async fn explain_limits(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        live: bool,
        section: &mut Section,
    ) {
        let Some((admission, _)) = self.admission(request) else { return };
        self.explain_unmet(admission, request, section).await;
        let places = self.applying(admission, request, decision).await;
        let demand = self.demand(admission, places, request).await;
        if let Some(estimate) = &demand.estimate {
            let how = format!("counted by {}", estimate.tokenizer.name());
            section.because("input tokens", estimate.input, how);
        }
        let ask = match self.ask(admission, places, request, decision, &demand, |_| true) {
            Ok(ask) => ask,
            Err(error) => {
                section.because("passes", false, &*error.message);
                return;
            }
        };
        let held = nothing_of(&ask);
        let mut obstacle = None;
        for ((claim, held), (_, limit)) in ask.claims.iter().zip(held).zip(admission.at(places)) {
            let standings = if live { self.kept.limits.standings(&[held]) } else { Vec::new() };
            let who = subject(limit, request, decision, admission.seed);
            section.because(&*limit.name, true, of_whom(limit, &who));
            for quota in &limit.quotas {
                let standing = standings.iter().find(|standing| standing.measure == quota.measure);
                let found = reserved(section, limit, quota, &claim.amounts, standing);
                obstacle = obstacle.or(found);
            }
        }
        match obstacle {
            Some(obstacle) => section.because("passes", false, obstacle),
            None if live => section.fact("passes", true),
            None => section,
        };
    }

    /// The limits that are not for this request, and which of their conditions fails.
    async fn explain_unmet(&self, admission: &Admission, request: &ApiRequest<'_>, section: &mut Section) {
        let Some(conditional) = &admission.conditional else { return };
        for (rule, why) in self.case(&conditional.conditions, request).await.verdicts() {
            if let Some(why) = why {
                section.because(&*rule.name, false, why);
            }
        }
    }
}

/// Says what would be reserved of one quota; what keeps it from being, if anything does.
fn reserved(
    section: &mut Section,
    limit: &Limit,
    quota: &Quota,
    amounts: &Amounts,
    standing: Option<&Standing>,
) -> Option<String> {
    let (measure, asked) = (quota.measure, amounts[quota.measure]);
    let most = match quota.window {
        Window::Rate { burst, .. } => burst,
        Window::Calendar { .. } | Window::Now => quota.amount,
    };
    let left = standing.map_or(most, Standing::left);
    let stands = standing.map(|standing| {
        let (used, reserved) = (shown(measure, standing.used), shown(measure, standing.reserved));
        format!("; {used} used, {reserved} reserved, {} left", shown(measure, left))
    });
    let name = format!("{} {}", limit.name, measure.name());
    let why = format!("of {}{}", shown(measure, most), stands.unwrap_or_default());
    section.because(name, shown(measure, asked), why);
    let unit = unit(measure);
    let (asked_for, all) = (shown(measure, asked), shown(measure, most));
    if asked > most {
        return Some(format!("`{}` never has {asked_for} {unit} at once, but {all}", limit.name));
    }
    (asked > left).then(|| format!("`{}` has {} of {all} {unit} left", limit.name, shown(measure, left)))
}

/// Who a request is counted with: `for tenant acme, model gpt-4o`.
fn of_whom(limit: &Limit, subject: &Subject) -> String {
    if limit.per.is_empty() {
        return "for all requests together".to_owned();
    }
    let names = limit.per.iter().map(Dimension::name);
    let values = subject.name.split(Subject::BETWEEN);
    let pairs: Vec<String> = names.zip(values).map(|(name, value)| format!("{name} {value}")).collect();
    format!("for {}", pairs.join(", "))
}
