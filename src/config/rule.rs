//! Rules, checked: conditions and what is done where they hold.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, StatusCode};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::burst::Burst;
use super::condition::{Extent, Hours, Pattern, Weekday};
use super::endpoint::Endpoint;
use super::glob::Glob;
use super::pointer::Pointer;
use super::relevance::Relevance;
use crate::text::{Class, Folding};

/// One rule. Of all rules the first whose conditions hold decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name; no other rule has it.
    pub name: Arc<str>,
    /// All must hold; the cheap ones first.
    pub when: Vec<Condition>,
    /// What a retrieval would find: asked last, for somebody else must be asked. All must hold.
    pub state: Vec<State>,
    /// What is done.
    pub then: Action,
}

/// Something that holds for what a request would retrieve from.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Every vector store that it reads has no more files than this.
    Files(u64),
    /// What is asked is too far from what the knowledge base is about.
    Relevance(Relevance),
}

impl State {
    /// The embedding model by which it learns from what searches find.
    pub fn learns(&self) -> Option<&str> {
        match self {
            Self::Relevance(relevance) if relevance.learns() => Some(&relevance.model),
            Self::Relevance(_) | Self::Files(_) => None,
        }
    }
}

/// Something that holds for a request or does not.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// It is one of these calls.
    Endpoint(Vec<Endpoint>),
    /// The method is one of these.
    Method(Vec<Method>),
    /// The path is one of these.
    Path(Vec<Glob>),
    /// The model asked for is one of these.
    Model(Vec<Glob>),
    /// The tenant is one of these.
    Tenant(Vec<Glob>),
    /// A request header has one of these values.
    Header(HeaderName, Vec<Glob>),
    /// The answer is to be streamed, or is not.
    Stream(bool),
    /// It is this time.
    Time {
        /// Of the day; any time where none is given.
        hours: Option<Hours>,
        /// The days; none: any.
        days: Vec<Weekday>,
        /// Where.
        zone: TimeZone,
    },
    /// The request brings tools, or none.
    Tools(bool),
    /// A message has an image, or none has.
    Images(bool),
    /// The temperature is above this.
    TemperatureAbove(f64),
    /// The temperature is below this.
    TemperatureBelow(f64),
    /// The conversation is longer than this.
    LongerThan(Extent),
    /// The conversation is shorter than this.
    ShorterThan(Extent),
    /// What the user said last has fewer characters than this, and nothing but text.
    LastShorterThan(u32),
    /// What the user said last is made of these kinds of characters alone.
    Only(Vec<Class>),
    /// What the user said last is one of these texts.
    OneOf(Texts),
    /// This is found in what the user said last.
    Matches(Pattern),
    /// All of these hold.
    All(Vec<Condition>),
    /// One of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
}

/// Texts to compare with, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// In order, each once.
    pub folded: Vec<Box<str>>,
    /// How they and what they are compared with are folded.
    pub folding: Folding,
}

/// Marks, at least one.
pub type Tags = Arc<[Box<str>]>;

/// What is done with a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Action {
    /// Answered here, or refused; then nothing else is done but `tags`.
    pub verdict: Option<Verdict>,
    /// What the cache does.
    pub cache: CacheOverride,
    /// Shares no call.
    pub alone: bool,
    /// Asks this model.
    pub model: Option<Box<str>>,
    /// Takes this route, by its place in [`Config::routes`](super::Config::routes).
    pub route: Option<usize>,
    /// Puts these values into the body.
    pub set: Vec<(Pointer, Value)>,
    /// Takes these out of the body.
    pub drop: Vec<Pointer>,
    /// Shows no results of a search that score less.
    pub min_score: Option<f64>,
    /// Waits for a later request of the same conversation.
    pub burst: Option<Burst>,
    /// Marks in the log line and on the answer that is stored.
    pub tags: Option<Tags>,
}

/// What takes a provider's place.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// This text is the answer.
    Say(Arc<str>),
    /// A search that finds nothing.
    NoResults,
    /// The vector of this text.
    EmbeddingOf(Arc<str>),
    /// Refused.
    Deny {
        /// 400 to 599.
        status: StatusCode,
        /// What the client is told.
        message: Arc<str>,
    },
}

/// What the cache does in place of what it is set to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheOverride {
    /// Neither answers nor stores.
    pub off: bool,
    /// How long an answer is fresh.
    pub ttl: Option<Duration>,
    /// What is folded in the text of the user's last message.
    pub normalize: Option<Folding>,
}

/// How much of a request must be known to tell whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The request line and the headers.
    Head,
    /// What is known of every understood request.
    Facts,
    /// What is said in it.
    Content,
}

impl Condition {
    /// How much must be known to tell.
    pub fn reach(&self) -> Reach {
        match self {
            Self::Method(_) | Self::Path(_) | Self::Tenant(_) | Self::Header(..) | Self::Time { .. } => {
                Reach::Head
            }
            Self::Endpoint(_) | Self::Model(_) | Self::Stream(_) => Reach::Facts,
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().map(Self::reach).max().unwrap_or(Reach::Head)
            }
            Self::Not(condition) => condition.reach(),
            _ => Reach::Content,
        }
    }

    /// Whether it looks at the request line, as rules do that are also for what passes unread.
    pub fn looks_at_line(&self) -> bool {
        match self {
            Self::Method(_) | Self::Path(_) => true,
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().any(Self::looks_at_line),
            Self::Not(condition) => condition.looks_at_line(),
            _ => false,
        }
    }

    /// The endpoints at which this may hold.
    pub fn endpoints(&self) -> EndpointSet {
        match self {
            Self::Endpoint(names) => names.iter().copied().collect(),
            Self::All(conditions) => {
                conditions.iter().map(Self::endpoints).fold(EndpointSet::ALL, EndpointSet::and)
            }
            Self::Any(conditions) => {
                conditions.iter().map(Self::endpoints).fold(EndpointSet::NONE, EndpointSet::or)
            }
            Self::Not(condition) => match &**condition {
                Self::Endpoint(names) => names.iter().copied().collect::<EndpointSet>().complement(),
                _ => EndpointSet::ALL,
            },
            _ => EndpointSet::ALL,
        }
    }
}

impl Rule {
    /// The endpoints at which it may hold.
    pub fn endpoints(&self) -> EndpointSet {
        self.when.iter().map(Condition::endpoints).fold(EndpointSet::ALL, EndpointSet::and)
    }

    /// How much of a request its conditions look at.
    pub fn reach(&self) -> Reach {
        self.when.iter().map(Condition::reach).max().unwrap_or(Reach::Head)
    }

    /// Whether it is also for requests that pass unread.
    pub fn meets_unread(&self) -> bool {
        self.state.is_empty() && self.reach() == Reach::Head && self.when.iter().any(Condition::looks_at_line)
    }
}

/// A set of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointSet(u16);

impl EndpointSet {
    /// No endpoint.
    pub const NONE: Self = Self(0);
    /// Every endpoint.
    pub const ALL: Self = Self((1 << Endpoint::ALL.len()) - 1);

    /// Those that are in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are in one of both.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in it.
    pub fn complement(self) -> Self {
        Self(Self::ALL.0 & !self.0)
    }

    /// Whether it is in it.
    pub fn contains(self, name: Endpoint) -> bool {
        self.0 & 1 << name as u16 != 0
    }

    /// Those that are in it, in the order of their names' list.
    pub fn iter(self) -> impl Iterator<Item = Endpoint> {
        Endpoint::ALL.into_iter().filter(move |name| self.contains(*name))
    }
}

impl FromIterator<Endpoint> for EndpointSet {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(names: I) -> Self {
        Self(names.into_iter().fold(0, |set, name| set | 1 << name as u16))
    }
}
