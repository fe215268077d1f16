//! `rules:` as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Period;
use super::burst::Burst;
use super::relevance::Relevance;
use crate::config::condition::{Decimal, Extent, Hours, MethodName, Pattern, Weekday};
use crate::config::endpoint::Endpoint;
use crate::config::glob::Glob;
use crate::config::named::Named;
use crate::config::one_or_many::OneOrMany;
use crate::config::pointer::{Json, Pointer};
use crate::config::quota::Zone;
use crate::config::scalar::{Count, Toggle};
use crate::config::text_or::TextOr;
use crate::text::{Class, Step};

/// One rule. Of all rules the first whose conditions hold decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Its name in headers, metrics and the log.
    pub name: String,
    /// Its conditions; all of them must hold.
    pub when: When,
    /// What is done.
    pub then: Then,
}

/// Conditions, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The API that is called, or a list of these.
    pub endpoint: OneOrMany<Endpoint>,
    /// The model asked for, or a list; * stands for any characters, and case does not matter.
    pub model: OneOrMany<Glob>,
    /// The tenant, or a list; * stands for any characters.
    pub tenant: OneOrMany<Glob>,
    /// Request headers by name, each with its value or a list; * alone: it is there.
    pub header: Named<OneOrMany<Glob>>,
    /// The HTTP method, or a list.
    pub method: OneOrMany<MethodName>,
    /// The path without its query, or a list; * stands for any characters, / too. A rule with a path or
    /// method and no endpoint is also asked about requests that pass unread: it can deny or tag.
    pub path: OneOrMany<Glob>,
    /// What the user said last, if the conversation ends with it.
    pub last_message: Option<LastMessage>,
    /// How long the whole conversation is.
    pub conversation: Option<Conversation>,
    /// The temperature asked for; 1 where none is.
    pub temperature: Option<Temperature>,
    /// What the request brings.
    pub has: Option<Has>,
    /// Whether the answer is to be streamed.
    pub stream: Option<Toggle>,
    /// What time it is.
    pub time: Option<Time>,
    /// Every vector store that is read (searched, or by file_search) has at most so many files: 0. Read
    /// from the provider with the caller's key; where it cannot be, the rule does not hold.
    pub files: Option<Count>,
    /// How far what is asked is from what the knowledge base is about.
    pub relevance: Option<Relevance>,
    /// More conditions, all of which must hold.
    pub all: Vec<When>,
    /// More conditions, one of which must hold.
    pub any: Vec<When>,
    /// Conditions that must not hold together.
    pub not: Option<Box<When>>,
}

/// What the user said last. All that is given must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LastMessage {
    /// The message is one of these texts, after folding by `normalize`, and nothing else.
    pub one_of: OneOrMany<String>,
    /// What does not count in comparing: whitespace, case, punctuation, digits, arabic, emoji.
    pub normalize: Vec<Step>,
    /// A regular expression that is found in its text (syntax of Rust's regex crate, linear time). Of a
    /// longer text the first and the last 16 KiB are looked at.
    pub matches: Option<Pattern>,
    /// It has fewer characters than this, and nothing but text.
    pub shorter_than: Option<Count>,
    /// It is made of nothing but emoji, punctuation, digits or whitespace, or a list of these.
    pub only: OneOrMany<Class>,
}

impl Default for LastMessage {
    fn default() -> Self {
        Self {
            one_of: OneOrMany::default(),
            normalize: Step::ALL.to_vec(),
            matches: None,
            shorter_than: None,
            only: OneOrMany::default(),
        }
    }
}

/// How long the whole conversation is, in characters (`8000`) or messages (`20 messages`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Conversation {
    /// Longer than this.
    pub longer_than: Option<Extent>,
    /// Shorter than this.
    pub shorter_than: Option<Extent>,
}

/// The temperature asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Temperature {
    /// Above this.
    pub above: Option<Decimal>,
    /// Below this.
    pub below: Option<Decimal>,
}

/// What the request brings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Has {
    /// Whether it brings tools that the model may call.
    pub tools: Option<Toggle>,
    /// Whether any message has an image.
    pub images: Option<Toggle>,
}

/// What time it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Time {
    /// Between two times of day: 22:00-06:00. The first is in, the second is not.
    pub between: Option<Hours>,
    /// On these days: mon, tue, wed, thu, fri, sat, sun. After midnight the day is the new one.
    pub days: OneOrMany<Weekday>,
    /// Where.
    pub zone: Zone,
}

impl Default for Time {
    fn default() -> Self {
        Self { between: None, days: OneOrMany::default(), zone: Zone(jiff::tz::TimeZone::UTC) }
    }
}

/// What is done with a request. Several may be given; `answer` and `deny` stand alone, with `tag`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Then {
    /// Answer with this text, without a provider; no_results for searches.
    pub answer: Option<TextOr<Answer>>,
    /// Refuse with this message, or {status, message}.
    pub deny: Option<TextOr<Deny>>,
    /// off: neither from the cache nor into it. Or {ttl, normalize}: other than the cache's own.
    pub cache: Option<TextOr<CacheRule>>,
    /// off: no call shared with others.
    pub coalesce: Option<Toggle>,
    /// Ask this model in place of the one asked for.
    pub model: Option<String>,
    /// Take the route of this name in place of the one for the model.
    pub route: Option<String>,
    /// Set fields of the body: {/ranking_options/score_threshold: 0.3}.
    pub set: Named<Json>,
    /// Take fields out of the body: /user, or the tools of a type: "/tools/[type=file_search]".
    pub drop: OneOrMany<Pointer>,
    /// Take results that score less than this out of a search's answer.
    pub min_score: Option<Decimal>,
    /// Merge what a user types one message after the other into one request.
    pub burst: Option<Burst>,
    /// Mark the log line, and the answer that is stored: DELETE /cache?tag= drops those marked so.
    pub tag: OneOrMany<String>,
    /// The durable lane; not there yet.
    pub lane: Option<String>,
}

/// An answer that is no text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// For embeddings: the vector of this text.
    pub embedding_of: String,
}

/// How a request is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deny {
    /// The HTTP status, 400 to 599.
    pub status: Count,
    /// What the client is told.
    pub message: String,
}

impl Default for Deny {
    fn default() -> Self {
        Self { status: Count(403), message: "This request is not allowed here.".to_owned() }
    }
}

/// How the cache treats these requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheRule {
    /// How long an answer is fresh.
    pub ttl: Option<Period>,
    /// What does not count in the text of the user's last message.
    pub normalize: Option<Vec<Step>>,
}
