//! `batch:` and `cache.embeddings:` as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Period, milliseconds, minutes};
use crate::config::scalar::Count;

/// Sending what several requests ask in one call, and what one asks in several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// Embeddings.
    pub embeddings: Embeddings,
}

/// Embedding inputs of one caller and model: those of small requests go in one call, those of a large
/// request in several at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Embeddings {
    /// The longest time for which inputs gather before they are sent.
    pub window: Period,
    /// The most inputs of one call, 1 to 2048.
    pub max_inputs: Count,
    /// Below this number of calls under way inputs do not gather but are sent at once; also how many of
    /// the calls of one large request run at the same time.
    pub parallel: Count,
}

impl Default for Embeddings {
    fn default() -> Self {
        Self { window: milliseconds(3), max_inputs: Count(512), parallel: Count(8) }
    }
}

/// Vectors, stored by the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vectors {
    /// How long a vector is fresh; 0s: never stored.
    pub ttl: Period,
}

impl Default for Vectors {
    fn default() -> Self {
        Self { ttl: minutes(24 * 60) }
    }
}
