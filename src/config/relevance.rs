//! How close a question must be to what a knowledge base is about, checked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scalar::{Scalar, scalars};
use crate::text::{Language, Script};

scalars!(Script, Language);

/// How close a question must be to what a knowledge base is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Relevance {
    /// The condition holds below this cosine similarity, -1 to 1. It belongs to the model.
    pub below: f64,
    /// The model that embeds.
    pub model: Box<str>,
    /// What the knowledge base is about, each once; empty: what searches of the store have found.
    pub examples: Vec<Box<str>>,
    /// With fewer examples nothing is judged; at least 1.
    pub min_examples: usize,
    /// What a question is measured against.
    pub by: Measure,
    /// The scripts that the model covers; never empty.
    pub scripts: Vec<Script>,
    /// The languages that the model covers; empty: those of its scripts.
    pub languages: Vec<Language>,
}

impl Relevance {
    /// Whether it goes by what searches have found.
    pub fn learns(&self) -> bool {
        self.examples.is_empty()
    }
}

/// What a question is measured against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The example it is closest to.
    #[default]
    Nearest,
    /// The mean of all examples.
    Centroid,
}

impl Scalar for Script {
    const NAME: &'static str = "Script";
    const EXPECTS: &'static str = "the name of a script in Unicode, such as latin or arabic";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "[A-Za-z_ ]+";

    fn read(text: &str) -> Result<Self, String> {
        Self::named(text).ok_or_else(|| format!("is no script; write {}", Self::EXPECTS))
    }

    fn json(&self) -> Value {
        self.name().to_ascii_lowercase().into()
    }
}

impl Scalar for Language {
    const NAME: &'static str = "Language";
    const EXPECTS: &'static str = "a language's code in ISO 639-3, such as eng or ara";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "[A-Za-z]{3}";

    fn read(text: &str) -> Result<Self, String> {
        Self::coded(text).ok_or_else(|| format!("is no language that can be told; write {}", Self::EXPECTS))
    }

    fn json(&self) -> Value {
        self.code().into()
    }
}
