//! The chunks of a streamed chat completion; source: openai.md section 3.

use serde::Serialize;
use serde_json::{Value, json};

use super::chat::{Chat, finish_reason};
use crate::demo::chance::Chance;
use crate::demo::provider::mind::{Said, Thought, pieces_of};
use crate::demo::provider::reply::{Event, Role};

/// Pieces of arguments per chunk, in bytes at least.
const ARGUMENT_PIECE: usize = 8;

/// All events up to `[DONE]`. Choices interleave as the real API's do.
pub fn events(chat: &Chat<'_>) -> Vec<Event> {
    let mut chunks = Chunks::of(chat);
    let mut rows: Vec<_> =
        (0..).zip(&chat.choices).map(|(index, thought)| chat.deltas(index, thought)).collect();
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..longest {
        for (index, row) in rows.iter_mut().enumerate() {
            if let Some((delta, logprobs)) = row.get_mut(at) {
                chunks.delta(index, delta.take(), logprobs.take(), None);
            }
        }
    }
    for (index, thought) in chat.choices.iter().enumerate() {
        chunks.delta(index, json!({}), Value::Null, Some(finish_reason(thought)));
    }
    if chunks.usage {
        chunks.push(Role::Finish, &[], chat.usage());
    }
    chunks.events.push(Event::done());
    chunks.events
}

impl Chat<'_> {
    /// Deltas of one choice and their log probabilities, without the finish.
    fn deltas(&self, index: u64, thought: &Thought) -> Vec<(Value, Value)> {
        let opening = match thought.said {
            Said::Text(_) => json!({"role": "assistant", "content": "", "refusal": null}),
            Said::Refusal(_) => json!({"role": "assistant", "content": null, "refusal": ""}),
            Said::Calls(_) => json!({"role": "assistant", "content": null, "refusal": null}),
        };
        let mut deltas = vec![(opening, Value::Null)];
        match &thought.said {
            Said::Text(pieces) | Said::Refusal(pieces) => {
                let member = if matches!(thought.said, Said::Text(_)) { "content" } else { "refusal" };
                for (at, piece) in pieces.iter().enumerate() {
                    deltas.push((json!({member: piece}), self.logprobs(&thought.said, Some(at))));
                }
            }
            Said::Calls(calls) => {
                for (n, call) in (0..).zip(calls) {
                    let mut first = self.tool_call(index, n, call, "");
                    first["index"] = json!(n);
                    deltas.push((json!({"tool_calls": [first]}), Value::Null));
                    let (outer, inner) =
                        if call.free { ("custom", "input") } else { ("function", "arguments") };
                    for piece in argument_pieces(&call.input) {
                        let delta = json!({"tool_calls": [{"index": n, outer: {inner: piece}}]});
                        deltas.push((delta, Value::Null));
                    }
                }
            }
        }
        deltas
    }
}

/// Pieces of a tool's input, cut anywhere but inside a character.
pub fn argument_pieces(input: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for piece in pieces_of(input).iter().flat_map(|piece| piece.split_inclusive(':')) {
        if pieces.last().is_some_and(|last| last.len() >= ARGUMENT_PIECE) {
            pieces.push(String::new());
        }
        if let Some(last) = pieces.last_mut() {
            last.push_str(piece);
        }
    }
    pieces
}

struct Chunks<'a> {
    chat: &'a Chat<'a>,
    id: String,
    /// Usage was asked for: a chunk of its own has it, all others say null.
    usage: bool,
    padding: Option<Chance>,
    events: Vec<Event>,
}

/// Typed, not a JSON value: streams are most of what load tests ask for, and this is their inner loop.
#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: &'static str,
    choices: &'a [Choice<'a>],
    /// `None` where not asked for, else null or the usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<String>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    delta: Value,
    logprobs: Value,
    finish_reason: Option<&'a str>,
}

impl<'a> Chunks<'a> {
    fn of(chat: &'a Chat<'a>) -> Self {
        let options = &chat.ask.body["stream_options"];
        let padded = chat.ask.behaviour.obfuscation && options["include_obfuscation"] != false;
        Self {
            chat,
            id: chat.ask.id("chatcmpl-"),
            usage: options["include_usage"] == true,
            padding: padded.then(|| Chance::new(chat.ask.serial)),
            events: Vec::new(),
        }
    }

    fn delta(&mut self, index: usize, delta: Value, logprobs: Value, finish_reason: Option<&str>) {
        let role = if finish_reason.is_some() { Role::Finish } else { Role::Body };
        self.push(role, &[Choice { index, delta, logprobs, finish_reason }], Value::Null);
    }

    fn push(&mut self, role: Role, choices: &[Choice<'_>], usage: Value) {
        let padding = self.padding.as_mut().map(|chance| {
            let digits = format!("{:016x}", chance.next());
            digits[..1 + chance.below(15)].to_owned()
        });
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.chat.ask.created(),
            model: self.chat.model,
            service_tier: "default",
            system_fingerprint: "fp_simulated",
            choices,
            usage: self.usage.then_some(usage),
            obfuscation: padding,
        };
        self.events.push(Event::data(role, &chunk));
    }
}
