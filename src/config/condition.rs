//! The single values that conditions of rules are written with.

use http::Method;
use jiff::civil::Time;
use regex_automata::MatchKind;
use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scalar::{Count, Scalar, scalars};

scalars!(Decimal, Extent, Hours, MethodName, Pattern);

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the days of the week")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A decimal number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Decimal(pub f64);

impl Scalar for Decimal {
    const NAME: &'static str = "Decimal";
    const EXPECTS: &'static str = "a number such as 0.7";
    const TYPES: &'static [&'static str] = &["number", "string"];
    const PATTERN: &'static str = r"-?[0-9]+(\.[0-9]+)?";

    fn read(text: &str) -> Result<Self, String> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
        let number = text.parse().ok().filter(|number: &f64| plain && number.is_finite());
        number.map(Self).ok_or_else(|| "is not a number; write one such as 0.7".to_owned())
    }

    fn json(&self) -> Value {
        self.0.into()
    }
}

/// A length of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// In characters (Unicode scalar values).
    Characters(u32),
    /// In messages, instructions not counted.
    Messages(u32),
}

impl Scalar for Extent {
    const NAME: &'static str = "Extent";
    const EXPECTS: &'static str = "a number of characters such as 8000, or of messages such as 20 messages";
    const TYPES: &'static [&'static str] = &["integer", "string"];
    const PATTERN: &'static str = "[0-9]+( (characters|messages))?";

    fn read(text: &str) -> Result<Self, String> {
        let (number, unit) = text.split_once(' ').unwrap_or((text, "characters"));
        let number = Count::read(number).map(|count| count.0);
        match (number, unit.trim()) {
            (Ok(number), "characters") => Ok(Self::Characters(number)),
            (Ok(number), "messages") => Ok(Self::Messages(number)),
            _ => Err(format!("is no length; write {}", Self::EXPECTS)),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Characters(number) => (*number).into(),
            Self::Messages(number) => format!("{number} messages").into(),
        }
    }
}

/// A part of the day, which may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The first minute that is in.
    pub from: Time,
    /// The first minute that is out again.
    pub to: Time,
}

impl Hours {
    /// Whether a time of day is in.
    pub fn contains(&self, time: Time) -> bool {
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

impl Scalar for Hours {
    const NAME: &'static str = "Hours";
    const EXPECTS: &'static str = "two times of day such as 22:00-06:00";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "[0-9]{1,2}:[0-9]{2} *- *[0-9]{1,2}:[0-9]{2}";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("is no part of the day; write {}", Self::EXPECTS);
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let (from, to) = time(from).zip(time(to)).ok_or_else(wrong)?;
        if from == to {
            return Err("is no time at all; leave it out for the whole day".to_owned());
        }
        Ok(Self { from, to })
    }

    fn json(&self) -> Value {
        let shown = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        format!("{}-{}", shown(self.from), shown(self.to)).into()
    }
}

/// `6:30`; `24:00` is midnight.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |text: &str| text.parse::<i8>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let (hour, minute) = (digits(hour)?, digits(minute).filter(|_| minute.len() == 2)?);
    Time::new(if (hour, minute) == (24, 0) { 0 } else { hour }, minute, 0, 0).ok()
}

/// An HTTP method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodName(pub Method);

impl Scalar for MethodName {
    const NAME: &'static str = "Method";
    const EXPECTS: &'static str = "an HTTP method such as GET";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "[A-Za-z]+";

    fn read(text: &str) -> Result<Self, String> {
        let letters = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let method = Method::from_bytes(text.to_ascii_uppercase().as_bytes()).ok().filter(|_| letters);
        method.map(Self).ok_or_else(|| "is no HTTP method; write one such as GET".to_owned())
    }

    fn json(&self) -> Value {
        self.0.as_str().into()
    }
}

/// A regular expression, known to compile within [`Pattern::LARGEST`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(pub Box<str>);

impl Pattern {
    /// Bytes that one compiled expression may take: `(a{1000}){1000}` is refused, and a hundred
    /// alternatives or `.{0,500}` are not.
    pub const LARGEST: usize = 1 << 20;

    /// Bytes that the automaton of an engine may keep for its speed, for each thread.
    const CACHE: usize = 1 << 20;

    /// An engine that tells which of `patterns` a text has, in time linear in the text.
    ///
    /// # Errors
    /// One of them is no regular expression, or together they take more than `largest` bytes.
    pub fn engine(patterns: &[&str], largest: usize) -> Result<Regex, Box<BuildError>> {
        // As `regex::RegexSet` is made.
        let settings = Config::new()
            .match_kind(MatchKind::All)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(largest))
            .hybrid_cache_capacity(Self::CACHE);
        Regex::builder().configure(settings).build_many(patterns).map_err(Box::new)
    }
}

impl Scalar for Pattern {
    const NAME: &'static str = "Pattern";
    const EXPECTS: &'static str = "a regular expression such as (?i)^order \\d+$";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = ".+";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty and would match everything; leave it out".to_owned());
        }
        let Err(error) = Self::engine(&[text], Self::LARGEST) else { return Ok(Self(text.into())) };
        if error.size_limit().is_some() {
            return Err("takes more than 1MiB when compiled; repeat less in it, or write fewer \
                        alternatives: {0,1000} of {0,1000} is a million"
                .to_owned());
        }
        // The library's message shows the place on lines of its own, its reason on the last.
        let said = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
        let reason = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Err(format!("is no regular expression ({reason}); there is no look-around and no back-reference"))
    }

    fn json(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_go_over_midnight() {
        let at = |hour| Time::new(hour, 0, 0, 0).unwrap();
        let night = Hours::read("22:00 - 6:00").unwrap();
        assert!(night.contains(at(23)) && night.contains(at(0)) && night.contains(at(22)));
        assert!(!night.contains(at(6)) && !night.contains(at(12)));
        let evening = Hours::read("18:00-24:00").unwrap();
        assert!(evening.contains(at(18)) && evening.contains(at(23)) && !evening.contains(at(0)));
        assert_eq!((night.json(), evening.json()), ("22:00-06:00".into(), "18:00-00:00".into()));
        for text in ["", "22", "22-6", "25:00-6:00", "9:60-10:00", "9:0-10:00", "9:00-9:00", "-1:00-2:00"] {
            assert!(Hours::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bomb_is_no_pattern_and_long_alternatives_are() {
        for bomb in ["(a{1000}){1000}", r"\w{5000}", "((a{0,100}){0,100}){0,100}", r"\pL{3000}"] {
            assert!(Pattern::read(bomb).unwrap_err().contains("1MiB"), "{bomb}");
        }
        let words: Vec<String> = (0..300).map(|n| format!("word{n}")).collect();
        assert!(Pattern::read(&format!("(?i)^({})$", words.join("|"))).is_ok());
        assert!(Pattern::read("(?s)order.{0,200}number").is_ok());
        for wrong in ["", "(", "(?=a)", r"(a)\1", "[z-a]", "*"] {
            assert!(Pattern::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_read_is_shown_as_it_is_read() {
        for text in ["8000", "20 messages"] {
            let shown = Extent::read(text).unwrap().json();
            assert_eq!(shown.as_str().map_or(shown.to_string(), str::to_owned), text);
        }
        assert!(Extent::read("20 pages").is_err() && Extent::read("-1").is_err());
        assert_eq!(Decimal::read("1.0"), Ok(Decimal(1.0)));
        assert!(["", "x", "1e3", "inf", "NaN", "--1"].iter().all(|text| Decimal::read(text).is_err()));
        assert_eq!(MethodName::read("delete").unwrap().json(), "DELETE");
        assert!(MethodName::read("GET /").is_err());
    }
}
