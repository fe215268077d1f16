//! `features:` as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::switch::Switch;

/// Switches features: on, off, observe (decide and count, but do not act), or N% of tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Answering from stored answers.
    pub cache: Switch,
    /// Sharing calls under way.
    pub coalesce: Switch,
    /// Asking another target, or again, where an attempt has failed.
    pub failover: Switch,
    /// A second attempt beside a slow one, on routes that have `hedge`.
    pub hedge: Switch,
    /// Sending the embedding inputs of several requests in one call.
    pub batch: Switch,
    /// Limits and budgets.
    pub limits: Switch,
    /// Rules.
    pub rules: Switch,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            cache: Switch::On,
            coalesce: Switch::On,
            failover: Switch::On,
            hedge: Switch::On,
            batch: Switch::On,
            limits: Switch::On,
            rules: Switch::On,
        }
    }
}
