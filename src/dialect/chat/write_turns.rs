//! A prompt's turns written as chat messages.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::super::prompt::{Call, Part, Prompt, Role, Source, ToolResult, Turn};
use super::super::{Api, Field, Unsayable};
use super::Server;

/// The turns, written.
pub(super) fn messages(prompt: &Prompt, server: Server) -> Result<Vec<Value>, Unsayable> {
    let mut messages = Vec::new();
    for turn in &prompt.turns {
        let refuse = |reason| Unsayable(Field::Turn(turn.at), reason);
        match turn.role {
            Role::System => {
                let texts = texts(turn).map_err(refuse)?;
                if !texts.is_empty() {
                    messages.push(json!({"role": "system", "content": texts.join("\n\n")}));
                }
            }
            Role::Assistant => messages.extend(assistant(turn, server).map_err(refuse)?),
            Role::User => user(turn, &mut messages).map_err(refuse)?,
        }
    }
    Ok(messages)
}

/// The texts of a turn that has nothing else.
fn texts(turn: &Turn) -> Result<Vec<&str>, &'static str> {
    let said = turn.parts.iter().filter(|part| **part != Part::CachePoint);
    said.map(|part| match part {
        Part::Text(text) => Ok(text.as_str()),
        _ => Err("is a system message with more than text"),
    })
    .collect()
}

/// What the model said. Its thoughts are no part of a conversation in this API, but DeepSeek refuses a
/// thinking model's turns without them.
fn assistant(turn: &Turn, server: Server) -> Result<Option<Value>, &'static str> {
    let (mut text, mut calls, mut thoughts) = (String::new(), Vec::new(), String::new());
    for part in &turn.parts {
        match part {
            Part::Text(more) => text.push_str(more),
            Part::Call(call) => calls.push(tool_call(call, server)),
            Part::Thinking { text, .. } => thoughts.push_str(text),
            Part::CachePoint => {}
            Part::Image(_) | Part::Document { .. } | Part::Audio(_) | Part::Result(_) => {
                return Err("is the assistant's and has more than text and calls");
            }
        }
    }
    if text.is_empty() && calls.is_empty() {
        return Ok(None);
    }
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), if text.is_empty() { Value::Null } else { text.into() });
    if server == Server::DeepSeek && !thoughts.is_empty() {
        message.insert("reasoning_content".into(), thoughts.into());
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    Ok(Some(message.into()))
}

fn tool_call(call: &Call, server: Server) -> Value {
    let arguments: Cow<str> = if call.custom || call.arguments.is_empty() {
        Value::from(call.input().unwrap_or_default()).to_string().into()
    } else {
        (&*call.arguments).into()
    };
    let called = json!({"name": call.name, "arguments": arguments});
    let mut written = json!({"id": call.id, "type": "function", "function": called});
    let own = call.signature.as_ref().filter(|signature| signature.by == Api::Generate);
    if let Some(signature) = own.filter(|_| server == Server::Google) {
        written["extra_content"] = json!({"google": {"thought_signature": signature.data}});
    }
    written
}

/// Results of tools are messages of their own; what the user says besides follows them.
fn user(turn: &Turn, messages: &mut Vec<Value>) -> Result<(), &'static str> {
    let mut content = Vec::new();
    for part in &turn.parts {
        match part {
            Part::Result(result) => messages.push(tool_message(result)?),
            Part::CachePoint => {}
            part => content.push(said(part)?),
        }
    }
    let content = match content.as_mut_slice() {
        [] => return Ok(()),
        [only] if only["type"] == "text" => only["text"].take(),
        _ => content.into(),
    };
    messages.push(json!({"role": "user", "content": content}));
    Ok(())
}

fn tool_message(result: &ToolResult) -> Result<Value, &'static str> {
    let mut texts = Vec::new();
    for part in result.content.iter().filter(|part| **part != Part::CachePoint) {
        match part {
            Part::Text(text) => texts.push(text.as_str()),
            _ => return Err("has a tool's result with more than text, which OpenAI's API does not take"),
        }
    }
    let mut text = texts.join("\n");
    if result.failed {
        // There is no flag for it, so the words must say it.
        text.insert_str(0, "Error: ");
    }
    Ok(json!({"role": "tool", "tool_call_id": result.id, "content": text}))
}

fn said(part: &Part) -> Result<Value, &'static str> {
    Ok(match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Image(source) => json!({"type": "image_url", "image_url": {"url": url(source)}}),
        Part::Document { source: source @ Source::Base64 { .. }, name } => {
            let name = name.as_deref().unwrap_or("document.pdf");
            json!({"type": "file", "file": {"filename": name, "file_data": url(source)}})
        }
        Part::Document { .. } => {
            return Err("has a document by its address, which OpenAI's API does not take");
        }
        Part::Audio(Source::Base64 { media_type, data }) => {
            let format = match media_type.as_str() {
                "audio/wav" | "audio/x-wav" => "wav",
                "audio/mp3" | "audio/mpeg" => "mp3",
                _ => return Err("has sound of a kind OpenAI's API does not take"),
            };
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        Part::Audio(_) => return Err("has sound by its address, which OpenAI's API does not take"),
        Part::Thinking { .. } | Part::Call(_) | Part::Result(_) | Part::CachePoint => {
            return Err("is the user's and has what only the assistant can say");
        }
    })
}

fn url(source: &Source) -> Cow<'_, str> {
    match source {
        Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}").into(),
        Source::Url { url, .. } => url.into(),
    }
}
