//! Durations, sizes and prices: numbers with a unit, without floats.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::scalar::{Scalar, scalars};

scalars!(Period, Size, UsdPerMillion);

/// Splits `30s` into its number and its unit.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// The largest unit that divides `amount` without a rest, with the amount in it.
fn in_largest_unit<'a>(amount: u128, units: &[(&'a str, u128)]) -> Option<(u128, &'a str)> {
    let fitting = units.iter().filter(|(_, size)| amount.is_multiple_of(*size));
    fitting.max_by_key(|(_, size)| *size).map(|(unit, size)| (amount / size, *unit))
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// The units of a duration, in milliseconds.
const PERIODS: [(&str, u128); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The longest duration: beyond, adding it to a point in time could overflow.
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

impl Scalar for Period {
    const NAME: &'static str = "Duration";
    const EXPECTS: &'static str = "a duration: a whole number and ms, s, m, h or d, such as 30s";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "[0-9]+ *(ms|s|m|h|d)";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("is not a duration; write {}", &Self::EXPECTS[12..]);
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        if unit.is_empty() {
            return Err("has no unit; write ms, s, m, h or d after the number, such as 30s".to_owned());
        }
        let (_, milliseconds) = PERIODS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let length = u64::try_from(u128::from(number) * milliseconds).map(Duration::from_millis);
        match length {
            Ok(length) if length <= LONGEST => Ok(Self(length)),
            _ => Err("is too long; write at most 3650d".to_owned()),
        }
    }

    fn json(&self) -> Value {
        let text = match in_largest_unit(self.0.as_millis(), &PERIODS) {
            Some((number, unit)) if number > 0 => format!("{number}{unit}"),
            _ => "0s".to_owned(),
        };
        Value::String(text)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The units of a size, in bytes; at equal size the first is written.
const SIZES: [(&str, u128); 9] = [
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Scalar for Size {
    const NAME: &'static str = "Size";
    const EXPECTS: &'static str = "a size: a whole number and B, KB, MB, GB, KiB, MiB or GiB, such as 256MiB";
    const TYPES: &'static [&'static str] = &["string", "integer"];
    const PATTERN: &'static str = "[0-9]+ *(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("is not a size; write {}", &Self::EXPECTS[8..]);
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let unit = if unit.is_empty() { "B" } else { unit };
        let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let size = u64::try_from(u128::from(number) * bytes).ok().filter(|size| *size <= 1 << 60);
        size.map(Self).ok_or_else(|| "is too large; write at most 1048576TiB".to_owned())
    }

    fn json(&self) -> Value {
        let (number, unit) = in_largest_unit(u128::from(self.0), &SIZES).unwrap_or_default();
        Value::String(if number == 0 { "0B".to_owned() } else { format!("{number}{unit}") })
    }
}

/// A price: USD per million tokens, exact to six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsdPerMillion(u64);

impl UsdPerMillion {
    /// Reads a decimal number such as `2.50`, never by way of a float.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let shaped = !whole.is_empty() && !text.ends_with('.') && digits(whole) && digits(fraction);
        if !shaped || whole.len() > 6 || fraction.len() > 6 {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let millionths: u64 = format!("{fraction:0<6}").parse().ok()?;
        Some(Self(whole * 1_000_000 + millionths))
    }

    /// The same price in pico-USD (10^-12) per token, which is a whole number; below 10^12.
    pub fn pico_usd_per_token(self) -> u64 {
        // 10^-6 USD per 10^6 tokens is 10^-12 USD per token.
        self.0
    }
}

impl fmt::Display for UsdPerMillion {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let (whole, millionths) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let decimals = format!("{millionths:06}");
        match decimals.trim_end_matches('0') {
            "" => write!(formatter, "{whole}"),
            decimals => write!(formatter, "{whole}.{decimals}"),
        }
    }
}

impl Scalar for UsdPerMillion {
    const NAME: &'static str = "Price";
    const EXPECTS: &'static str = "a price in USD per million tokens such as 2.50";
    const TYPES: &'static [&'static str] = &["number", "string"];
    const PATTERN: &'static str = r"[0-9]{1,6}(\.[0-9]{1,6})?";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            "is not a price; write USD per million tokens as a number with at most six decimals, such as 2.50".to_owned()
        })
    }

    fn json(&self) -> Value {
        self.to_string().into()
    }
}
