//! The input of a responses request, read as turns.

use serde_json::Value;

use super::super::Untranslatable;
use super::super::chat::source;
use super::super::members::{Members, Parts};
use super::super::prompt::{Call, Part, Prompt, Role, Source, ToolResult};

/// Reads the input into the prompt's turns.
pub(super) fn read(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let items = match asked.take("input") {
        Some(Value::String(text)) => {
            prompt.say(Role::User, 0, vec![Part::Text(text)]);
            return Ok(());
        }
        Some(Value::Array(items)) if !items.is_empty() => items,
        _ => return Err(asked.refuse("input", "is neither a text nor a list of items")),
    };
    for (at, item) in items.into_iter().enumerate() {
        let mut item = Members::of(item, format!("input[{at}]"))?;
        // What OpenAI called the item, and how far it had come, is no part of what was said.
        item.ignore(&["id", "status", "phase"]);
        let (role, parts) = read_item(&mut item)?;
        prompt.say(role, at, parts);
        item.nothing_else()?;
    }
    Ok(())
}

fn read_item(item: &mut Members) -> Result<(Role, Vec<Part>), Untranslatable> {
    let kind = item.text("type")?.unwrap_or_else(|| "message".to_owned());
    Ok(match kind.as_str() {
        "message" => {
            let role = match item.needed_text("role")?.as_str() {
                "user" => Role::User,
                "assistant" => Role::Assistant,
                "system" | "developer" => Role::System,
                _ => return Err(item.refuse("role", "is not known")),
            };
            (role, content(item, "content")?)
        }
        "function_call" | "custom_tool_call" => {
            let custom = kind == "custom_tool_call";
            let call = Call {
                id: item.needed_text("call_id")?,
                name: item.needed_text("name")?,
                arguments: item.text(if custom { "input" } else { "arguments" })?.unwrap_or_default(),
                custom,
                signature: None,
            };
            (Role::Assistant, vec![Part::Call(call)])
        }
        "function_call_output" | "custom_tool_call_output" => {
            let id = item.needed_text("call_id")?;
            let content = content(item, "output")?;
            (Role::User, vec![Part::Result(ToolResult { id, content, failed: false })])
        }
        // Thoughts of OpenAI's, which nobody else can use.
        "reasoning" => {
            item.ignore(&["summary", "content", "encrypted_content"]);
            (Role::Assistant, vec![Part::Thinking { text: String::new(), signature: None }])
        }
        _ => return Err(item.refuse("type", "is a kind of item that other providers do not have")),
    })
}

/// A text or parts.
fn content(of: &mut Members, name: &str) -> Result<Vec<Part>, Untranslatable> {
    of.content(name, "prompt_cache_breakpoint", Parts::Parts, part)
}

fn part(item: &mut Members) -> Result<Option<Part>, Untranslatable> {
    let text = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Part::Text);
    let kind = item.needed_text("type")?;
    Ok(match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            item.ignore(&["annotations", "logprobs"]);
            text(item.text("text")?)
        }
        "refusal" => text(item.text("refusal")?),
        "input_image" => {
            item.refuse_all(&["file_id"], "names a file that only OpenAI has")?;
            item.ignore(&["detail"]);
            let url = item.needed_text("image_url")?;
            let source = source(url).ok_or_else(|| item.refuse("image_url", "is no data URL in base64"))?;
            Some(Part::Image(source))
        }
        "input_file" => {
            item.refuse_all(&["file_id"], "names a file that only OpenAI has")?;
            let name = item.text("filename")?;
            let source = match item.text("file_url")? {
                Some(url) => Source::Url { url, media_type: None },
                None => {
                    let data = item.needed_text("file_data")?;
                    source(data).ok_or_else(|| item.refuse("file_data", "is no data URL in base64"))?
                }
            };
            Some(Part::Document { source, name })
        }
        _ => return Err(item.refuse("type", "is a kind of content that other providers do not have")),
    })
}
