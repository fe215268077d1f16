//! OpenAI's responses, as clients ask and are answered: the subset that keeps nothing at the provider.

mod read;
mod read_input;
mod tell;

use std::borrow::Cow;

use super::Field;

pub(super) use read::read;
pub(super) use tell::ResponsesTeller;

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
