//! The messages of a Messages request, read as turns.

use super::super::members::{Members, Parts};
use super::super::prompt::{Call, Part, Prompt, Role, Signature, Source, ToolResult};
use super::super::{Api, Untranslatable};

/// How the signature of a thought begins that a teller of ours made up: it proves nothing to Anthropic.
pub(super) const UNSIGNED: &str = "pareto-unsigned";

/// Reads the messages into the prompt's turns.
pub(super) fn read(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let mut any = false;
    for (at, message) in asked.objects("messages")?.enumerate() {
        let mut message = message?;
        let role = match message.needed_text("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(message.refuse("role", "is not known")),
        };
        let parts = content(&mut message, "content")?;
        prompt.say(role, at, parts);
        message.nothing_else()?;
        any = true;
    }
    if any { Ok(()) } else { Err(asked.refuse("messages", "is empty")) }
}

/// A text or content blocks.
pub(super) fn content(of: &mut Members, name: &str) -> Result<Vec<Part>, Untranslatable> {
    of.content(name, "cache_control", Parts::Blocks, part)
}

fn part(block: &mut Members) -> Result<Option<Part>, Untranslatable> {
    let kind = block.needed_text("type")?;
    Ok(match kind.as_str() {
        "text" => {
            // Where an earlier answer had its words from is no part of what was said.
            block.ignore(&["citations"]);
            block.text("text")?.filter(|text| !text.is_empty()).map(Part::Text)
        }
        "image" => Some(Part::Image(source(block)?)),
        "document" => document(block)?,
        "tool_use" => {
            block.ignore(&["caller"]);
            let input = block.take("input").unwrap_or_else(|| serde_json::json!({}));
            Some(Part::Call(Call {
                id: block.needed_text("id")?,
                name: block.needed_text("name")?,
                arguments: input.to_string(),
                custom: false,
                signature: None,
            }))
        }
        "tool_result" => Some(Part::Result(ToolResult {
            id: block.needed_text("tool_use_id")?,
            content: content(block, "content")?,
            failed: block.flag("is_error")?.unwrap_or(false),
        })),
        "thinking" => {
            let text = block.text("thinking")?.unwrap_or_default();
            let data =
                block.text("signature")?.filter(|data| !data.is_empty() && !data.starts_with(UNSIGNED));
            let signature = data.map(|data| Signature { by: Api::Messages, data, redacted: false });
            Some(Part::Thinking { text, signature })
        }
        "redacted_thinking" => {
            let data = block.needed_text("data")?;
            let signature = Some(Signature { by: Api::Messages, data, redacted: true });
            Some(Part::Thinking { text: String::new(), signature })
        }
        _ => return Err(block.refuse("type", "is a kind of content that other providers do not have")),
    })
}

fn source(block: &mut Members) -> Result<Source, Untranslatable> {
    let mut source = block.needed("source")?;
    let read = match source.needed_text("type")?.as_str() {
        "base64" => Source::Base64 {
            media_type: source.needed_text("media_type")?,
            data: source.needed_text("data")?,
        },
        "url" => Source::Url { url: source.needed_text("url")?, media_type: None },
        _ => return Err(source.refuse("type", "is a kind of source that other providers do not have")),
    };
    source.nothing_else()?;
    Ok(read)
}

/// A document: one of plain text is text.
fn document(block: &mut Members) -> Result<Option<Part>, Untranslatable> {
    let name = block.text("title")?;
    if let Some(mut citations) = block.object("citations")?
        && citations.flag("enabled")? == Some(true)
    {
        return Err(block.refuse("citations", "asks for what only Anthropic gives"));
    }
    block.refuse_all(&["context"], "has no counterpart in the provider's API")?;
    let mut peeked = block.needed("source")?;
    let kind = peeked.text("type")?.unwrap_or_default();
    if kind == "text" {
        let text = peeked.needed_text("data")?;
        peeked.ignore(&["media_type"]);
        peeked.nothing_else()?;
        return Ok(Some(Part::Text(match name {
            Some(name) => format!("{name}\n\n{text}"),
            None => text,
        })));
    }
    peeked.put("type", kind.into());
    block.put("source", peeked.into_value());
    Ok(Some(Part::Document { source: source(block)?, name }))
}
