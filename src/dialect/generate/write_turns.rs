//! A prompt's turns written as Gemini's system instruction and contents.

use serde_json::{Map, Value, json};

use super::super::prompt::{Call, Part, Prompt, Role, Source, ToolResult, Turn};
use super::super::{Api, Field, Unsayable, pairing};
use super::UNPROVED;
use super::models::Traits;

const IMAGES: [&str; 5] = ["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"];
const SOUNDS: [&str; 8] = [
    "audio/wav",
    "audio/x-wav",
    "audio/mp3",
    "audio/mpeg",
    "audio/aiff",
    "audio/aac",
    "audio/ogg",
    "audio/flac",
];

/// The turns, written.
pub(super) struct Written {
    /// What the application says first, part by part.
    pub(super) system: Vec<Value>,
    /// All that follows.
    pub(super) contents: Vec<Value>,
}

impl Written {
    /// Writes the turns of a prompt for a model.
    pub(super) fn of(prompt: &Prompt, model: &Traits) -> Result<Self, Unsayable> {
        pairing::prove(prompt)?;
        let mut written = Self { system: Vec::new(), contents: Vec::new() };
        let mut calls: Vec<&Call> = Vec::new();
        for turn in &prompt.turns {
            let refuse = |reason| Unsayable(Field::Turn(turn.at), reason);
            match turn.role {
                Role::System if written.contents.is_empty() => {
                    written.system.extend(texts(turn).map_err(refuse)?);
                }
                Role::System => {
                    return Err(refuse(
                        "is a system message amid the conversation, which Gemini does not take",
                    ));
                }
                Role::Assistant => {
                    written.say("model", assistant(turn, model).map_err(refuse)?);
                    calls = turn.parts.iter().filter_map(Part::as_call).collect();
                }
                Role::User => {
                    // The results of one step are in one content, in the order of the calls.
                    written.say("user", results(turn, &calls, model).map_err(refuse)?);
                    written.say("user", user(turn).map_err(refuse)?);
                }
            }
        }
        written.close(prompt)?;
        Ok(written)
    }

    fn say(&mut self, role: &str, parts: Vec<Value>) {
        if !parts.is_empty() {
            self.contents.push(json!({"role": role, "parts": parts}));
        }
    }

    /// Sees to the beginning and the end, which are the user's.
    fn close(&mut self, prompt: &Prompt) -> Result<(), Unsayable> {
        if self.contents.first().is_none_or(|first| first["role"] == "model") {
            self.contents.insert(0, json!({"role": "user", "parts": [{"text": "."}]}));
        }
        if self.contents.last().is_some_and(|last| last["role"] == "model") {
            let at = prompt.turns.last().map_or(0, |turn| turn.at);
            return Err(Unsayable(
                Field::Turn(at),
                "is the assistant's and the last, where Gemini wants the user's",
            ));
        }
        Ok(())
    }
}

/// The texts of a turn that has nothing else.
fn texts(turn: &Turn) -> Result<Vec<Value>, &'static str> {
    let said = turn.parts.iter().filter(|part| **part != Part::CachePoint);
    said.map(|part| match part {
        Part::Text(text) => Ok(json!({"text": text})),
        _ => Err("is a system message with more than text"),
    })
    .collect()
}

/// What the model said. Of its thoughts only Gemini's own proofs are of use to Gemini: each belongs to
/// the text before it.
fn assistant(turn: &Turn, model: &Traits) -> Result<Vec<Value>, &'static str> {
    let mut parts: Vec<Value> = Vec::new();
    let mut called = false;
    for part in &turn.parts {
        match part {
            Part::Text(text) => parts.push(json!({"text": text})),
            Part::Call(call) => {
                let first = !std::mem::replace(&mut called, true);
                parts.push(function_call(call, first && model.third)?);
            }
            Part::Thinking { signature: Some(proof), .. } if proof.by == Api::Generate => {
                let open = parts.last_mut().filter(|last| last.get("text").is_some());
                match open.filter(|last| last.get("thoughtSignature").is_none()) {
                    Some(last) => last["thoughtSignature"] = proof.data.as_str().into(),
                    None => parts.push(json!({"text": "", "thoughtSignature": proof.data})),
                }
            }
            Part::Thinking { .. } | Part::CachePoint => {}
            Part::Image(_) | Part::Document { .. } | Part::Audio(_) | Part::Result(_) => {
                return Err("is the assistant's and has more than text and calls");
            }
        }
    }
    Ok(parts)
}

/// A call; the first of a step has to prove that it is the model's own, where the model checks.
fn function_call(call: &Call, proved: bool) -> Result<Value, &'static str> {
    let args = call.input().ok_or("has a tool call whose arguments are no JSON object")?;
    let mut part = json!({"functionCall": {"id": call.id, "name": call.name, "args": args}});
    let own = call.signature.as_ref().filter(|signature| signature.by == Api::Generate);
    let proof = own.map(|signature| signature.data.as_str()).or_else(|| proved.then_some(UNPROVED));
    if let Some(proof) = proof {
        part["thoughtSignature"] = proof.into();
    }
    Ok(part)
}

/// The results in a turn, in the order of the calls they answer.
fn results(turn: &Turn, calls: &[&Call], model: &Traits) -> Result<Vec<Value>, &'static str> {
    let answers = |call: &&Call| turn.parts.iter().filter_map(Part::as_result).find(|it| it.id == call.id);
    let answered = calls.iter().filter_map(|call| answers(call).map(|result| (call, result)));
    answered.map(|(call, result)| function_response(call, result, model)).collect()
}

fn function_response(call: &Call, result: &ToolResult, model: &Traits) -> Result<Value, &'static str> {
    let (mut texts, mut media) = (Vec::new(), Vec::new());
    for part in result.content.iter().filter(|part| **part != Part::CachePoint) {
        match part {
            Part::Text(text) => texts.push(text.as_str()),
            _ if model.third => media.push(said(part)?),
            _ => return Err("has a tool's result with more than text, which this model does not take"),
        }
    }
    let text = texts.join("\n");
    // An object is the response as it is, unless it would be read as something else.
    let object = serde_json::from_str::<Map<String, Value>>(&text)
        .ok()
        .filter(|object| !object.contains_key("output") && !object.contains_key("error"));
    let response = match object {
        Some(object) if !result.failed => object.into(),
        _ => json!({if result.failed { "error" } else { "output" }: text}),
    };
    let mut written = json!({"id": call.id, "name": call.name, "response": response});
    if !media.is_empty() {
        written["parts"] = media.into();
    }
    Ok(json!({"functionResponse": written}))
}

/// What the user says besides results.
fn user(turn: &Turn) -> Result<Vec<Value>, &'static str> {
    let mut parts = Vec::new();
    let besides = turn.parts.iter().filter(|part| part.as_result().is_none());
    for part in besides.filter(|part| **part != Part::CachePoint) {
        if let Part::Document { name: Some(name), .. } = part {
            // A file has no name in this API, so a text says it.
            parts.push(json!({"text": format!("{name}:")}));
        }
        parts.push(said(part)?);
    }
    Ok(parts)
}

/// A text, an image, a document or a sound.
fn said(part: &Part) -> Result<Value, &'static str> {
    let (media_type, data) = match part {
        Part::Text(text) => return Ok(json!({"text": text})),
        Part::Image(Source::Url { .. }) => {
            return Err("has an image by its address, which Gemini does not fetch");
        }
        Part::Document { source: Source::Url { .. }, .. } => {
            return Err("has a file by its address, which Gemini does not fetch");
        }
        Part::Audio(Source::Url { .. }) => {
            return Err("has sound by its address, which Gemini does not fetch");
        }
        Part::Image(Source::Base64 { media_type, .. }) if !IMAGES.contains(&media_type.as_str()) => {
            return Err("has an image of a kind Gemini does not take");
        }
        Part::Audio(Source::Base64 { media_type, .. }) if !SOUNDS.contains(&media_type.as_str()) => {
            return Err("has sound of a kind Gemini does not take");
        }
        Part::Document { source: Source::Base64 { media_type, .. }, .. }
            if media_type != "application/pdf" && !media_type.starts_with("text/") =>
        {
            return Err("has a file that is neither PDF nor text, the kinds Gemini takes");
        }
        Part::Image(Source::Base64 { media_type, data })
        | Part::Audio(Source::Base64 { media_type, data })
        | Part::Document { source: Source::Base64 { media_type, data }, .. } => (media_type, data),
        Part::Thinking { .. } | Part::Call(_) | Part::Result(_) | Part::CachePoint => {
            return Err("is the user's and has what only the assistant can say");
        }
    };
    Ok(json!({"inlineData": {"mimeType": media_type, "data": data}}))
}
