//! A prompt's turns written as Anthropic's system text and messages.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::super::prompt::{Call, Part, Prompt, Role, Source, ToolResult, Turn};
use super::super::{Api, Field, Unsayable, pairing};
use super::models::Traits;

/// Marks that the prompt cache may keep what comes before; more of them are refused.
const MOST_CACHE_POINTS: usize = 4;
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The turns, written.
pub(super) struct Written {
    /// What the application says first, block by block.
    pub(super) system: Vec<Value>,
    /// All that follows.
    pub(super) messages: Vec<Value>,
}

impl Written {
    /// Writes the turns of a prompt for a model.
    pub(super) fn of(prompt: &Prompt, model: &Traits) -> Result<Self, Unsayable> {
        let mut written = Self { system: Vec::new(), messages: Vec::new() };
        let cached = prompt.tools.iter().filter(|tool| tool.cache_point).count();
        let mut cache_points = MOST_CACHE_POINTS.saturating_sub(cached);
        pairing::prove(prompt)?;
        for turn in &prompt.turns {
            let mut blocks = Vec::with_capacity(turn.parts.len());
            // Anthropic wants the results of its calls before all else.
            let results = turn.parts.iter().filter(|part| part.as_result().is_some());
            let others = turn.parts.iter().filter(|part| part.as_result().is_none());
            for part in results.chain(others) {
                write_part(part, turn, &mut blocks, &mut cache_points)?;
            }
            written.add(turn, blocks, model)?;
        }
        written.close(prompt, model)?;
        Ok(written)
    }

    fn add(&mut self, turn: &Turn, blocks: Vec<Value>, model: &Traits) -> Result<(), Unsayable> {
        if blocks.is_empty() {
            return Ok(());
        }
        let role = match turn.role {
            Role::System if self.messages.is_empty() => {
                self.system.extend(blocks);
                return Ok(());
            }
            Role::System if model.system_turns => "system",
            Role::System => {
                return Err(Unsayable(
                    Field::Turn(turn.at),
                    "is a system message amid the conversation, which this model does not take",
                ));
            }
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        self.messages.push(json!({"role": role, "content": blocks}));
        Ok(())
    }

    /// Sees to the beginning and the end: a conversation begins with the user, and only some models go
    /// on from a text of their own.
    fn close(&mut self, prompt: &Prompt, model: &Traits) -> Result<(), Unsayable> {
        if self.messages.first().is_none_or(|first| first["role"] == "assistant") {
            let nothing = json!({"role": "user", "content": [{"type": "text", "text": "."}]});
            self.messages.insert(0, nothing);
        }
        let Some(last) = self.messages.last_mut().filter(|last| last["role"] == "assistant") else {
            return Ok(());
        };
        if !model.prefill {
            let at = prompt.turns.last().map_or(0, |turn| turn.at);
            return Err(Unsayable(
                Field::Turn(at),
                "is the assistant's and the last, which this model does not go on from",
            ));
        }
        if let Some(Value::String(text)) = last
            .pointer_mut("/content")
            .and_then(|content| content.as_array_mut()?.last_mut()?.get_mut("text"))
        {
            text.truncate(text.trim_end().len());
        }
        Ok(())
    }
}

fn write_part(
    part: &Part,
    turn: &Turn,
    blocks: &mut Vec<Value>,
    cache_points: &mut usize,
) -> Result<(), Unsayable> {
    let refuse = |reason| Unsayable(Field::Turn(turn.at), reason);
    let block = match part {
        Part::CachePoint => {
            if let Some(last) = blocks.last_mut().filter(|_| *cache_points > 0) {
                last["cache_control"] = json!({"type": "ephemeral"});
                *cache_points -= 1;
            }
            return Ok(());
        }
        Part::Call(call) => tool_use(call).map_err(refuse)?,
        Part::Result(result) => tool_result(result).map_err(refuse)?,
        Part::Thinking { text, signature } => {
            // Thoughts are of no use to anybody but the one who can prove them.
            let Some(signature) = signature.as_ref().filter(|signature| signature.by == Api::Messages) else {
                return Ok(());
            };
            if signature.redacted {
                json!({"type": "redacted_thinking", "data": signature.data})
            } else {
                json!({"type": "thinking", "thinking": text, "signature": signature.data})
            }
        }
        Part::Text(_) if turn.role == Role::System => said(part).map_err(refuse)?,
        _ if turn.role == Role::System => return Err(refuse("is a system message with more than text")),
        Part::Text(_) | Part::Image(_) | Part::Document { .. } | Part::Audio(_) => {
            said(part).map_err(refuse)?
        }
    };
    blocks.push(block);
    Ok(())
}

/// A text, an image or a document.
fn said(part: &Part) -> Result<Value, &'static str> {
    match part {
        Part::Text(text) => Ok(json!({"type": "text", "text": text})),
        Part::Image(source) => Ok(json!({"type": "image", "source": image(source)?})),
        Part::Document { source, name } => {
            let mut block = json!({"type": "document", "source": document(source)?});
            if let Some(name) = name {
                block["title"] = name.as_str().into();
            }
            Ok(block)
        }
        Part::Audio(_) => Err("has sound, which Anthropic does not take"),
        _ => Err("has something where only text, images and documents can be"),
    }
}

fn image(source: &Source) -> Result<Value, &'static str> {
    match source {
        Source::Base64 { media_type, data } if IMAGES.contains(&media_type.as_str()) => {
            Ok(json!({"type": "base64", "media_type": media_type, "data": data}))
        }
        Source::Base64 { .. } => Err("has an image of a kind Anthropic does not take"),
        Source::Url { url, .. } if url.starts_with("https://") => Ok(json!({"type": "url", "url": url})),
        Source::Url { .. } => Err("has an image Anthropic cannot fetch: its address is not https"),
    }
}

fn document(source: &Source) -> Result<Value, &'static str> {
    match source {
        Source::Base64 { media_type, data } if media_type == "application/pdf" => {
            Ok(json!({"type": "base64", "media_type": media_type, "data": data}))
        }
        Source::Base64 { .. } => Err("has a file that is no PDF, the only kind Anthropic takes"),
        Source::Url { url, .. } if url.starts_with("https://") => Ok(json!({"type": "url", "url": url})),
        Source::Url { .. } => Err("has a file Anthropic cannot fetch: its address is not https"),
    }
}

fn tool_use(call: &Call) -> Result<Value, &'static str> {
    let input = call.input().ok_or("has a tool call whose arguments are no JSON object")?;
    Ok(json!({"type": "tool_use", "id": id(&call.id), "name": call.name, "input": input}))
}

fn tool_result(result: &ToolResult) -> Result<Value, &'static str> {
    let content = match result.content.as_slice() {
        [Part::Text(text)] => Value::from(text.as_str()),
        parts => parts
            .iter()
            .filter(|part| **part != Part::CachePoint)
            .map(said)
            .collect::<Result<Vec<_>, _>>()?
            .into(),
    };
    let mut block = json!({"type": "tool_result", "tool_use_id": id(&result.id), "content": content});
    if result.failed {
        block["is_error"] = true.into();
    }
    Ok(block)
}

/// An id in the letters Anthropic allows; two that differ stay different.
fn id(id: &str) -> Cow<'_, str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !id.is_empty() && id.chars().all(allowed) {
        return id.into();
    }
    let digest = blake3::hash(id.as_bytes()).to_hex();
    format!("call_{}", digest.get(..24).unwrap_or_default()).into()
}

/// Whether the conversation stands amid calls of tools that a thinking model would have to see its own
/// signed thoughts before, and they are not there.
pub(super) fn is_in_unsigned_loop(prompt: &Prompt) -> bool {
    let in_loop =
        prompt.turns.last().is_some_and(|last| last.parts.iter().any(|part| matches!(part, Part::Result(_))));
    let signed = |turn: &Turn| {
        turn.parts.iter().any(|part| match part {
            Part::Thinking { signature: Some(signature), .. } => signature.by == Api::Messages,
            _ => false,
        })
    };
    let last = prompt.turns.iter().rev().find(|turn| turn.role == Role::Assistant);
    in_loop && last.is_some_and(|turn| !signed(turn))
}
