//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): what a client may
//! still use of the limits it falls under.

use std::fmt::Write;

use http::HeaderValue;

use crate::config::limit::Measure;
use crate::exchange::LimitFields;
use crate::limits::ledger::Standing;
use crate::response::headers;

/// Counts beyond this many are left out: headers have a size.
const MOST: usize = 16;
/// Pico-USD in the unit that money is told in: a whole number of 15 digits is the most there may be.
const MICRO_USD: u64 = 1_000_000;

/// The two fields; `None` where no limit applies.
pub(super) fn fields(standings: &[Standing]) -> Option<Box<LimitFields>> {
    if standings.is_empty() {
        return None;
    }
    let (mut policy, mut limit) = (String::new(), String::new());
    for (at, standing) in standings.iter().take(MOST).enumerate() {
        let between = if at == 0 { "" } else { ", " };
        let alone = standings.iter().filter(|other| other.limit == standing.limit).count() == 1;
        let measure = if alone { String::new() } else { format!(":{}", standing.measure.name()) };
        let (unit, divisor) = match standing.measure {
            Measure::Requests => ("", 1),
            Measure::Concurrent => (";qu=\"concurrent-requests\"", 1),
            Measure::Tokens | Measure::InputTokens | Measure::OutputTokens => (";qu=\"tokens\"", 1),
            Measure::Usd => (";qu=\"micro-usd\"", MICRO_USD),
        };
        let name = &standing.limit;
        let _ = write!(policy, "{between}\"{name}{measure}\";q={}{unit}", standing.quota / divisor);
        let _ = write!(limit, "{between}\"{name}{measure}\";r={}", standing.left() / divisor);
        if !standing.window.is_zero() {
            let _ = write!(policy, ";w={}", standing.window.as_secs().max(1));
            let _ = write!(limit, ";t={}", standing.reset.as_millis().div_ceil(1000));
        }
    }
    let value = |text: String| headers::text(text).unwrap_or(HeaderValue::from_static(""));
    Some(Box::new(LimitFields { policy: value(policy), limit: value(limit) }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn standing(limit: &str, measure: Measure, quota: u64, used: u64, window: u64) -> Standing {
        Standing {
            limit: limit.into(),
            subject: String::new(),
            measure,
            quota,
            most: quota,
            window: Duration::from_secs(window),
            used,
            reserved: 0,
            reset: Duration::from_millis(window * 100),
            calendar: None,
            exhausted: None,
        }
    }

    #[test]
    fn each_count_has_its_policy_and_what_is_left() {
        let shown = fields(&[
            standing("tenant", Measure::Requests, 60, 1, 60),
            standing("tenant", Measure::Tokens, 200_000, 1000, 60),
            standing("day", Measure::Usd, 5_000_000_000_000, 1_000_000_000, 86_400),
            standing("same", Measure::Concurrent, 10, 0, 0),
        ])
        .unwrap();
        assert_eq!(
            shown.policy,
            "\"tenant:requests\";q=60;w=60, \"tenant:tokens\";q=200000;qu=\"tokens\";w=60, \"day\";q=5000000;qu=\"micro-usd\";w=86400, \"same\";q=10;qu=\"concurrent-requests\""
        );
        assert_eq!(
            shown.limit,
            "\"tenant:requests\";r=59;t=6, \"tenant:tokens\";r=199000;t=6, \"day\";r=4999000;t=8640, \"same\";r=10"
        );
        assert!(fields(&[]).is_none());
    }
}
