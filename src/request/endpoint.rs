//! The endpoints pareto understands, told by method and path alone, and the languages they belong to.

use http::Method;

pub use crate::config::endpoint::Endpoint;

/// The wire language an endpoint belongs to; it decides which provider can serve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI and the many servers compatible with it.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Google Gemini.
    Gemini,
}

impl Endpoint {
    /// The endpoint of a request line, or `None` where the request is not ours to understand.
    /// `path` is without the query.
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        if method != Method::POST {
            return None;
        }
        match path {
            "/v1/chat/completions" => return Some(Self::Chat),
            "/v1/completions" => return Some(Self::Completions),
            "/v1/responses" => return Some(Self::Responses),
            "/v1/embeddings" => return Some(Self::Embeddings),
            "/v1/moderations" => return Some(Self::Moderations),
            "/v1/messages" => return Some(Self::Messages),
            _ => {}
        }
        if let Some(id) =
            path.strip_prefix("/v1/vector_stores/").and_then(|rest| rest.strip_suffix("/search"))
        {
            return (!id.is_empty() && !id.contains('/')).then_some(Self::VectorStoreSearch);
        }
        let (_, method) = gemini_model(path)?;
        match method {
            "generateContent" | "streamGenerateContent" => Some(Self::Generate),
            "embedContent" => Some(Self::EmbedContent),
            "batchEmbedContents" => Some(Self::BatchEmbedContents),
            _ => None,
        }
    }

    /// Whether a path is a Gemini method call: `/models/{model}:{method}`, the method in camel
    /// case, unlike the colons in an OpenAI fine-tuned model's name.
    pub fn is_gemini_path(path: &str) -> bool {
        const METHODS: [&str; 5] =
            ["generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents", "countTokens"];
        gemini_model(path).is_some_and(|(_, method)| METHODS.contains(&method))
    }

    /// Whether its answers are vectors.
    pub const fn embeds(self) -> bool {
        matches!(self, Self::Embeddings | Self::EmbedContent | Self::BatchEmbedContents)
    }

    /// Whether its answers are a model's words, which cost output tokens.
    pub const fn generates(self) -> bool {
        use Endpoint::{Chat, Completions, Generate, Messages, Responses};
        matches!(self, Chat | Completions | Responses | Messages | Generate)
    }

    /// The wire language this endpoint speaks.
    pub const fn family(self) -> Family {
        match self {
            Self::Messages => Family::Anthropic,
            Self::Generate | Self::EmbedContent | Self::BatchEmbedContents => Family::Gemini,
            _ => Family::OpenAi,
        }
    }
}

/// Model and method of a Gemini path `/{version}/models/{model}:{method}`, the model as written
/// there (it may be percent-encoded).
pub fn gemini_model(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
    let (model, method) = rest.rsplit_once(':')?;
    (!model.is_empty() && !method.contains('/')).then_some((model, method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understood_paths_are_told_apart_and_all_else_is_not_ours() {
        let post = |path| Endpoint::of(&Method::POST, path);
        assert_eq!(post("/v1/chat/completions"), Some(Endpoint::Chat));
        assert_eq!(post("/v1/vector_stores/vs_1/search"), Some(Endpoint::VectorStoreSearch));
        assert_eq!(post("/v1beta/models/gemini-2.5-pro:streamGenerateContent"), Some(Endpoint::Generate));
        assert_eq!(
            post("/v1/models/gemini-embedding-001:batchEmbedContents"),
            Some(Endpoint::BatchEmbedContents)
        );
        for path in [
            "/v1/chat/completions/",
            "/v1/chat/completions/abc",
            "/v1/vector_stores//search",
            "/v1/vector_stores/a/b/search",
            "/v1/models/x:countTokens",
            "/",
        ] {
            assert_eq!(post(path), None, "{path}");
        }
        assert_eq!(Endpoint::of(&Method::GET, "/v1/chat/completions"), None);
    }
}
