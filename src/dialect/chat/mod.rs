//! OpenAI's chat completions, as clients ask and are answered and as compatible servers are asked.

mod hear;
mod messages;
mod read;
mod servers;
mod tell;
mod write;
mod write_turns;

use std::borrow::Cow;

use super::Field;

pub(super) use hear::ChatHearer;
pub(super) use messages::source;
pub(super) use read::read;
pub use servers::Server;
pub(super) use servers::unproved;
pub(super) use tell::ChatTeller;
pub(super) use write::write;

/// What chat completions call a part of a prompt.
pub(super) fn field(field: Field) -> Cow<'static, str> {
    match field {
        Field::Turn(at) => format!("messages[{at}]").into(),
        Field::Tool(at) => format!("tools[{at}]").into(),
        Field::ToolChoice => "tool_choice".into(),
        Field::ParallelCalls => "parallel_tool_calls".into(),
        Field::Format => "response_format".into(),
        Field::MaxTokens => "max_completion_tokens".into(),
        Field::Stop => "stop".into(),
        Field::Choices => "n".into(),
        Field::Effort => "reasoning_effort".into(),
        Field::Temperature => "temperature".into(),
        Field::TopP => "top_p".into(),
        Field::TopK => "top_k".into(),
        Field::Seed => "seed".into(),
        Field::PresencePenalty => "presence_penalty".into(),
        Field::FrequencyPenalty => "frequency_penalty".into(),
        Field::Logprobs => "logprobs".into(),
        Field::Verbosity => "verbosity".into(),
    }
}
