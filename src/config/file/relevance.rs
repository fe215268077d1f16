//! `relevance:` of a rule as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::condition::Decimal;
use crate::config::one_or_many::OneOrMany;
use crate::config::relevance::Measure;
use crate::config::scalar::Count;
use crate::text::{Language, Script};

/// How close the question is to what the knowledge base is about: the cosine similarity of their
/// embeddings. Where it cannot be told, the condition does not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Relevance {
    /// Below this, -1 to 1. It belongs to the model: choose it with features: {rules: observe} and
    /// the metric pareto_rule_score.
    pub below: Option<Decimal>,
    /// The embedding model, asked of a provider of OpenAI's API with the caller's key.
    pub model: String,
    /// Sentences that the knowledge base has answers to. Without any: the results of the caller's
    /// searches in the store so far, forgotten after an hour and at a write.
    pub examples: Vec<String>,
    /// With fewer examples nothing is judged.
    pub min_examples: Count,
    /// nearest: the example it is closest to; centroid: the mean of all.
    pub by: Measure,
    /// The scripts that the model covers, such as [latin, arabic]. A question with letters of another
    /// is let through.
    pub scripts: OneOrMany<Script>,
    /// The languages that the model covers, by ISO 639-3, such as [eng, ara]. A question that is told to
    /// be in another is let through; a short one often cannot be told. None: those of the scripts.
    pub languages: OneOrMany<Language>,
}

impl Default for Relevance {
    fn default() -> Self {
        Self {
            below: None,
            model: "text-embedding-3-small".to_owned(),
            examples: Vec::new(),
            min_examples: Count(10),
            by: Measure::default(),
            scripts: OneOrMany(vec![Script::LATIN]),
            languages: OneOrMany::default(),
        }
    }
}
