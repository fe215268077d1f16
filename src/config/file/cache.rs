//! `cache:` as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Period, Size, batch, mebibytes, minutes, seconds};
use crate::config::choice::Share;
use crate::text;

/// Answering repeated requests from stored answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Who may get each other's answers.
    pub share: Share,
    /// Answers to the very same request.
    pub exact: Exact,
    /// Vectors, stored by the input.
    pub embeddings: batch::Vectors,
    /// Results of vector-store searches.
    pub search: Search,
    /// Answers that are past their time.
    pub stale: Stale,
    /// Largest answer that is stored.
    pub max_entry: Size,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            share: Share::Credential,
            exact: Exact::default(),
            embeddings: batch::Vectors::default(),
            search: Search::default(),
            stale: Stale::default(),
            max_entry: mebibytes(8),
        }
    }
}

/// Answers to the very same request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Exact {
    /// How long an answer is fresh.
    pub ttl: Period,
    /// What does not count in the text of the user's last message: whitespace, case, punctuation,
    /// digits, arabic, emoji. Everything else in a request counts exactly.
    pub normalize: Vec<text::Step>,
}

impl Default for Exact {
    fn default() -> Self {
        Self { ttl: minutes(60), normalize: Vec::new() }
    }
}

/// Results of vector-store searches. They read data that changes, so they age faster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// How long a result is fresh; 0s: never stored.
    pub ttl: Period,
}

impl Default for Search {
    fn default() -> Self {
        Self { ttl: seconds(60) }
    }
}

/// Answers that are past their time (RFC 5861).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stale {
    /// For how long past its time an answer is still given while a fresh one is fetched; 0s: not at all.
    pub while_revalidate: Period,
    /// For how long past its time an answer is still given when the provider fails; 0s: not at all.
    pub if_error: Period,
}

impl Default for Stale {
    fn default() -> Self {
        // Off unless asked for: an old answer that looks like a new one must be somebody's choice.
        Self { while_revalidate: seconds(0), if_error: seconds(0) }
    }
}
