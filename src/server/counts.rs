//! `/limits`: how every count stands, in the units of the configuration file.

use serde_json::{Value, json};

use crate::config::limit::Measure;
use crate::gateway::Gateway;
use crate::gateway::alerts::{subject_of, time};
use crate::limits::ledger::{Overview, Standing};
use crate::response::price::Cost;

/// Counts that are shown; those most used first.
const MOST: usize = 10_000;

/// Every count of the limit called `name`, or of all: its window, what is used and reserved of it, and
/// when it will be used up at the pace so far. Where several sidecars count together, whether their ledger is
/// away, and these are what this one knows.
pub(super) async fn shown(gateway: &Gateway, name: Option<&str>) -> Value {
    let limits = &gateway.kept().limits;
    let Overview { mut standings, away } = limits.all(name).await;
    standings.sort_by(|one, other| share(other).total_cmp(&share(one)));
    let left_out = standings.len().saturating_sub(MOST);
    standings.truncate(MOST);
    let counts: Vec<Value> = standings.iter().map(|standing| count(gateway, standing)).collect();
    let mut shown = json!({"counts": counts, "waiting": limits.waiting(), "left_out": left_out});
    if limits.sharing().is_some() {
        shown["ledger"] = if away { "away" } else { "shared" }.into();
    }
    shown
}

/// What is used or reserved, as a share of 1.
fn share(standing: &Standing) -> f64 {
    standing.used.saturating_add(standing.reserved) as f64 / standing.most.max(1) as f64
}

fn count(gateway: &Gateway, standing: &Standing) -> Value {
    let amount = |amount: u64| match standing.measure {
        Measure::Usd => Value::from(Cost::from_pico_usd(amount).to_string()),
        _ => amount.into(),
    };
    let limit = gateway.config.limits.iter().find(|limit| *limit.name == *standing.limit);
    let mut count = json!({
        "limit": &*standing.limit,
        "subject": limit.map(|limit| subject_of(limit, &standing.subject)),
        "measure": standing.measure.name(),
        "quota": amount(standing.quota),
        "used": amount(standing.used),
        "reserved": amount(standing.reserved),
        "left": amount(standing.left()),
        "window_seconds": standing.window.as_secs(),
        "reset_seconds": standing.reset.as_millis().div_ceil(1000) as u64,
    });
    if standing.most != standing.quota {
        count["burst"] = amount(standing.most);
    }
    if let Some(window) = standing.calendar {
        count["window"] = json!({"from": time(window.start), "until": time(window.end)});
        count["exhausted_at"] = standing.exhausted.map(time).into();
    }
    count
}
