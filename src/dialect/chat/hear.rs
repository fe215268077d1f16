//! Chat completion chunks, heard: OpenAI's own and those of compatible servers.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::Api;
use super::super::prompt::Signature;
use super::super::said::{Delta, Finish, Hear, Said, Tokens};
use crate::response::shape::{Text, error_in};
use crate::response::usage::{OpenAiUsage, ServiceTier};
use crate::sse::Event;

/// More choices than OpenAI gives.
const MOST_CHOICES: usize = 128;
/// Numbers of calls beyond this are not believed.
const MOST_CALLS: usize = 1024;

/// Hears chat completions.
#[derive(Default)]
pub(in super::super) struct ChatHearer {
    begun: bool,
    ended: bool,
    choices: Vec<Choice>,
}

#[derive(Default)]
struct Choice {
    calls: Vec<Call>,
    finished: bool,
}

/// A call that has begun.
struct Call {
    /// The server's own number of it.
    index: Option<u64>,
    id: String,
    /// Some of its arguments have come.
    filled: bool,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    service_tier: Option<Text<'a>>,
    #[serde(borrow)]
    choices: Option<Vec<ChunkChoice<'a>>>,
    usage: Option<OpenAiUsage>,
    /// Groq's place for the usage.
    x_groq: Option<Groq>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Groq {
    usage: Option<OpenAiUsage>,
}

#[derive(Deserialize)]
struct ChunkChoice<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    delta: Option<ChunkDelta<'a>>,
    logprobs: Option<Logprobs>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Logprobs {
    content: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct ChunkDelta<'a> {
    /// Text; Mistral's thinking models send a list of parts.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    /// Some servers' name for it; some send both.
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow)]
    function_call: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    extra_content: Option<Value>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
}

/// One part of Mistral's content.
#[derive(Deserialize)]
struct ContentPart {
    text: Option<String>,
    thinking: Option<Vec<ContentPart>>,
}

fn filled(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0.into_owned()).filter(|text| !text.is_empty())
}

impl Hear for ChatHearer {
    fn hear(&mut self, event: &Event, said: &mut Vec<Said>) -> Result<(), &'static str> {
        if event.is_done() {
            self.end(said);
            return Ok(());
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk>(event.data()) else {
            return Err("an event was not what the API promises");
        };
        if chunk.error.is_some()
            && let Some(error) = error_in(event.data())
        {
            said.push(Said::Error(error));
            return Ok(());
        }
        let (id, model) = (filled(chunk.id), filled(chunk.model));
        // Azure opens with a chunk that has no choices and no id.
        if !self.begun && id.is_some() {
            self.begun = true;
            let id = id.map(|id| id.trim_start_matches("chatcmpl-").to_owned());
            said.push(Said::Begin { id, model });
        }
        for choice in chunk.choices.unwrap_or_default() {
            self.choice(choice, said)?;
        }
        if let Some(usage) = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage)) {
            let tier = chunk.service_tier.map(|tier| ServiceTier::named(&tier.0)).unwrap_or_default();
            said.push(Said::Usage(Tokens { usage: usage.counts(tier), thinking: usage.thinking() }));
        }
        Ok(())
    }

    /// Some servers never say `[DONE]`: then the finish of every choice is the proof.
    fn end(&mut self, said: &mut Vec<Said>) {
        let whole = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finished);
        if whole && !std::mem::replace(&mut self.ended, true) {
            said.push(Said::End);
        }
    }
}

impl ChatHearer {
    fn choice(&mut self, heard: ChunkChoice, said: &mut Vec<Said>) -> Result<(), &'static str> {
        let at = heard.index.unwrap_or(0);
        if at >= MOST_CHOICES {
            return Err("an index is out of all bounds");
        }
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        let Some(choice) = self.choices.get_mut(at) else { return Ok(()) };
        let index = u32::try_from(at).unwrap_or_default();
        let mut add = |delta| said.push(Said::Delta(index, delta));
        if let Some(delta) = heard.delta {
            if let Some(thinking) = filled(delta.reasoning_content.or(delta.reasoning)) {
                add(Delta::Thinking(thinking));
            }
            if let Some(content) = delta.content {
                content_of(content, &mut add)?;
            }
            if let Some(refusal) = filled(delta.refusal) {
                add(Delta::Refusal(refusal));
            }
            for call in delta.tool_calls.unwrap_or_default() {
                choice.call(call, &mut add)?;
            }
            if let Some(function) = delta.function_call {
                let call =
                    ToolCall { index: Some(0), id: None, function: Some(function), extra_content: None };
                choice.call(call, &mut add)?;
            }
        }
        if let Some(tokens) = heard.logprobs.and_then(|logprobs| logprobs.content) {
            add(Delta::Logprobs(tokens));
        }
        if let Some(reason) = heard.finish_reason.filter(|_| !choice.finished) {
            choice.finished = true;
            choice.fill(&mut add);
            said.push(Said::Finish(index, choice.finish(&reason.0)));
        }
        Ok(())
    }
}

impl Choice {
    fn call(&mut self, heard: ToolCall, add: &mut impl FnMut(Delta)) -> Result<(), &'static str> {
        let id = filled(heard.id);
        let (name, arguments) =
            heard.function.map_or((None, None), |function| (function.name, function.arguments));
        // A piece belongs to the call of its number; a server without numbers names each call once.
        let known = match (heard.index, &id) {
            (Some(index), _) => self.calls.iter().position(|call| call.index == Some(index)),
            (None, Some(id)) => self.calls.iter().position(|call| call.id == *id),
            (None, None) => self.calls.len().checked_sub(1),
        };
        let at = match known {
            Some(at) => at,
            None => {
                let at = self.calls.len();
                if at >= MOST_CALLS {
                    return Err("too many tool calls");
                }
                let id = id.unwrap_or_else(|| format!("call_{at}"));
                self.calls.push(Call { index: heard.index, id: id.clone(), filled: false });
                let signature = heard.extra_content.as_ref().and_then(signature_in);
                let name = filled(name).unwrap_or_default();
                add(Delta::Call { call: number(at), id, name, signature });
                at
            }
        };
        if let Some(json) = filled(arguments) {
            if let Some(call) = self.calls.get_mut(at) {
                call.filled = true;
            }
            add(Delta::Arguments { call: number(at), json });
        }
        Ok(())
    }

    /// Calls without arguments have none: `{}`.
    fn fill(&mut self, add: &mut impl FnMut(Delta)) {
        for (at, call) in self.calls.iter_mut().enumerate() {
            if !std::mem::replace(&mut call.filled, true) {
                add(Delta::Arguments { call: number(at), json: "{}".to_owned() });
            }
        }
    }

    /// Some servers say `stop` although they call.
    fn finish(&self, reason: &str) -> Finish {
        match reason {
            "length" => Finish::Length,
            "content_filter" => Finish::Filtered,
            "tool_calls" | "function_call" => Finish::Calls,
            _ if !self.calls.is_empty() => Finish::Calls,
            _ => Finish::Stop(None),
        }
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn signature_in(extra: &Value) -> Option<Signature> {
    let data = extra.pointer("/google/thought_signature")?.as_str()?.to_owned();
    Some(Signature { by: Api::Generate, data, redacted: false })
}

fn content_of(content: &RawValue, add: &mut impl FnMut(Delta)) -> Result<(), &'static str> {
    const STRANGE: &str = "an event was not what the API promises";
    let raw = content.get();
    if raw.starts_with('"') {
        let text: String = serde_json::from_str(raw).map_err(|_| STRANGE)?;
        if !text.is_empty() {
            add(Delta::Text(text));
        }
        return Ok(());
    }
    if !raw.starts_with('[') {
        return Ok(());
    }
    for part in serde_json::from_str::<Vec<ContentPart>>(raw).map_err(|_| STRANGE)? {
        let thoughts = part.thinking.unwrap_or_default().into_iter().filter_map(|part| part.text);
        thoughts.filter(|text| !text.is_empty()).for_each(|text| add(Delta::Thinking(text)));
        if let Some(text) = part.text.filter(|text| !text.is_empty()) {
            add(Delta::Text(text));
        }
    }
    Ok(())
}
