//! Answers that are one JSON body and never stream.

use serde::Deserialize;

use super::Inspection;
use super::wire::{ErrorMember, Gist, Text};
use crate::response::usage::{GeminiUsage, OpenAiUsage, ServiceTier};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    /// OpenAI embeddings, and vector store search results.
    data: Option<Vec<Item>>,
    /// Gemini, one input.
    embedding: Option<Values>,
    /// Gemini, a batch.
    embeddings: Option<Vec<Values>>,
    usage: Option<OpenAiUsage>,
    #[serde(rename = "usageMetadata")]
    usage_metadata: Option<GeminiUsage>,
    #[serde(default)]
    error: ErrorMember,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Option<Gist>,
}

#[derive(Deserialize)]
struct Values {
    #[serde(default)]
    values: Gist,
}

impl Body<'_> {
    fn judge(&self) -> Result<(), &'static str> {
        if self.error.0.is_some() {
            return Err("an error inside the answer");
        }
        if self.embedding.iter().chain(self.embeddings.iter().flatten()).any(|vector| !vector.values.filled) {
            return Err("an empty vector");
        }
        if self.embeddings.as_ref().is_some_and(Vec::is_empty) {
            return Err("no vectors");
        }
        let Some(data) = &self.data else { return Ok(()) };
        let list = self.object.as_ref().is_some_and(|object| object.0 == "list");
        if !list && data.iter().all(|item| item.embedding.is_none()) {
            return Ok(());
        }
        judge_embeddings(data)
    }
}

/// Whether each input has exactly one vector: clients put vectors to texts by `index`.
fn judge_embeddings(data: &[Item]) -> Result<(), &'static str> {
    if data.is_empty() {
        return Err("no vectors");
    }
    let mut seen = vec![false; data.len()];
    for (position, item) in data.iter().enumerate() {
        if !item.embedding.is_some_and(|vector| vector.filled) {
            return Err("an empty vector");
        }
        match seen.get_mut(item.index.unwrap_or(position)) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err("vectors with wrong indexes"),
        }
    }
    Ok(())
}

pub(super) fn inspect(body: &[u8]) -> Inspection {
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return Inspection::refused("not JSON of the expected form");
    };
    let openai = body.usage.map(|usage| usage.counts(ServiceTier::Default));
    Inspection {
        storable: body.judge(),
        usage: openai.or_else(|| body.usage_metadata.map(|usage| usage.counts())),
        model: body.model.map(|model| model.0.into_owned()),
        error: body.error.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storable(json: &str) -> Result<(), &'static str> {
        inspect(json.as_bytes()).storable
    }

    #[test]
    fn embeddings_need_one_vector_for_each_input() {
        let whole = r#"{"object":"list","data":[{"object":"embedding","index":1,"embedding":[0.1]},
            {"object":"embedding","index":0,"embedding":"AAAA"}],"model":"e","usage":{"prompt_tokens":5,"total_tokens":5}}"#;
        let seen = inspect(whole.as_bytes());
        assert_eq!(
            (seen.storable, seen.usage.map(|u| u.input), seen.model.as_deref()),
            (Ok(()), Some(5), Some("e"))
        );
        assert_eq!(storable(&whole.replace("\"index\":1", "\"index\":0")), Err("vectors with wrong indexes"));
        assert_eq!(storable(&whole.replace("\"index\":1", "\"index\":2")), Err("vectors with wrong indexes"));
        assert_eq!(storable(&whole.replace("[0.1]", "[]")), Err("an empty vector"));
        assert_eq!(storable(r#"{"object":"list","data":[]}"#), Err("no vectors"));
        assert_eq!(storable(r#"{"embeddings":[]}"#), Err("no vectors"));
        assert_eq!(storable(r#"{"embedding":{"values":[]}}"#), Err("an empty vector"));
        assert_eq!(
            storable(r#"{"embeddings":[{"values":[0.1]}],"usageMetadata":{"promptTokenCount":3}}"#),
            Ok(())
        );
    }

    #[test]
    fn searches_and_moderations_are_kept_as_they_are_but_errors_never() {
        assert_eq!(
            storable(r#"{"object":"vector_store.search_results.page","data":[],"has_more":false}"#),
            Ok(())
        );
        assert_eq!(storable(r#"{"id":"m","model":"o","results":[{"flagged":false}]}"#), Ok(()));
        assert_eq!(storable(r#"{"error":{"message":"no"}}"#), Err("an error inside the answer"));
        assert!(storable("[1]").is_err());
        assert!(storable("<html>").is_err());
    }
}
