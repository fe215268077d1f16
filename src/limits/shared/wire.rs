//! What is said to the scripts and what they answer: keys, gauges, counts.
//!
//! Lua counts in doubles, so amounts go as pairs of whole numbers that each fit (`counts.lua` has how).

use redis::Script;

use crate::config::limit::Measure;
use crate::limits::meter::{Gauge, Meter, Now};

/// The base of pairs that are no time: pico-USD of a USD.
const PICO: u64 = 1_000_000_000_000;
/// No time is farther away than this, in microseconds: 63 years.
const FARTHEST: u64 = 2_000_000_000_000_000;

/// The names of everything in Redis. All keys have one hash tag: a request's limits are one step only where
/// they lie in one slot, and any two limits may meet in a request.
pub struct Keys {
    tag: String,
    /// Where it is published of which counts something was given back.
    pub freed: String,
}

impl Keys {
    /// The names under a prefix.
    pub fn new(prefix: &str) -> Self {
        Self { tag: format!("{{{prefix}:limits}}"), freed: format!("{prefix}:limits:freed") }
    }

    /// A key that there is once.
    pub fn one(&self, name: &str) -> String {
        format!("{}:{name}", self.tag)
    }

    /// What belongs to one sidecar.
    pub fn of(&self, what: &str, sidecar: &str) -> String {
        format!("{}:{what}:{sidecar}", self.tag)
    }

    /// The count of a subject; `shelf` is that of its limit.
    pub fn count(&self, shelf: &str, subject: &str) -> String {
        format!("{}:count:{}", self.tag, digest(&[shelf, subject]))
    }

    /// The key of the count with this digest.
    pub fn count_of(&self, digest: &str) -> String {
        format!("{}:count:{digest}", self.tag)
    }

    /// Which counts a limit has, by when they end.
    pub fn index(&self, shelf: &str) -> String {
        format!("{}:index:{}", self.tag, digest(&[shelf]))
    }
}

/// 32 hex digits that no two different lists have in common.
fn digest(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The scripts, each with what they have in common before it.
pub struct Scripts {
    /// Reserves all or nothing.
    pub reserve: Script,
    /// Settles, each reservation once.
    pub settle: Script,
    /// Says that a sidecar is alive.
    pub attend: Script,
    /// Forgets what was used.
    pub reset: Script,
    /// Decides who tells an alarm.
    pub alarm: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        let script = |text: &str| Script::new(&[include_str!("counts.lua"), text].concat());
        Self {
            reserve: script(include_str!("reserve.lua")),
            settle: script(include_str!("settle.lua")),
            attend: script(include_str!("attend.lua")),
            reset: script(include_str!("reset.lua")),
            alarm: Script::new(include_str!("alarm.lua")),
        }
    }
}

/// Under which name a gauge's counts are kept. Those of a rate begin anew under another rate: what is left
/// of the old ones has drained within its period.
pub fn field(gauge: &Gauge) -> String {
    let name = gauge.signature().replace(' ', ":");
    gauge.rate().map_or_else(|| name.clone(), |(amount, period)| format!("{name}:{amount}/{period}"))
}

fn pair(gauge: &Gauge, amount: u64) -> (u64, u64) {
    let Some((in_period, period)) = gauge.rate() else { return (amount / PICO, amount % PICO) };
    let time = u128::from(amount) * u128::from(period / 1000);
    match u64::try_from(time / u128::from(in_period)) {
        Ok(whole) if whole <= FARTHEST => (whole, (time % u128::from(in_period)) as u64),
        _ => (FARTHEST, 0),
    }
}

/// A gauge and an amount in the words of `counts.lua`, in the window of `unix`.
pub fn line(gauge: &mut Gauge, amount: u64, unix: i64) -> String {
    let window = gauge.window_at(unix);
    let (kind, base) = match (gauge.rate(), window) {
        (Some((in_period, _)), _) => ("rate", in_period),
        (None, Some(_)) => ("budget", PICO),
        (None, None) => ("now", PICO),
    };
    let (most, asked) = (pair(gauge, gauge.most()), pair(gauge, amount));
    let (from, to) = window.map_or((0, 0), |window| (window.start.max(0), window.end.min(1 << 50)));
    // Until a full rate is empty.
    let keep = most.0 / 1000 + 1;
    let taken = if gauge.measure == Measure::Requests { 't' } else { 'h' };
    let field = field(gauge);
    format!("{field} {kind} {base} {} {} {} {} {from} {to} {keep} {taken}", most.0, most.1, asked.0, asked.1)
}

/// A count as a script tells it; `None` where it is not one.
pub fn meter(gauge: &Gauge, told: &str, before: &Meter) -> Option<Meter> {
    let mut numbers = told.split(' ').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok().map(u128::from);
    let (spent, spent_rest, held, held_rest, start) = (next()?, next()?, next()?, next()?, next()?);
    let (spent, held) = match gauge.rate() {
        Some((in_period, period)) => {
            let in_period = u128::from(in_period);
            let units = (held * in_period + held_rest) / u128::from(period / 1000).max(1);
            ((spent * in_period + spent_rest) * 1000, units)
        }
        None => (spent * u128::from(PICO) + spent_rest, held * u128::from(PICO) + held_rest),
    };
    let (start, held) = (i64::try_from(start).ok()?, u64::try_from(held).unwrap_or(u64::MAX));
    Some(Meter::kept(spent, start, held, before))
}

/// The server's time, as a script tells it in microseconds since 1970.
pub fn time(told: &str) -> Option<Now> {
    let microseconds: u64 = told.parse().ok()?;
    Some(Now {
        steady: microseconds.saturating_mul(1000),
        unix: i64::try_from(microseconds / 1_000_000).ok()?,
    })
}
