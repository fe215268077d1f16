//! `burst:` of a rule, checked.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conversation::ConversationSource;

/// Requests of one conversation that come within a moment, of which only the last is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// How long each waits for a later one: above zero, at most 10 seconds.
    pub window: Duration,
    /// What names the conversation.
    pub key: ConversationSource,
    /// What the earlier ones get.
    pub superseded: Superseded,
}

/// What a request gets in whose place a later one is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Superseded {
    /// The later one's answer.
    Same,
    /// An answer without text.
    Empty,
    /// A refusal: 409.
    Conflict,
}
