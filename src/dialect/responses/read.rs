//! A responses request, read: all but its input.

use serde_json::{Map, Value, json};

use super::super::members::Members;
use super::super::prompt::{Effort, Format, Prompt, Role, Tool, ToolChoice};
use super::super::{Api, Untranslatable};
use super::read_input;

/// Members that change neither the answer nor its shape.
const NO_PART_OF_IT: [&str; 6] = [
    "model",
    "stream_options",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
];
/// Members that stand for something OpenAI keeps.
const STATE: [&str; 4] = ["previous_response_id", "conversation", "continuation_id", "prompt"];
/// Members that an answer repeats, with what it says where the request does not have them.
const REPEATED: [(&str, Value); 9] = [
    ("instructions", Value::Null),
    ("metadata", Value::Null),
    ("parallel_tool_calls", Value::Bool(true)),
    ("temperature", Value::Null),
    ("tool_choice", Value::Null),
    ("tools", Value::Null),
    ("top_p", Value::Null),
    ("max_output_tokens", Value::Null),
    ("text", Value::Null),
];

/// Reads a body.
pub(in super::super) fn read(body: &[u8]) -> Result<Prompt, Untranslatable> {
    let mut asked = Members::parse(body)?;
    let mut prompt = Prompt::new(Api::Responses);
    prompt.echo = repeated(&asked);
    asked.ignore(&NO_PART_OF_IT);
    asked.ignore(&["metadata"]);
    stateless(&mut asked)?;
    prompt.stream = asked.flag("stream")?.unwrap_or(false);
    if let Some(instructions) = asked.text("instructions")?.filter(|text| !text.is_empty()) {
        prompt.say(Role::System, 0, vec![super::super::prompt::Part::Text(instructions)]);
    }
    read_input::read(&mut asked, &mut prompt)?;
    for (at, tool) in asked.objects("tools")?.enumerate() {
        prompt.tools.push(read_tool(tool?, at)?);
    }
    tool_choice(&mut asked, &mut prompt)?;
    prompt.parallel_calls = asked.flag("parallel_tool_calls")?.unwrap_or(true);
    prompt.max_tokens = asked.count("max_output_tokens")?;
    prompt.sampling.temperature = asked.number_but("temperature", 1.0)?;
    prompt.sampling.top_p = asked.number_but("top_p", 1.0)?;
    text(&mut asked, &mut prompt)?;
    reasoning(&mut asked, &mut prompt)?;
    include(&mut asked)?;
    let user = asked.text("user")?;
    prompt.user = asked.text("safety_identifier")?.or(user);
    asked.nothing_else()?;
    Ok(prompt)
}

/// What the answer will repeat of the request.
fn repeated(asked: &Members) -> Map<String, Value> {
    let mut echo = Map::new();
    for (name, default) in REPEATED {
        let default = match name {
            "tool_choice" => "auto".into(),
            "tools" => json!([]),
            "metadata" => json!({}),
            "text" => json!({"format": {"type": "text"}}),
            _ => default,
        };
        echo.insert(name.to_owned(), asked.peek(name).cloned().unwrap_or(default));
    }
    // Nothing was kept: an answer says so.
    echo.insert("store".into(), false.into());
    echo
}

/// Refuses what relies on something OpenAI keeps.
fn stateless(asked: &mut Members) -> Result<(), Untranslatable> {
    asked.refuse_all(&STATE, "refers to something that only OpenAI keeps")?;
    if asked.flag("store")? == Some(true) {
        return Err(asked.refuse("store", "asks OpenAI to keep the answer"));
    }
    if asked.flag("background")? == Some(true) {
        return Err(asked.refuse("background", "asks OpenAI to keep the answer until it is fetched"));
    }
    if asked.text("truncation")?.is_some_and(|truncation| truncation != "disabled") {
        return Err(asked.refuse("truncation", "lets OpenAI leave out a part of the input"));
    }
    Ok(())
}

fn read_tool(mut tool: Members, at: usize) -> Result<Tool, Untranslatable> {
    let kind = tool.needed_text("type")?;
    if !matches!(kind.as_str(), "function" | "custom") {
        return Err(tool.refuse("type", "is a tool that only OpenAI runs"));
    }
    if let Some(mut format) = tool.object("format")?
        && format.needed_text("type")? != "text"
    {
        return Err(tool.refuse("format", "is a grammar, which other providers do not keep to"));
    }
    let read = Tool {
        at,
        name: tool.needed_text("name")?,
        description: tool.text("description")?,
        schema: tool.take("parameters"),
        strict: tool.flag("strict")?.unwrap_or(false),
        custom: kind == "custom",
        cache_point: false,
    };
    tool.nothing_else()?;
    Ok(read)
}

fn tool_choice(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let place = asked.path("tool_choice");
    let choice = match asked.take("tool_choice") {
        None => return Ok(()),
        Some(Value::String(word)) => {
            prompt.tool_choice = match word.as_str() {
                "auto" => ToolChoice::Auto,
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                _ => return Err(asked.refuse("tool_choice", "is not known")),
            };
            return Ok(());
        }
        Some(choice) => choice,
    };
    let mut choice = Members::of(choice, place)?;
    prompt.tool_choice = match choice.needed_text("type")?.as_str() {
        "function" | "custom" => ToolChoice::Named(choice.needed_text("name")?),
        "allowed_tools" => {
            let mut names = Vec::new();
            for tool in choice.objects("tools")? {
                let mut tool = tool?;
                names.push(tool.needed_text("name")?);
                tool.ignore(&["type"]);
                tool.nothing_else()?;
            }
            prompt.tools.retain(|tool| names.contains(&tool.name));
            match choice.needed_text("mode")?.as_str() {
                "required" => ToolChoice::Required,
                _ => ToolChoice::Auto,
            }
        }
        _ => return Err(choice.refuse("type", "is a tool that only OpenAI runs")),
    };
    choice.nothing_else()
}

/// `text`: the form of the answer.
fn text(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let Some(mut text) = asked.object("text")? else { return Ok(()) };
    prompt.verbosity = text.text("verbosity")?.filter(|verbosity| verbosity != "medium");
    if let Some(mut format) = text.object("format")? {
        prompt.format = match format.needed_text("type")?.as_str() {
            "text" => Format::Text,
            "json_object" => Format::JsonObject,
            "json_schema" => Format::Schema {
                name: format.text("name")?,
                description: format.text("description")?,
                schema: format.take("schema").unwrap_or_else(|| json!({"type": "object"})),
                strict: format.flag("strict")?.unwrap_or(false),
            },
            _ => return Err(format.refuse("type", "is not known")),
        };
        format.nothing_else()?;
    }
    text.nothing_else()
}

fn reasoning(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let Some(mut reasoning) = asked.object("reasoning")? else { return Ok(()) };
    if let Some(effort) = reasoning.text("effort")? {
        prompt.effort =
            Some(Effort::named(&effort).ok_or_else(|| reasoning.refuse("effort", "is not known"))?);
    }
    let summary = reasoning.text("generate_summary")?;
    prompt.thoughts = reasoning.text("summary")?.or(summary).is_some();
    reasoning.nothing_else()
}

/// `include`: thoughts in a form only OpenAI can read are nothing another provider has to give.
fn include(asked: &mut Members) -> Result<(), Untranslatable> {
    let wanted = asked.list("include")?;
    if wanted.iter().any(|wanted| wanted != "reasoning.encrypted_content") {
        return Err(asked.refuse("include", "asks for what only OpenAI gives"));
    }
    let logprobs = asked.count("top_logprobs")?;
    if logprobs.is_some_and(|top| top > 0) {
        return Err(asked.refuse("top_logprobs", "asks for what this API's translation does not have"));
    }
    Ok(())
}
