//! The names of the endpoints that pareto understands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An API call whose request and answer pareto can read. Everything else passes through untouched.
/// Written in the file by the name it has in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// OpenAI `POST /v1/chat/completions`
    Chat,
    /// OpenAI `POST /v1/completions` (legacy text completion)
    Completions,
    /// OpenAI `POST /v1/responses`
    Responses,
    /// OpenAI `POST /v1/embeddings`
    Embeddings,
    /// OpenAI `POST /v1/moderations`
    Moderations,
    /// OpenAI `POST /v1/vector_stores/{id}/search`
    VectorStoreSearch,
    /// Anthropic `POST /v1/messages`
    Messages,
    /// Gemini `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`
    Generate,
    /// Gemini `POST /v1beta/models/{model}:embedContent`
    EmbedContent,
    /// Gemini `POST /v1beta/models/{model}:batchEmbedContents`
    BatchEmbedContents,
}

impl Endpoint {
    /// Every endpoint, in the order of the variants: `ALL[e as usize] == e`.
    pub const ALL: [Self; 10] = [
        Self::Chat,
        Self::Completions,
        Self::Responses,
        Self::Embeddings,
        Self::Moderations,
        Self::VectorStoreSearch,
        Self::Messages,
        Self::Generate,
        Self::EmbedContent,
        Self::BatchEmbedContents,
    ];

    /// The name used in metrics, logs and rules.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
            Self::VectorStoreSearch => "vector_store_search",
            Self::Messages => "messages",
            Self::Generate => "generate",
            Self::EmbedContent => "embed_content",
            Self::BatchEmbedContents => "batch_embed_contents",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_in_the_order_of_the_variants() {
        for (index, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, index);
        }
    }
}
