//! The contents of a `generateContent` request, read as turns.

use serde_json::Value;

use super::super::members::Members;
use super::super::prompt::{Call, Part, Prompt, Role, Signature, Source, ToolResult};
use super::super::{Api, Untranslatable};

const FOREIGN: &str = "is a kind of part that other providers do not have";

/// Calls that wait for their results, by name and id: Gemini's clients may leave the ids out.
#[derive(Default)]
struct Open(Vec<(String, String)>);

impl Open {
    /// The id that a result refers to: its own, or that of the first open call of its name.
    fn close(&mut self, id: Option<String>, name: &str) -> Option<String> {
        let named = |(called, _): &(String, String)| called == name;
        let at = match &id {
            Some(id) => {
                self.0.iter().position(|(_, open)| open == id).or_else(|| self.0.iter().position(named))
            }
            None => self.0.iter().position(named),
        };
        at.map(|at| self.0.remove(at).1).or(id)
    }
}

/// The parts of the system instruction.
pub(super) fn system(mut content: Members) -> Result<Vec<Part>, Untranslatable> {
    content.ignore(&["role"]);
    let parts = parts(&mut content, 0, &mut Open::default())?;
    content.nothing_else()?;
    Ok(parts)
}

/// Reads the contents into the prompt's turns.
pub(super) fn read(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let mut any = false;
    let mut open = Open::default();
    for (at, content) in asked.objects("contents")?.enumerate() {
        let mut content = content?.in_camel_case();
        let role = match content.text("role")?.as_deref() {
            None | Some("user" | "function") => Role::User,
            Some("model") => Role::Assistant,
            Some(_) => return Err(content.refuse("role", "is not known")),
        };
        let parts = parts(&mut content, at, &mut open)?;
        prompt.say(role, at, parts);
        content.nothing_else()?;
        any = true;
    }
    if any { Ok(()) } else { Err(asked.refuse("contents", "is empty")) }
}

fn parts(content: &mut Members, at: usize, open: &mut Open) -> Result<Vec<Part>, Untranslatable> {
    let mut read = Vec::new();
    for (index, part) in content.objects("parts")?.enumerate() {
        let mut part = part?.in_camel_case();
        // How closely to look at an image is a hint.
        part.ignore(&["mediaResolution"]);
        let data = part.text("thoughtSignature")?.filter(|data| !data.is_empty());
        let signature = data.map(|data| Signature { by: Api::Generate, data, redacted: false });
        if part.flag("thought")? == Some(true) {
            let text = part.text("text")?.unwrap_or_default();
            read.push(Part::Thinking { text, signature });
        } else if let Some(call) = part.object("functionCall")? {
            let invented = format!("call_{at}_{index}");
            read.push(Part::Call(function_call(call.in_camel_case(), invented, signature, open)?));
        } else {
            read.extend(other(&mut part, open)?);
            read.extend(signature.map(|it| Part::Thinking { text: String::new(), signature: Some(it) }));
        }
        part.nothing_else_for(FOREIGN)?;
    }
    Ok(read)
}

fn other(part: &mut Members, open: &mut Open) -> Result<Option<Part>, Untranslatable> {
    if let Some(text) = part.text("text")? {
        return Ok(Some(text).filter(|text| !text.is_empty()).map(Part::Text));
    }
    if let Some(response) = part.object("functionResponse")? {
        return Ok(Some(Part::Result(function_response(response.in_camel_case(), open)?)));
    }
    for name in ["inlineData", "fileData"] {
        if let Some(data) = part.object(name)? {
            return media(data.in_camel_case()).map(Some);
        }
    }
    Ok(None)
}

fn function_call(
    mut call: Members,
    invented: String,
    signature: Option<Signature>,
    open: &mut Open,
) -> Result<Call, Untranslatable> {
    let id = call.text("id")?.filter(|id| !id.is_empty()).unwrap_or(invented);
    let name = call.needed_text("name")?;
    let arguments = call.take("args").unwrap_or_else(|| serde_json::json!({})).to_string();
    call.nothing_else()?;
    open.0.push((name.clone(), id.clone()));
    Ok(Call { id, name, arguments, custom: false, signature })
}

/// What a function answered: `output` or `error`, or the whole object.
fn function_response(mut response: Members, open: &mut Open) -> Result<ToolResult, Untranslatable> {
    let id = response.text("id")?.filter(|id| !id.is_empty());
    let name = response.needed_text("name")?;
    let id = open
        .close(id, &name)
        .ok_or_else(|| response.refuse("name", "is of a function that was not called before it"))?;
    let (mut said, mut failed) = (response.take("response").unwrap_or(Value::Null), false);
    if let Value::Object(members) = &mut said
        && members.len() == 1
    {
        failed = members.contains_key("error");
        let only = members.swap_remove("output").or_else(|| members.swap_remove("error"));
        if let Some(only) = only {
            said = only;
        }
    }
    let text = match said {
        Value::Null => String::new(),
        Value::String(text) => text,
        said => said.to_string(),
    };
    let mut content: Vec<_> =
        Some(text).filter(|text| !text.is_empty()).map(Part::Text).into_iter().collect();
    for part in response.objects("parts")? {
        let mut part = part?.in_camel_case();
        if let Some(data) = part.object("inlineData")? {
            content.push(media(data.in_camel_case())?);
        }
        part.nothing_else_for(FOREIGN)?;
    }
    if response.flag("willContinue")? == Some(true) {
        return Err(response.refuse("willContinue", "is of a conversation in both directions at once"));
    }
    response.ignore(&["scheduling"]);
    response.nothing_else()?;
    Ok(ToolResult { id, content, failed })
}

/// Bytes in the request or elsewhere: an image, a sound or a document.
fn media(mut data: Members) -> Result<Part, Untranslatable> {
    let media_type = data.text("mimeType")?;
    let name = data.text("displayName")?;
    let kind = media_type.as_deref().and_then(|media_type| media_type.split('/').next()).unwrap_or("");
    let kind = kind.to_owned();
    let source = match data.text("fileUri")? {
        Some(url) if !url.starts_with("https://") || url.contains("generativelanguage.googleapis.com/") => {
            return Err(data.refuse("fileUri", "names a file that only Gemini has"));
        }
        Some(url) => Source::Url { url, media_type },
        None => Source::Base64 {
            media_type: media_type.ok_or_else(|| data.refuse("mimeType", "is missing"))?,
            data: data.needed_text("data")?,
        },
    };
    let part = match kind.as_str() {
        "image" => Part::Image(source),
        "audio" => Part::Audio(source),
        "application" | "text" => Part::Document { source, name },
        _ => return Err(data.refuse("mimeType", "is a kind of content that other providers do not have")),
    };
    data.nothing_else()?;
    Ok(part)
}
