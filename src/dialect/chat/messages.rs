//! The messages of a chat completions request, read as turns.

use super::super::members::{Members, Parts};
use super::super::prompt::{Call, Part, Prompt, Role, Signature, Source, ToolResult};
use super::super::{Api, Untranslatable};

/// Reads the messages into the prompt's turns.
pub(super) fn read(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    for (at, message) in asked.objects("messages")?.enumerate() {
        let mut message = message?;
        let role = message.needed_text("role")?;
        match role.as_str() {
            "system" | "developer" => {
                let parts = named_content(&mut message)?;
                prompt.say(Role::System, at, parts);
            }
            "user" => {
                let parts = named_content(&mut message)?;
                prompt.say(Role::User, at, parts);
            }
            "assistant" => {
                let parts = assistant(&mut message, at)?;
                prompt.say(Role::Assistant, at, parts);
            }
            "tool" | "function" => {
                let result = result(&mut message, &role, prompt)?;
                prompt.say(Role::User, at, vec![Part::Result(result)]);
            }
            _ => return Err(message.refuse("role", "is not known")),
        }
        message.nothing_else()?;
    }
    if prompt.turns.is_empty() {
        return Err(asked.refuse("messages", "is empty"));
    }
    Ok(())
}

/// What somebody with a name said: other APIs have no names, so the text says it.
fn named_content(message: &mut Members) -> Result<Vec<Part>, Untranslatable> {
    let name = message.text("name")?;
    let mut parts = content(message)?;
    if let Some(name) = name {
        match parts.first_mut() {
            Some(Part::Text(text)) => text.insert_str(0, &format!("{name}: ")),
            _ => parts.insert(0, Part::Text(format!("{name}:"))),
        }
    }
    Ok(parts)
}

/// `content`: a text or parts.
fn content(message: &mut Members) -> Result<Vec<Part>, Untranslatable> {
    message.content("content", "prompt_cache_breakpoint", Parts::Parts, part)
}

fn part(item: &mut Members) -> Result<Option<Part>, Untranslatable> {
    let kind = item.needed_text("type")?;
    Ok(match kind.as_str() {
        "text" => item.text("text")?.filter(|text| !text.is_empty()).map(Part::Text),
        "refusal" => item.text("refusal")?.filter(|text| !text.is_empty()).map(Part::Text),
        "image_url" => {
            let mut image = item.needed("image_url")?;
            let url = image.needed_text("url")?;
            // How closely to look is a hint for OpenAI's own resizing.
            image.ignore(&["detail"]);
            let source = source(url).ok_or_else(|| image.refuse("url", "is no data URL in base64"))?;
            image.nothing_else()?;
            Some(Part::Image(source))
        }
        "input_audio" => {
            let mut audio = item.needed("input_audio")?;
            let media_type = format!("audio/{}", audio.needed_text("format")?);
            let data = audio.needed_text("data")?;
            audio.nothing_else()?;
            Some(Part::Audio(Source::Base64 { media_type, data }))
        }
        "file" => {
            let mut file = item.needed("file")?;
            file.refuse_all(&["file_id"], "names a file that only OpenAI has")?;
            let name = file.text("filename")?;
            let data = file.needed_text("file_data")?;
            let source = source(data).ok_or_else(|| file.refuse("file_data", "is no data URL in base64"))?;
            file.nothing_else()?;
            Some(Part::Document { source, name })
        }
        _ => return Err(item.refuse("type", "is a kind of content that other providers do not have")),
    })
}

/// A URL, or the content of a data URL (RFC 2397) in base64; `None` for a data URL in another form.
pub(in super::super) fn source(mut url: String) -> Option<Source> {
    let Some(rest) = url.strip_prefix("data:") else { return Some(Source::Url { url, media_type: None }) };
    let (head, data) = rest.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?.split(';').next()?.to_owned();
    let data = url.split_off(url.len() - data.len());
    Some(Source::Base64 { media_type, data })
}

fn assistant(message: &mut Members, at: usize) -> Result<Vec<Part>, Untranslatable> {
    message.refuse_all(&["audio"], "refers to sound that only OpenAI has")?;
    // What answers carry beside the message itself.
    message.ignore(&["annotations", "reasoning", "reasoning_content", "name"]);
    let mut parts = content(message)?;
    parts.extend(message.text("refusal")?.filter(|text| !text.is_empty()).map(Part::Text));
    if let Some(mut kept) = message.object("extra_content")? {
        // Gemini's proof belongs to the text, Anthropic's thoughts came before it.
        let signature = kept_signature(&mut kept)?.map(Some);
        parts.extend(signature.map(|signature| Part::Thinking { text: String::new(), signature }));
        parts.splice(0..0, kept_thoughts(kept)?);
    }
    for call in message.objects("tool_calls")? {
        let mut call = call?;
        let mut signature = None;
        if let Some(mut kept) = call.object("extra_content")? {
            signature = kept_signature(&mut kept)?;
        }
        parts.push(Part::Call(tool_call(&mut call, signature)?));
        call.nothing_else()?;
    }
    if let Some(mut function) = message.object("function_call")? {
        parts.push(Part::Call(Call {
            id: format!("call_{at}"),
            name: function.needed_text("name")?,
            arguments: function.text("arguments")?.unwrap_or_default(),
            custom: false,
            signature: None,
        }));
        function.nothing_else()?;
    }
    Ok(parts)
}

fn tool_call(call: &mut Members, signature: Option<Signature>) -> Result<Call, Untranslatable> {
    call.ignore(&["index"]);
    let id = call.needed_text("id")?;
    let kind = call.text("type")?.unwrap_or_else(|| "function".to_owned());
    let custom = kind == "custom";
    let mut called = call.needed(&kind)?;
    let name = called.needed_text("name")?;
    let arguments = called.text(if custom { "input" } else { "arguments" })?.unwrap_or_default();
    called.nothing_else()?;
    Ok(Call { id, name, arguments, custom, signature })
}

/// Gemini's proof of a call or a text, where the client sends back what our answer or Google's own compatible
/// endpoint gave it: `extra_content.google.thought_signature`.
fn kept_signature(kept: &mut Members) -> Result<Option<Signature>, Untranslatable> {
    let Some(mut google) = kept.object("google")? else { return Ok(None) };
    let data = google.text("thought_signature")?;
    Ok(data.map(|data| Signature { by: Api::Generate, data, redacted: false }))
}

/// Anthropic's signed thoughts, where the client sends back what our answer gave it:
/// `extra_content.anthropic.thinking`, blocks as Anthropic made them.
fn kept_thoughts(mut kept: Members) -> Result<Vec<Part>, Untranslatable> {
    let Some(mut anthropic) = kept.object("anthropic")? else { return Ok(Vec::new()) };
    let mut thoughts = Vec::new();
    for block in anthropic.objects("thinking")? {
        let mut block = block?;
        let text = block.text("thinking")?.unwrap_or_default();
        let redacted = block.text("data")?;
        let is_redacted = redacted.is_some();
        let data = block.text("signature")?.or(redacted);
        let signature = data.map(|data| Signature { by: Api::Messages, data, redacted: is_redacted });
        thoughts.push(Part::Thinking { text, signature });
    }
    Ok(thoughts)
}

fn result(message: &mut Members, role: &str, prompt: &Prompt) -> Result<ToolResult, Untranslatable> {
    let id = if role == "tool" {
        message.needed_text("tool_call_id")?
    } else {
        // OpenAI's first form names the function; the call was given an id of its place.
        let name = message.needed_text("name")?;
        let mut calls = prompt.turns.iter().flat_map(|turn| &turn.parts).filter_map(Part::as_call);
        let last = calls.rfind(|call| call.name == name);
        last.map(|call| call.id.clone())
            .ok_or_else(|| message.refuse("name", "is of a function that was not called"))?
    };
    message.ignore(&["name"]);
    Ok(ToolResult { id, content: content(message)?, failed: false })
}
