//! What chat and text completions have in common: chunks and bodies with `choices`, read lightly.

use serde::Deserialize;

use super::progress::End;
use super::wire::{ErrorMember, Finish, Gist, Text};
use super::{Inspection, ProviderError, Signal};
use crate::response::usage::{OpenAiUsage, ServiceTier, Usage};
use crate::sse::Event;

/// More choices than any provider allows (OpenAI: 128).
const MOST_CHOICES: usize = 1024;

/// A live stream of chunks.
#[derive(Clone, Debug, Default)]
pub(super) struct ChunkProgress {
    /// By index: how the choice ended; `None` where it has not appeared.
    choices: Vec<Option<Finish>>,
    done: bool,
    broken: Option<&'static str>,
    failed: bool,
    usage: Option<OpenAiUsage>,
    tier: ServiceTier,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    service_tier: Option<Text<'a>>,
    choices: Option<Vec<ChunkChoice>>,
    usage: Option<OpenAiUsage>,
    #[serde(default)]
    error: ErrorMember,
    #[serde(borrow)]
    object: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ChunkChoice {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    finish_reason: Finish,
}

impl ChunkProgress {
    pub(super) fn observe(&mut self, event: &Event) -> Signal {
        if event.is_done() {
            self.done = true;
            return Signal::Terminal;
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk>(event.data()) else {
            return self.malformed();
        };
        if let Some(error) = chunk.error.0.or_else(|| old_error(chunk.object, event.data())) {
            self.failed = true;
            return Signal::Error(error);
        }
        if let Some(model) = chunk.model.filter(|model| self.model.is_none() && !model.0.is_empty()) {
            self.model = Some(model.0.into_owned());
        }
        if let Some(tier) = chunk.service_tier {
            self.tier = ServiceTier::named(&tier.0);
        }
        self.usage = chunk.usage.or(self.usage);
        for ChunkChoice { index, finish_reason } in chunk.choices.unwrap_or_default() {
            if index >= MOST_CHOICES {
                return self.malformed();
            }
            if index >= self.choices.len() {
                self.choices.resize(index + 1, None);
            }
            let finish = self.choices[index].get_or_insert_default();
            if finish_reason != Finish::Open {
                *finish = finish_reason;
            }
        }
        Signal::Content
    }

    fn malformed(&mut self) -> Signal {
        self.broken = Some("malformed event");
        Signal::Malformed
    }

    pub(super) fn end(&self, expected: usize) -> End {
        let finished = self.choices.iter().all(|choice| choice.is_some_and(|finish| finish != Finish::Open));
        let short = self.choices.contains(&Some(Finish::Short));
        let complete = finished && !self.choices.is_empty() && self.choices.len() >= expected;
        match (self.failed, self.broken, complete) {
            (true, _, _) => End::Failed,
            (_, Some(reason), true) => End::Unstorable(reason),
            (_, Some(reason), _) if self.done => End::Unstorable(reason),
            (_, None, true) if short => End::Unstorable(Finish::SHORT),
            (_, None, true) => End::Complete,
            _ if self.done => End::Unstorable("an unfinished choice"),
            _ => End::Open,
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage.map(|usage| usage.counts(self.tier))
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    service_tier: Option<Text<'a>>,
    choices: Option<Vec<Choice>>,
    usage: Option<OpenAiUsage>,
    #[serde(default)]
    error: ErrorMember,
    #[serde(borrow)]
    object: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    finish_reason: Finish,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    text: Gist,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Gist,
    #[serde(default)]
    refusal: Gist,
    #[serde(default)]
    audio: Gist,
    tool_calls: Option<Vec<ToolCall>>,
    function_call: Option<Function>,
}

#[derive(Deserialize)]
struct ToolCall {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    arguments: Gist,
}

impl Choice {
    fn judge(&self) -> Result<(), &'static str> {
        match self.finish_reason {
            Finish::Open => return Err("an unfinished choice"),
            Finish::Short => return Err(Finish::SHORT),
            Finish::Whole => {}
        }
        let Some(message) = &self.message else {
            return if self.text.filled { Ok(()) } else { Err("an empty answer") };
        };
        let tool_calls = message.tool_calls.as_deref().unwrap_or_default();
        let functions = tool_calls.iter().filter_map(|call| call.function.as_ref());
        if functions.chain(&message.function_call).any(|function| !function.arguments.json) {
            return Err("tool arguments are not JSON");
        }
        let said = message.content.filled || message.refusal.filled || message.audio.filled;
        let called = !tool_calls.is_empty() || message.function_call.is_some();
        if said || called { Ok(()) } else { Err("an empty answer") }
    }
}

pub(super) fn inspect(body: &[u8]) -> Inspection {
    let json = body;
    let Ok(body) = serde_json::from_slice::<Body>(json) else {
        return Inspection::refused("not JSON of the expected form");
    };
    let tier = ServiceTier::named(&body.service_tier.map(|tier| tier.0).unwrap_or_default());
    let error = body.error.0.or_else(|| old_error(body.object, json));
    let storable = match body.choices.as_deref() {
        _ if error.is_some() => Err("an error inside the answer"),
        None | Some([]) => Err("no choices"),
        Some(choices) => choices.iter().try_for_each(Choice::judge),
    };
    Inspection {
        storable,
        usage: body.usage.map(|usage| usage.counts(tier)),
        model: body.model.map(|model| model.0.into_owned()),
        error,
    }
}

/// The error form of old vLLM: `{"object":"error","message":…,"type":…}`.
fn old_error(object: Option<Text>, json: &[u8]) -> Option<ProviderError> {
    object.filter(|object| object.0 == "error")?;
    serde_json::from_slice::<ErrorMember>(json).ok()?.0
}
