//! OpenAI's responses, as clients ask and are answered: the subset that keeps nothing at the provider.

mod read;
mod read_input;
mod tell;
mod told;

use std::borrow::Cow;

use memchr::memmem;
use serde_json::{Map, Value};

use super::Field;

pub(super) use read::read;
pub(super) use tell::ResponsesTeller;
pub(super) use told::{Told, heard};

/// How the id of a summary of thoughts begins that a teller of ours made up.
const OURS: &str = "rs_pareto";

/// A request without summaries of thoughts that a teller of ours put into an answer: OpenAI would not find
/// them.
pub(super) fn cleaned(body: &[u8]) -> Option<Vec<u8>> {
    memmem::find(body, OURS.as_bytes())?;
    let mut request: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let ours = |item: &Value| item.get("id").and_then(Value::as_str).is_some_and(|id| id.starts_with(OURS));
    if let Some(Value::Array(items)) = request.get_mut("input") {
        items.retain(|item| !ours(item));
    }
    serde_json::to_vec(&request).ok()
}

/// What responses call a part of a prompt.
pub(super) fn field(field: Field) -> Cow<'static, str> {
    match field {
        Field::Turn(at) => format!("input[{at}]").into(),
        Field::Tool(at) => format!("tools[{at}]").into(),
        Field::ToolChoice => "tool_choice".into(),
        Field::ParallelCalls => "parallel_tool_calls".into(),
        Field::Format => "text.format".into(),
        Field::MaxTokens => "max_output_tokens".into(),
        Field::Effort => "reasoning.effort".into(),
        Field::Temperature => "temperature".into(),
        Field::TopP => "top_p".into(),
        Field::Logprobs => "top_logprobs".into(),
        Field::Verbosity => "text.verbosity".into(),
        // Responses have no words for these.
        Field::Stop
        | Field::Choices
        | Field::TopK
        | Field::Seed
        | Field::PresencePenalty
        | Field::FrequencyPenalty => "model".into(),
    }
}
