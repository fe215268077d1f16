//! `burst:` of a rule as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Period, milliseconds};
use crate::config::burst::Superseded;
use crate::config::conversation::ConversationSource;

/// Requests of one conversation that come within a moment: only the last is sent, where it says what
/// the earlier ones say and more turns of the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Burst {
    /// How long each waits for a later one.
    pub window: Period,
    /// What names the conversation: header:NAME, user, or pointer:/PATH. Without a name nothing waits.
    pub key: Option<ConversationSource>,
    /// What the earlier ones get: the same answer, an empty one, or a conflict (409).
    pub superseded: Superseded,
}

impl Default for Burst {
    fn default() -> Self {
        Self { window: milliseconds(800), key: None, superseded: Superseded::Same }
    }
}
