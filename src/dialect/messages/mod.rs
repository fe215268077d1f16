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

use super::Field;

pub(super) use hear::MessagesHearer;
pub(super) use read::read;
pub(super) use tell::MessagesTeller;
pub(super) use write::write;

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
