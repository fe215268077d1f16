//! The beginning of an answer that broke off, and the request for its rest.
//!
//! Gone on from is text and nothing else: a call that has begun may not be made twice, thoughts cannot be
//! given back to whoever did not think them, and a JSON document is not to be sewn together of two.
//!
//! Who goes on from a text, and how it is asked for:
//! - Anthropic's models up to 4.5, from a last message of the assistant's without white space at its end and
//!   not while thinking (platform.claude.com: "Prefill Claude's response"); from 4.6 on they refuse it ("What's
//!   new in Claude 4.6": prefill removal).
//! - Mistral's, where `prefix` is true (its OpenAPI description, `AssistantMessage`). It says the text again
//!   before it goes on (the Mistral providers of Vercel's AI SDK and of others take it out again).
//! - DeepSeek's, where `prefix` is true, at the base URL `/beta` (api-docs.deepseek.com: "Chat Prefix
//!   Completion"), with thinking switched off, which is on unless said ("Thinking Mode").
//! - Groq's models, unmarked (console.groq.com: "Assistant Message Prefilling"); which of them do it well only the
//!   file can tell.
//! - Servers of one's own: `continue_final_message`, which excludes `add_generation_prompt` (vLLM's
//!   `entrypoints/openai/protocol.py`; SGLang reads the first).
//! - Not Gemini: "Please ensure that multiturn requests end with a user role or a function response". Not
//!   OpenAI: its models answer a last message of the assistant's anew.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json};

use super::prompt::{Effort, Format, Part, Prompt, Role, ToolChoice};
use super::responses::{self, Told};
use super::said::{Delta, Said};
use super::{Api, Server, Target, Untranslatable, translator};
use crate::response::unresumed::Unresumed;
use crate::sse::Event;

/// What a client was told of an answer before it broke off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// The answer's id, exactly as it was told; none of Anthropic's, who tells it once.
    pub id: Option<String>,
    /// The model's name, exactly as it was told.
    pub model: Option<String>,
    /// OpenAI's `created`, in seconds since 1970.
    pub created: Option<u64>,
    /// The text.
    pub text: String,
    /// Anthropic: the content block that the text is in has begun.
    pub opened: bool,
    /// OpenAI's responses: what was told around the text.
    pub(super) told: Option<Box<Told>>,
}

#[derive(Deserialize)]
struct Marks<'a> {
    #[serde(borrow, alias = "responseId")]
    id: Option<Cow<'a, str>>,
    created: Option<u64>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

impl Partial {
    /// Reads what a client of this API was told.
    ///
    /// # Errors
    /// It cannot be gone on from: there is more than the unfinished text of one choice, or nobody can read
    /// this API's events.
    pub fn heard<'e>(client: Api, events: impl Iterator<Item = &'e Event>) -> Result<Self, Unresumed> {
        if client == Api::Responses {
            return responses::heard(events);
        }
        let mut hearer = translator::hearer(client).ok_or(Unresumed::Endpoint)?;
        let (mut partial, mut said) = (Self::default(), Vec::new());
        let mut closed = false;
        for event in events {
            hearer.hear(event, &mut said).map_err(|_| Unresumed::BeyondText)?;
            for said in said.drain(..) {
                partial.add(said)?;
            }
            closed |= partial.note(event)?;
        }
        if closed { Err(Unresumed::BeyondText) } else { Ok(partial) }
    }

    /// Whether the block of the text has ended: whatever comes now is another one.
    fn note(&mut self, event: &Event) -> Result<bool, Unresumed> {
        let marks: Marks = serde_json::from_slice(event.data()).map_err(|_| Unresumed::BeyondText)?;
        self.created = self.created.or(marks.created);
        self.id = self.id.take().or(marks.id.map(Cow::into_owned));
        match marks.kind.as_deref() {
            Some("content_block_start") if self.opened => return Err(Unresumed::BeyondText),
            Some("content_block_start") => self.opened = true,
            _ => {}
        }
        Ok(marks.kind.as_deref() == Some("content_block_stop"))
    }

    fn add(&mut self, said: Said) -> Result<(), Unresumed> {
        match said {
            // Hearers leave out of an id what their API puts before it.
            Said::Begin { model, .. } => self.model = self.model.take().or(model),
            Said::Delta(0, Delta::Text(text)) => self.text.push_str(&text),
            // Gemini counts in every chunk.
            Said::Usage(_) => {}
            Said::Delta(_, Delta::Call { .. } | Delta::Arguments { .. }) => return Err(Unresumed::ToolCall),
            Said::Delta(_, Delta::Thinking(_)) => return Err(Unresumed::Thoughts),
            Said::Delta(..) | Said::Finish(..) | Said::Error(_) | Said::End => {
                return Err(Unresumed::BeyondText);
            }
        }
        Ok(())
    }

    /// The text that a model is asked to go on from: models do so badly behind white space, and Anthropic
    /// refuses it.
    pub fn prefix(&self) -> &str {
        self.text.trim_end()
    }
}

/// Whether an answer to this prompt may be sewn together of two.
pub fn is_resumable(prompt: &Prompt) -> bool {
    let thoughtless = matches!(prompt.effort, None | Some(Effort::None)) && !prompt.thoughts;
    let free = matches!(prompt.tool_choice, ToolChoice::Auto | ToolChoice::None);
    prompt.choices == 1
        && prompt.format == Format::Text
        && prompt.logprobs.is_none()
        && thoughtless
        && free
        && !prompt.legacy_functions
}

/// The prompt for the rest of an answer, of which `spent` tokens were told.
pub fn rest(prompt: &Prompt, partial: &Partial, spent: u64) -> Prompt {
    let mut rest = prompt.clone();
    rest.max_tokens = prompt.max_tokens.map(|most| most.saturating_sub(spent).max(1));
    let prefix = partial.prefix();
    if prefix.is_empty() {
        return rest;
    }
    match rest.turns.last_mut().filter(|turn| turn.role == Role::Assistant) {
        // The app began the answer itself.
        Some(turn) => match turn.parts.last_mut() {
            Some(Part::Text(begun)) => begun.push_str(prefix),
            _ => turn.parts.push(Part::Text(prefix.to_owned())),
        },
        None => {
            let at = rest.turns.last().map_or(0, |turn| turn.at + 1);
            rest.say(Role::Assistant, at, vec![Part::Text(prefix.to_owned())]);
        }
    }
    rest
}

/// Writes the request for the rest of an answer: one whose last turn is the assistant's, and is gone on
/// from.
///
/// # Errors
/// This provider or model has no words for something in it.
pub fn write(provider: Api, rest: &Prompt, target: Target) -> Result<Vec<u8>, Untranslatable> {
    let body = super::write(provider, rest, target)?;
    let goes_on = rest.turns.last().is_some_and(|turn| turn.role == Role::Assistant);
    if provider != Api::Chat || !goes_on {
        return Ok(body);
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(&body) else { return Ok(body) };
    match target.server {
        Server::Mistral | Server::DeepSeek => {
            let last = body["messages"].as_array_mut().and_then(|messages| messages.last_mut());
            last.into_iter().for_each(|last| last["prefix"] = json!(true));
            if target.server == Server::DeepSeek {
                body["thinking"] = json!({"type": "disabled"});
            }
        }
        // It needs no mark, and refuses what it does not know.
        Server::Groq => {}
        _ => {
            body["continue_final_message"] = json!(true);
            body["add_generation_prompt"] = json!(false);
        }
    }
    Ok(body.to_string().into_bytes())
}

/// What a server says again before it goes on with `rest`: nothing, or the whole beginning.
pub fn repeated(server: Server, rest: &Prompt) -> String {
    let last = rest.turns.last().filter(|turn| server == Server::Mistral && turn.role == Role::Assistant);
    let text = |part: &Part| match part {
        Part::Text(text) => Some(text.clone()),
        _ => None,
    };
    last.into_iter().flat_map(|turn| &turn.parts).filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(data: &str) -> Event {
        Event::new(None, data.as_bytes())
    }

    fn heard(events: &[&str]) -> Result<Partial, Unresumed> {
        Partial::heard(Api::Chat, events.iter().map(|data| chat(data)).collect::<Vec<_>>().iter())
    }

    const ROLE: &str = r#"{"id":"c1","model":"m","created":7,"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
    const TEXT: &str =
        r#"{"id":"c1","model":"m","created":7,"choices":[{"index":0,"delta":{"content":"one two "}}]}"#;

    #[test]
    fn only_unfinished_text_of_one_choice_is_gone_on_from() {
        let partial = heard(&[ROLE, TEXT, TEXT]).unwrap();
        assert_eq!((partial.text.as_str(), partial.prefix()), ("one two one two ", "one two one two"));
        assert_eq!((partial.id.as_deref(), partial.created), (Some("c1"), Some(7)));
        for (other, why) in [
            (r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#, Unresumed::BeyondText),
            (
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"i","function":{"name":"f","arguments":""}}]}}]}"#,
                Unresumed::ToolCall,
            ),
            (r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#, Unresumed::Thoughts),
            (r#"{"choices":[{"index":0,"delta":{"refusal":"no"}}]}"#, Unresumed::BeyondText),
            (r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#, Unresumed::BeyondText),
            (r#"{"error":{"message":"m"}}"#, Unresumed::BeyondText),
        ] {
            assert_eq!(heard(&[ROLE, TEXT, other]), Err(why), "{other}");
        }
    }

    #[test]
    fn a_call_after_a_text_is_known_for_one() {
        let block = |at, kind: &str| {
            format!(
                r#"{{"type":"content_block_start","index":{at},"content_block":{{"type":"{kind}","text":"","id":"t","name":"f","input":{{}}}}}}"#
            )
        };
        let (text, call) = (block(0, "text"), block(1, "tool_use"));
        let stop = r#"{"type":"content_block_stop","index":0}"#;
        let heard = |data: &[&str]| {
            let events: Vec<_> = data.iter().map(|data| chat(data)).collect();
            Partial::heard(Api::Messages, events.iter())
        };
        assert!(heard(&[&text]).unwrap().opened);
        assert_eq!(heard(&[&text, stop]), Err(Unresumed::BeyondText));
        assert_eq!(heard(&[&text, stop, &call]), Err(Unresumed::ToolCall));
    }

    fn prompt(body: &Value) -> Prompt {
        super::super::read(Api::Chat, body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_cannot_be_sewn_together_is_not_begun_anew() {
        let asked = |name: &str, value: Value| {
            let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}]});
            body[name] = value;
            is_resumable(&prompt(&body))
        };
        assert!(asked("temperature", json!(0.5)));
        assert!(!asked("n", json!(2)));
        assert!(!asked("response_format", json!({"type": "json_object"})));
        assert!(!asked("reasoning_effort", json!("high")));
        assert!(!asked("logprobs", json!(true)));
    }

    #[test]
    fn each_server_is_told_in_its_own_words_to_go_on() {
        let asked =
            prompt(&json!({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "q"}]}));
        let rest = rest(&asked, &heard(&[ROLE, TEXT]).unwrap(), 4);
        let body = |api, server, model| -> Value {
            serde_json::from_slice(&write(api, &rest, Target { model, server }).unwrap()).unwrap()
        };
        let mistral = body(Api::Chat, Server::Mistral, "mistral-large");
        assert_eq!(
            mistral["messages"][1],
            json!({"role": "assistant", "content": "one two", "prefix": true})
        );
        assert_eq!(mistral["max_tokens"], 6);
        let vllm = body(Api::Chat, Server::Other, "llama");
        assert_eq!(vllm["messages"][1], json!({"role": "assistant", "content": "one two"}));
        assert_eq!(
            (&vllm["continue_final_message"], &vllm["add_generation_prompt"]),
            (&json!(true), &json!(false))
        );
        let claude = body(Api::Messages, Server::Other, "claude-sonnet-4-5");
        assert_eq!(claude["messages"][1]["content"][0]["text"], "one two");
        for (api, model) in [(Api::Messages, "claude-opus-4-8"), (Api::Generate, "gemini-2.5-flash")] {
            let target = Target { model, server: Server::Other };
            assert!(write(api, &rest, target).is_err(), "{model} takes no beginning");
        }
    }
}
