//! `limits:` as written -> as meant.

use super::Report;
use super::positive_at;
use super::rules::when::{asked_last, conditions};
use super::url;
use crate::config::file::limits::{Alert as WrittenAlert, Hits, Limit as Written, OnExhausted as WrittenEnd};
use crate::config::file::rules::When;
use crate::config::limit::{Alert, Limit, Measure, OnExhausted, Quota, Window};
use crate::config::problem::Path;
use crate::config::quota::{Amount, Dimension};
use crate::config::rule::Condition;

/// Every limit of the file.
pub(super) fn limits(written: &[Written], report: &mut Report) -> Vec<Limit> {
    let section = Path::from("limits");
    let mut limits: Vec<Limit> = Vec::new();
    for (index, written) in written.iter().enumerate() {
        let path = section.index(index);
        let limit = limit(written, &path, report);
        if limits.iter().any(|other| other.name == limit.name) && !report.doubts(&path) {
            report.wrong_key(
                &path,
                format!("is a second limit called `{}`; give each a name of its own: name: …", limit.name),
            );
        }
        limits.push(limit);
    }
    limits
}

fn limit(written: &Written, path: &Path, report: &mut Report) -> Limit {
    let quotas = quotas(written);
    if quotas.is_empty() && !report.doubts(path) {
        report.wrong_key(
            path,
            "limits nothing; write requests, tokens, input_tokens, output_tokens, usd or concurrent",
        );
    }
    if written.concurrent.is_some_and(|count| count.0 == 0) {
        report.wrong(&path.key("concurrent"), "is 0; write at least 1");
    }
    let per = &written.per.0;
    if let Some(twice) = (1..per.len()).find(|index| per[..*index].contains(&per[*index])) {
        report.wrong(&path.key("per").index(twice), "is already in the list; write it once");
    }
    let budget = quotas.iter().any(|quota| matches!(quota.window, Window::Calendar { .. }));
    for (setting, given) in
        [("on_exhausted", written.on_exhausted != WrittenEnd::Refuse), ("alert", written.alert.is_some())]
    {
        if given && !budget && !report.doubts(path) {
            report.wrong_key(
                &path.key(setting),
                "is for budgets, and there is none here; limit usd, or requests or tokens per day, week or month",
            );
        }
    }
    let weights = written.weights.0.iter().map(|(tenant, weight)| {
        (tenant.clone(), positive_at(*weight, &path.key("weights").key(tenant), report) as u32)
    });
    let weights = weights.collect();
    Limit {
        name: name(written, &quotas, path, report),
        per: per.clone(),
        when: when(&written.when, &path.key("when"), report),
        wait: written.wait.0,
        max_waiting: positive_at(written.max_waiting, &path.key("max_waiting"), report),
        weights,
        hits_count: written.hits == Hits::Count,
        max_output: written.max_output.map(|count| u64::from(count.0)),
        on_exhausted: match &written.on_exhausted {
            WrittenEnd::Refuse => OnExhausted::Refuse,
            WrittenEnd::CacheOnly => OnExhausted::CacheOnly,
            WrittenEnd::Model(model) => OnExhausted::Model(model.clone()),
        },
        alert: written.alert.as_ref().map(|written| alert(written, &path.key("alert"), report)),
        max_subjects: positive_at(written.max_subjects, &path.key("max_subjects"), report),
        quotas,
    }
}

/// Which requests a limit is for. What only a provider can tell is not asked for each of them.
fn when(written: &When, path: &Path, report: &mut Report) -> Vec<Condition> {
    for setting in asked_last(written) {
        report.wrong_key(
            &path.key(setting),
            "is asked of a provider, and a limit is decided by the request alone; leave it out, or deny by a rule",
        );
    }
    conditions(written, path, report)
}

/// The given name, or one made of what is counted: `tenant-requests-tokens`.
fn name(written: &Written, quotas: &[Quota], path: &Path, report: &mut Report) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    match &written.name {
        Some(name) if name.is_empty() || name.len() > 64 || !name.chars().all(plain) => {
            report.wrong(
                &path.key("name"),
                "is no name for a limit; write up to 64 letters, digits, - _ . or :",
            );
            String::new()
        }
        Some(name) => name.clone(),
        None => {
            let per = written.per.0.iter().map(Dimension::name);
            let measures = quotas.iter().map(|quota| quota.measure.name().to_owned());
            per.chain(measures).collect::<Vec<_>>().join("-")
        }
    }
}

fn quotas(written: &Written) -> Vec<Quota> {
    let counted = |measure, amount: Option<Amount>| {
        amount.map(|Amount { amount, unit, burst }| {
            let window = match unit.rate() {
                Some(period) => Window::Rate { period, burst: burst.unwrap_or(amount) },
                None => Window::Calendar { unit, zone: written.zone.0.clone() },
            };
            Quota { measure, amount, window }
        })
    };
    let usd = written.usd.map(|money| {
        let window = Window::Calendar { unit: money.unit, zone: written.zone.0.clone() };
        Quota { measure: Measure::Usd, amount: money.pico_usd, window }
    });
    let concurrent = written.concurrent.map(|count| Quota {
        measure: Measure::Concurrent,
        amount: u64::from(count.0),
        window: Window::Now,
    });
    let quotas = [
        counted(Measure::Requests, written.requests),
        counted(Measure::Tokens, written.tokens),
        counted(Measure::InputTokens, written.input_tokens),
        counted(Measure::OutputTokens, written.output_tokens),
        usd,
        concurrent,
    ];
    quotas.into_iter().flatten().collect()
}

fn alert(written: &WrittenAlert, path: &Path, report: &mut Report) -> Alert {
    let mut at: Vec<u8> = written.at.iter().map(|share| share.0).collect();
    at.sort_unstable();
    at.dedup();
    if written.secret.is_some() && written.webhook.is_none() && !report.doubts(path) {
        report.wrong_key(
            &path.key("secret"),
            "signs what is posted, and there is no webhook; write one, or leave it out",
        );
    }
    let webhook = written.webhook.as_ref().and_then(|text| url(text, &path.key("webhook"), report));
    Alert { at, forecast: written.forecast.0, webhook, secret: written.secret.clone() }
}
