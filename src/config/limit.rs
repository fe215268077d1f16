//! Limits and budgets as meant: what is counted, per whom, over which window, and what happens at the end.

use std::time::Duration;

use http::HeaderName;
use jiff::tz::TimeZone;

use super::Secret;
use super::quota::{Dimension, Unit};
use super::rule::Condition;
use super::url::ProviderUrl;

/// One limit: some quotas that are counted for each of its subjects.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Its name in headers, metrics, `/limits` and messages.
    pub name: String,
    /// What makes a subject; empty: one for all requests.
    pub per: Vec<Dimension>,
    /// All must hold for a request that it is for; empty: it is for all.
    pub when: Vec<Condition>,
    /// What is counted, each measure once; never empty.
    pub quotas: Vec<Quota>,
    /// How long a request may wait to be let through; zero: it is refused at once.
    pub wait: Duration,
    /// Requests that may wait at this limit.
    pub max_waiting: usize,
    /// How many turns a tenant's requests get for one of another's, by tenant; 1 unless listed.
    pub weights: Vec<(String, u32)>,
    /// Answers that cost nothing count as well.
    pub hits_count: bool,
    /// Output tokens reserved for a request that names no maximum; the model's own unless set.
    pub max_output: Option<u64>,
    /// What becomes of a request that a budget has no room for.
    pub on_exhausted: OnExhausted,
    /// Who is told how far a budget is used.
    pub alert: Option<Alert>,
    /// Subjects counted apart; those beyond share one count.
    pub max_subjects: usize,
}

/// What is counted of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Requests that cause a call.
    Requests,
    /// Input and output tokens together.
    Tokens,
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// Money at list price, in pico-USD.
    Usd,
    /// Requests under way at the same time.
    Concurrent,
}

impl Measure {
    /// Every measure, in the order they are shown.
    pub const ALL: [Self; 6] =
        [Self::Requests, Self::Tokens, Self::InputTokens, Self::OutputTokens, Self::Usd, Self::Concurrent];

    /// Its name in the file, in headers and in `/limits`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Usd => "usd",
            Self::Concurrent => "concurrent",
        }
    }

    /// Whether what a request takes of it is known only once it has been answered.
    pub const fn is_metered(self) -> bool {
        !matches!(self, Self::Requests | Self::Concurrent)
    }
}

/// How much of one measure a subject may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// What is counted.
    pub measure: Measure,
    /// How much, in the measure's unit; at least 1.
    pub amount: u64,
    /// Over which time.
    pub window: Window,
}

/// The time a quota is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// Steadily: `amount` in `period`, of which up to `burst` at once.
    Rate {
        /// The length of time, from a second to an hour.
        period: Duration,
        /// The most at once; the whole amount unless set.
        burst: u64,
    },
    /// Anew with each minute, hour, day, week (from Monday) or month of the calendar in a time zone.
    Calendar {
        /// Which part of the calendar.
        unit: Unit,
        /// Where days begin.
        zone: TimeZone,
    },
    /// At any moment.
    Now,
}

/// What becomes of a request that a budget has no room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnExhausted {
    /// It is refused.
    Refuse,
    /// It is answered from the cache, stale answers included, or refused.
    CacheOnly,
    /// It is sent to this model instead, within what room there is.
    Model(String),
}

/// Who is told how far a budget is used, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Shares of the budget in percent, rising.
    pub at: Vec<u8>,
    /// Whether to tell ahead that the budget will not last for its window.
    pub forecast: bool,
    /// Where to post it; the log and the metrics have it in any case.
    pub webhook: Option<ProviderUrl>,
    /// Signs what is posted.
    pub secret: Option<Secret>,
}

impl Dimension {
    /// The header it is read from, for those that are.
    pub fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Header(name) => Some(name),
            _ => None,
        }
    }
}
