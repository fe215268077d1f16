//! Where counts live: what any place for them can do, and the values that are said to it.

use std::borrow::Cow;
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::budget::Window;
use crate::config::limit::{Limit, Measure};

/// A limit for as long as its counts live: over reloads that leave its name and subjects as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(pub u64);

/// An amount of each measure: requests and tokens by number, money in pico-USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts([u64; Measure::ALL.len()]);

impl Index<Measure> for Amounts {
    type Output = u64;
    fn index(&self, measure: Measure) -> &u64 {
        &self.0[measure as usize]
    }
}

impl IndexMut<Measure> for Amounts {
    fn index_mut(&mut self, measure: Measure) -> &mut u64 {
        &mut self.0[measure as usize]
    }
}

impl Amounts {
    /// Nothing.
    pub const NONE: Self = Self([0; Measure::ALL.len()]);

    /// What one answer consumes: tokens, and money in pico-USD.
    pub fn consumed(input: u64, output: u64, pico_usd: u64) -> Self {
        let mut amounts = Self::NONE;
        amounts[Measure::Tokens] = input.saturating_add(output);
        amounts[Measure::InputTokens] = input;
        amounts[Measure::OutputTokens] = output;
        amounts[Measure::Usd] = pico_usd;
        amounts
    }

    /// Only the measures of `part`.
    #[must_use]
    pub fn only(mut self, part: Part) -> Self {
        for measure in Measure::ALL {
            if !part.has(measure) {
                self[measure] = 0;
            }
        }
        self
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for measure in Measure::ALL {
            self[measure] = self[measure].saturating_add(other[measure]);
        }
        self
    }

    /// What is more than in `other`.
    #[must_use]
    pub fn beyond(mut self, other: &Self) -> Self {
        for measure in Measure::ALL {
            self[measure] = self[measure].saturating_sub(other[measure]);
        }
        self
    }

    /// The same of this measure as of `other`, and all else as it is.
    #[must_use]
    pub fn with(mut self, measure: Measure, amount: u64) -> Self {
        self[measure] = amount;
        self
    }
}

/// Measures that are settled together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// That there is a request: settled when its call is made.
    Request,
    /// Its place among those under way: given back when it has ended.
    Place,
    /// What its answer consumes: settled for each attempt.
    Consumption,
}

impl Part {
    /// Whether `measure` is of this part.
    pub fn has(self, measure: Measure) -> bool {
        self == match measure {
            Measure::Requests => Self::Request,
            Measure::Concurrent => Self::Place,
            Measure::Tokens | Measure::InputTokens | Measure::OutputTokens | Measure::Usd => {
                Self::Consumption
            }
        }
    }
}

/// Who is counted: the values of a limit's dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// A digest of the name, by which the count is found.
    pub key: u128,
    /// The values in the order of the dimensions, with [`Subject::BETWEEN`] between them.
    pub name: Cow<'a, str>,
}

impl<'a> Subject<'a> {
    /// The subject of this name; `seed` keeps others from choosing names that collide.
    pub fn of(name: Cow<'a, str>, seed: u64) -> Self {
        Self { key: xxhash_rust::xxh3::xxh3_128_with_seed(name.as_bytes(), seed), name }
    }

    /// What stands between the values of a name; no value contains it.
    pub const BETWEEN: char = '\u{1f}';

    /// The subject of what is beyond `max_subjects`.
    pub const OTHER: u128 = u128::MAX;
}

/// What a request asks of one limit.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The limit.
    pub limit: LimitId,
    /// Who is counted.
    pub subject: Subject<'a>,
    /// The most that the request may take.
    pub amounts: Amounts,
}

/// What is reserved of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The limit.
    pub limit: LimitId,
    /// Where it is counted.
    pub subject: u128,
    /// How much of each measure.
    pub amounts: Amounts,
    /// The reservation it is a part of, where the ledger tells reservations apart; else 0.
    pub reservation: u64,
}

/// Why a request was not let through.
#[derive(Clone, Debug)]
pub enum Refused {
    /// A count has no room.
    Short(Short),
    /// Counts cannot be asked, and without them nothing is to pass.
    Lost,
}

/// Counts cannot be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// How a ledger is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Sidecars that count together; 0 while the ledger is away.
    pub sidecars: u64,
    /// Requests that were decided without it, since the start.
    pub alone: u64,
    /// Failures of its Redis since the start.
    pub errors: u64,
}

/// How all counts stand that are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// The counts.
    pub standings: Vec<Standing>,
    /// The ledger that several sidecars share is away. These counts are what this one knows: its own
    /// share where it has decided by that since, and else what it saw last.
    pub away: bool,
}

/// Told of counts of which something was given back.
pub type Freed = Box<dyn Fn(LimitId, u128) + Send + Sync>;

/// Why nothing was reserved: the count that is longest without room.
#[derive(Clone, Debug)]
pub struct Short {
    /// The limit's name.
    pub name: Arc<str>,
    /// Its place in the list of claims.
    pub claim: usize,
    /// Where it would have been counted.
    pub subject: u128,
    /// What there is too little of.
    pub measure: Measure,
    /// Whether that is a budget, of a window of the calendar.
    pub budget: bool,
    /// How much there is in all.
    pub quota: u64,
    /// How much was asked.
    pub asked: u64,
    /// The soonest that it can pass, should all that is reserved be given back; `None`: never, it asks
    /// for more than there ever is.
    pub soonest: Option<Duration>,
    /// When it passes, should all that is reserved be used; for what only another's end makes room
    /// for, a guess.
    pub likely: Duration,
}

/// How one count stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The limit's name.
    pub limit: Arc<str>,
    /// Who is counted, as [`Subject::name`].
    pub subject: String,
    /// What is counted.
    pub measure: Measure,
    /// How much there is; of a rate, in its period.
    pub quota: u64,
    /// The most at once.
    pub most: u64,
    /// The length of the window; zero for what is counted at one moment.
    pub window: Duration,
    /// What is used of `most`.
    pub used: u64,
    /// What is reserved beside that.
    pub reserved: u64,
    /// Until all of `used` and `reserved` is free again.
    pub reset: Duration,
    /// The window of the calendar, for budgets.
    pub calendar: Option<Window>,
    /// When a budget will be used up at the pace so far, in seconds since 1970 UTC, if before its end.
    pub exhausted: Option<i64>,
}

impl Standing {
    /// What is left to reserve.
    pub fn left(&self) -> u64 {
        self.most.saturating_sub(self.used.saturating_add(self.reserved))
    }
}

/// A place for counts.
///
/// A request's claims on all its limits are one operation, all or nothing. In this process it never
/// waits; a place that several processes share may.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Makes these the limits that are counted, and says by which ids. A limit of the same name and
    /// subjects goes on with the counts of those measures whose windows are the same.
    fn adopt(&self, limits: &[Limit]) -> Vec<LimitId>;

    /// Reserves all claims or none.
    ///
    /// # Errors
    /// The count without room.
    async fn reserve(&self, claims: &[Claim<'_>]) -> Result<Vec<Held>, Refused>;

    /// Gives back one part of what is held and counts as used what was. `used` may be more or less
    /// than was held. Whether that is done; where it is still on its way, [`Ledger::tell_freed`] has
    /// who is told.
    fn settle(&self, held: &[Held], part: Part, used: &Amounts) -> bool;

    /// `freed` is told of what becomes free otherwise than by a [`Ledger::settle`] that was done at once.
    fn tell_freed(&self, freed: Freed);

    /// How the counts of these holds stand.
    fn standings(&self, held: &[Held]) -> Vec<Standing>;

    /// How every count stands, of the limit called `name` or of all.
    async fn all(&self, name: Option<&str>) -> Overview;

    /// The most used budget of each limit, as a share of 1.
    fn budgets(&self) -> Vec<(Arc<str>, f64)>;

    /// Forgets what was used of a limit, by all subjects or those with `tenant` as their tenant; what
    /// is reserved stays. How many counts that were; `None` where no limit has this name.
    ///
    /// # Errors
    /// Counts cannot be asked now; all stays as it was.
    async fn reset(&self, name: &str, tenant: Option<&str>) -> Result<Option<usize>, Lost>;

    /// How it is shared with other sidecars; `None` where it is not.
    fn sharing(&self) -> Option<Sharing>;

    /// The process ends in order: what is counted is written down.
    fn close(&self);
}
