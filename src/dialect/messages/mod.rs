//! Anthropic's Messages, as clients ask and are answered and as Anthropic is asked.

mod hear;
mod models;
mod read;
mod read_turns;
mod schema;
mod tell;
mod write;
mod write_turns;

use std::borrow::Cow;

use memchr::memmem;
use serde_json::{Map, Value};

use super::Field;

pub(super) use hear::MessagesHearer;
pub(super) use read::read;
pub(super) use tell::MessagesTeller;
pub(super) use write::write;

/// A request without thoughts that a teller of ours put into an answer: Anthropic would find that their
/// signature is not its own.
pub(super) fn cleaned(body: &[u8]) -> Option<Vec<u8>> {
    memmem::find(body, read_turns::UNSIGNED.as_bytes())?;
    let mut request: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let ours = |block: &Value| {
        let signature = block.get("signature").and_then(Value::as_str);
        signature.is_some_and(|signature| signature.starts_with(read_turns::UNSIGNED))
    };
    for message in request.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(Value::Array(blocks)) = message.get_mut("content") {
            blocks.retain(|block| !ours(block));
        }
    }
    serde_json::to_vec(&request).ok()
}

/// What Messages call a part of a prompt.
pub(super) fn field(field: Field) -> Cow<'static, str> {
    match field {
        Field::Turn(at) => format!("messages[{at}]").into(),
        Field::Tool(at) => format!("tools[{at}]").into(),
        Field::ToolChoice => "tool_choice".into(),
        Field::ParallelCalls => "tool_choice.disable_parallel_tool_use".into(),
        Field::Format => "output_config.format".into(),
        Field::MaxTokens => "max_tokens".into(),
        Field::Stop => "stop_sequences".into(),
        Field::Effort => "thinking".into(),
        Field::Temperature => "temperature".into(),
        Field::TopP => "top_p".into(),
        Field::TopK => "top_k".into(),
        // A Messages client has no words for these.
        Field::Choices
        | Field::Seed
        | Field::PresencePenalty
        | Field::FrequencyPenalty
        | Field::Logprobs
        | Field::Verbosity => "model".into(),
    }
}
