//! The single values of a limit: `60/min burst 10`, `5/day`, `header:x-team`, `80%`, `Europe/Berlin`.

use std::time::Duration;

use http::HeaderName;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::scalar::{Scalar, scalars};
use super::tenant::TenantSource;

scalars!(Amount, Money, Dimension, Percentage, Zone);

/// A part of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day, from midnight.
    Day,
    /// A week, from Monday (ISO 8601).
    Week,
    /// A month.
    Month,
}

impl Unit {
    /// The names it is written by; the first is shown.
    const NAMES: [(Self, &'static [&'static str]); 6] = [
        (Self::Second, &["s", "sec", "second"]),
        (Self::Minute, &["min", "minute"]),
        (Self::Hour, &["hour", "h"]),
        (Self::Day, &["day", "d"]),
        (Self::Week, &["week"]),
        (Self::Month, &["month"]),
    ];

    fn read(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, names)| names.contains(&text)).map(|(unit, _)| *unit)
    }

    /// Its shortest name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(unit, _)| *unit == self).map_or("", |(_, names)| names[0])
    }

    /// Its length, where it always has the same and a rate is meant by it.
    pub const fn rate(self) -> Option<Duration> {
        match self {
            Self::Second => Some(Duration::from_secs(1)),
            Self::Minute => Some(Duration::from_secs(60)),
            Self::Hour => Some(Duration::from_secs(3600)),
            Self::Day | Self::Week | Self::Month => None,
        }
    }
}

const WRONG_UNIT: &str =
    "has no known window; write one of /s, /min, /hour, /day, /week, /month, such as 60/min";

/// A number of things in a window, and how many at once: `60/min burst 10`, `200k/min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub amount: u64,
    /// In which window.
    pub unit: Unit,
    /// How many at once, where it is not the whole amount.
    pub burst: Option<u64>,
}

/// A whole number with `k`, `M` or `G` for thousands, millions and thousand millions.
fn thousands(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1000),
        b'M' => (&text[..text.len() - 1], 1_000_000),
        b'G' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(factor)
}

fn shortest(number: u64) -> String {
    match [(1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")]
        .into_iter()
        .find(|(size, _)| number >= *size && number.is_multiple_of(*size))
    {
        Some((size, letter)) => format!("{}{letter}", number / size),
        None => number.to_string(),
    }
}

/// The largest amount: with it, a rate still fits into whole nanoseconds.
const MOST: u64 = 1_000_000_000;

impl Scalar for Amount {
    const NAME: &'static str = "Amount";
    const EXPECTS: &'static str = "a number in a window such as 60/min, 200k/day or 60/min burst 10";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str =
        "[0-9]+[kMG]? */ *(s|sec|second|min|minute|h|hour|d|day|week|month)( +burst +[0-9]+[kMG]?)?";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("is no amount; write {}", Self::EXPECTS);
        let (number, rest) = text.split_once('/').ok_or_else(wrong)?;
        let (unit, burst) = match rest.split_once(" burst ") {
            Some((unit, burst)) => (unit, Some(thousands(burst.trim()).ok_or_else(wrong)?)),
            None => (rest, None),
        };
        let unit = Unit::read(unit.trim()).ok_or(WRONG_UNIT)?;
        let amount = thousands(number.trim()).ok_or_else(wrong)?;
        match (amount, burst) {
            (0, _) | (_, Some(0)) => Err("lets nothing through; write at least 1".to_owned()),
            (amount, burst) if amount > MOST || burst > Some(MOST) => {
                Err("is too large; write at most 1G".to_owned())
            }
            (_, Some(_)) if unit.rate().is_none() => {
                Err("has a burst, which only rates per second, minute or hour have; leave it out".to_owned())
            }
            (amount, burst) => Ok(Self { amount, unit, burst }),
        }
    }

    fn json(&self) -> Value {
        let burst = self.burst.map_or_else(String::new, |burst| format!(" burst {}", shortest(burst)));
        format!("{}/{}{burst}", shortest(self.amount), self.unit.name()).into()
    }
}

/// Money in a window of the calendar: `5/day`, `0.50/hour`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// How much, in pico-USD (10^-12 USD).
    pub pico_usd: u64,
    /// In which window.
    pub unit: Unit,
}

/// Pico-USD in a millionth of a USD.
const MILLIONTH: u64 = 1_000_000;

impl Scalar for Money {
    const NAME: &'static str = "Money";
    const EXPECTS: &'static str = "an amount of USD in a window such as 5/day or 0.50/hour";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = r"[0-9]{1,6}(\.[0-9]{1,6})? */ *(min|minute|h|hour|d|day|week|month)";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("is no budget; write {}", Self::EXPECTS);
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let unit = Unit::read(unit.trim()).ok_or(WRONG_UNIT)?;
        // A price has the same form: up to six digits before and after the point.
        let amount = super::UsdPerMillion::parse(number.trim()).ok_or_else(wrong)?;
        match (amount.pico_usd_per_token(), unit) {
            (_, Unit::Second) => Err("is a budget for a second; write one for /min or longer".to_owned()),
            (0, _) => Err("lets nothing through; write an amount above 0".to_owned()),
            (millionths, unit) => Ok(Self { pico_usd: millionths * MILLIONTH, unit }),
        }
    }

    fn json(&self) -> Value {
        let (usd, millionths) =
            (self.pico_usd / MILLIONTH / 1_000_000, self.pico_usd / MILLIONTH % 1_000_000);
        let decimals = format!("{millionths:06}");
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        format!("{usd}{point}{decimals}/{}", self.unit.name()).into()
    }
}

/// What tells one subject of a limit from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The tenant.
    Tenant,
    /// The key the app calls with.
    Credential,
    /// The model called.
    Model,
    /// The upstream account called.
    Provider,
    /// Which API call it is.
    Endpoint,
    /// The body's `user`.
    User,
    /// A request header's value.
    Header(HeaderName),
}

impl Dimension {
    const PLAIN: [(Self, &'static str); 6] = [
        (Self::Tenant, "tenant"),
        (Self::Credential, "credential"),
        (Self::Model, "model"),
        (Self::Provider, "provider"),
        (Self::Endpoint, "endpoint"),
        (Self::User, "user"),
    ];

    /// Its name: `tenant`, `header:x-team`.
    pub fn name(&self) -> String {
        match Self::PLAIN.iter().find(|(plain, _)| plain == self) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("header:{}", self.header().map_or("", HeaderName::as_str)),
        }
    }
}

impl Scalar for Dimension {
    const NAME: &'static str = "Dimension";
    const EXPECTS: &'static str = "tenant, credential, model, provider, endpoint, user or header:NAME";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "tenant|credential|model|provider|endpoint|user|header: *[!-~]+";

    fn read(text: &str) -> Result<Self, String> {
        if let Some((plain, _)) = Self::PLAIN.iter().find(|(_, name)| *name == text) {
            return Ok(plain.clone());
        }
        if text.starts_with("header:") {
            return match TenantSource::read(text)? {
                TenantSource::Header(name) => Ok(Self::Header(name)),
                TenantSource::Credential => Ok(Self::Credential),
            };
        }
        Err(format!("tells no requests apart; write {}", Self::EXPECTS))
    }

    fn json(&self) -> Value {
        self.name().into()
    }
}

/// A whole percentage from 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(pub u8);

impl Scalar for Percentage {
    const NAME: &'static str = "Percentage";
    const EXPECTS: &'static str = "a whole percentage such as 80%";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "[0-9]{1,3}%";

    fn read(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|number| number.parse().ok());
        number
            .filter(|percent| (1..=100).contains(percent))
            .map(Self)
            .ok_or_else(|| "is no percentage; write 1% to 100%, such as 80%".to_owned())
    }

    fn json(&self) -> Value {
        format!("{}%", self.0).into()
    }
}

/// A time zone by its name in the IANA database.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(pub TimeZone);

impl Scalar for Zone {
    const NAME: &'static str = "Zone";
    const EXPECTS: &'static str = "a time zone such as UTC or Europe/Berlin";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "[A-Za-z0-9_+/-]+";

    fn read(text: &str) -> Result<Self, String> {
        TimeZone::get(text).map(Self).map_err(|_| {
            "is no time zone of the IANA database; write one such as UTC or Europe/Berlin".to_owned()
        })
    }

    fn json(&self) -> Value {
        self.0.iana_name().unwrap_or("UTC").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_shown_in_its_shortest_form() {
        for (text, shown) in [
            ("60/min", "60/min"),
            ("60 / minute", "60/min"),
            ("200000/min", "200k/min"),
            ("1500/s burst 3000", "1500/s burst 3k"),
            ("2M/month", "2M/month"),
        ] {
            assert_eq!(Amount::read(text).map(|amount| amount.json()), Ok(shown.into()), "{text}");
        }
        for (text, pico, shown) in
            [("5/day", 5_000_000_000_000, "5/day"), ("0.50/hour", 500_000_000_000, "0.5/hour")]
        {
            let money = Money::read(text).unwrap();
            assert_eq!((money.pico_usd, money.json()), (pico, shown.into()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_says_what_would_be_right() {
        for text in
            ["", "60", "/min", "60/fortnight", "0/min", "-1/min", "60/min burst 0", "5/day burst 2", "2G/s"]
        {
            assert!(Amount::read(text).is_err(), "{text}");
        }
        for text in ["5", "5/s", "0/day", "1e3/day", "$5/day"] {
            assert!(Money::read(text).is_err(), "{text}");
        }
        assert!(Dimension::read("header:authorization").unwrap_err().contains("credential"));
        assert!(Zone::read("Mars/Olympus").is_err());
        assert!(Percentage::read("0%").is_err() && Percentage::read("101%").is_err());
    }
}
