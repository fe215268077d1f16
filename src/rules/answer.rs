//! A text of a rule's as a proper answer of each API, or a search that finds nothing.

use serde_json::{Map, Value, json};

use crate::request::endpoint::Endpoint;

/// What an answer says of itself beside its text.
pub struct Envelope<'a> {
    /// Tells it from all others; letters, digits and `_`.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model asked for.
    pub model: &'a str,
    /// How many choices were asked for.
    pub choices: usize,
    /// The request's body.
    pub asked: &'a [u8],
}

/// More choices than any API gives (OpenAI: 128).
const MOST_CHOICES: usize = 128;

/// The body of an answer that says `text`; `None` for a call that is not answered with a text. Nothing
/// was consumed, so its usage is all zeros.
pub fn saying(endpoint: Endpoint, text: &str, envelope: &Envelope) -> Option<Value> {
    match endpoint {
        Endpoint::Chat => Some(chat(text, envelope)),
        Endpoint::Completions => Some(completions(text, envelope)),
        Endpoint::Responses => Some(responses(text, envelope)),
        Endpoint::Messages => Some(messages(text, envelope)),
        Endpoint::Generate => Some(generate(text, envelope)),
        Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::VectorStoreSearch
        | Endpoint::EmbedContent
        | Endpoint::BatchEmbedContents => None,
    }
}

/// The body of a search that found nothing.
pub fn no_results(asked: &[u8]) -> Value {
    let query = members(asked).shift_remove("query").unwrap_or_default();
    let queries = if query.is_array() { query } else { json!([query]) };
    json!({
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": [],
        "has_more": false,
        "next_page": null,
    })
}

fn indexes(envelope: &Envelope) -> std::ops::Range<usize> {
    0..envelope.choices.clamp(1, MOST_CHOICES)
}

fn chat(text: &str, envelope: &Envelope) -> Value {
    let choice = |index| {
        json!({
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
            "logprobs": null,
            "finish_reason": "stop",
        })
    };
    json!({
        "id": format!("chatcmpl-{}", envelope.id),
        "object": "chat.completion",
        "created": envelope.created,
        "model": envelope.model,
        "choices": indexes(envelope).map(choice).collect::<Vec<_>>(),
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    })
}

fn completions(text: &str, envelope: &Envelope) -> Value {
    let choice = |index| json!({"text": text, "index": index, "logprobs": null, "finish_reason": "stop"});
    json!({
        "id": format!("cmpl-{}", envelope.id),
        "object": "text_completion",
        "created": envelope.created,
        "model": envelope.model,
        "choices": indexes(envelope).map(choice).collect::<Vec<_>>(),
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    })
}

/// A response echoes what was asked for, and SDKs expect some of it.
fn responses(text: &str, envelope: &Envelope) -> Value {
    let mut asked = members(envelope.asked);
    let mut echo = |name: &str, default: Value| {
        asked.shift_remove(name).filter(|value| !value.is_null()).unwrap_or(default)
    };
    json!({
        "id": format!("resp_{}", envelope.id),
        "object": "response",
        "created_at": envelope.created,
        "status": "completed",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": echo("instructions", Value::Null),
        "max_output_tokens": echo("max_output_tokens", Value::Null),
        "model": envelope.model,
        "output": [{
            "id": format!("msg_{}", envelope.id),
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}],
        }],
        "parallel_tool_calls": echo("parallel_tool_calls", json!(true)),
        "previous_response_id": echo("previous_response_id", Value::Null),
        "reasoning": echo("reasoning", json!({"effort": null, "summary": null})),
        "service_tier": "default",
        "store": echo("store", json!(true)),
        "temperature": echo("temperature", json!(1.0)),
        "text": echo("text", json!({"format": {"type": "text"}})),
        "tool_choice": echo("tool_choice", json!("auto")),
        "tools": echo("tools", json!([])),
        "top_p": echo("top_p", json!(1.0)),
        "truncation": echo("truncation", json!("disabled")),
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
        "user": echo("user", Value::Null),
        "metadata": echo("metadata", json!({})),
    })
}

fn messages(text: &str, envelope: &Envelope) -> Value {
    json!({
        "id": format!("msg_{}", envelope.id),
        "type": "message",
        "role": "assistant",
        "model": envelope.model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": null,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        },
    })
}

fn generate(text: &str, envelope: &Envelope) -> Value {
    let candidate = |index| {
        json!({
            "content": {"role": "model", "parts": [{"text": text}]},
            "finishReason": "STOP",
            "index": index,
        })
    };
    json!({
        "candidates": indexes(envelope).map(candidate).collect::<Vec<_>>(),
        "usageMetadata": {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0},
        "modelVersion": envelope.model,
        "responseId": envelope.id,
    })
}

fn members(body: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::shape::{Form, Shape, round_trips};

    #[test]
    fn every_answer_is_whole_and_the_same_as_body_and_as_stream() {
        let envelope =
            Envelope { id: "pareto_1", created: 1, model: "m", choices: 2, asked: br#"{"input":"hi"}"# };
        let mut answered = 0;
        for endpoint in Endpoint::ALL {
            let Some(body) = saying(endpoint, "أهلا! كيف أساعدك؟", &envelope) else { continue };
            let body = body.to_string();
            assert!(round_trips(Shape::of(endpoint), Form::Body(body.as_bytes())), "{endpoint:?}: {body}");
            answered += 1;
        }
        assert_eq!(answered, 5);
    }

    #[test]
    fn a_search_that_finds_nothing_repeats_what_was_searched() {
        assert_eq!(no_results(br#"{"query":"q"}"#)["search_query"], json!(["q"]));
        assert_eq!(no_results(br#"{"query":["q","r"]}"#)["search_query"], json!(["q", "r"]));
    }
}
