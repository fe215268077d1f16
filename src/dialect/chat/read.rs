//! A chat completions request, read: all but its messages.

use serde_json::Value;

use super::super::members::Members;
use super::super::prompt::{Effort, Format, Prompt, Sampling, Tool, ToolChoice};
use super::super::{Api, Untranslatable};
use super::messages;

/// Members that change neither the answer nor its shape: who asks, what OpenAI keeps of it, what its own
/// prompt cache does, and hints of speed. An answer names the tier it was really served in.
const NO_PART_OF_IT: [&str; 8] = [
    "model",
    "stream_options",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "prediction",
];
/// Members that only OpenAI has.
const ONLY_OPENAI: [&str; 5] = ["audio", "web_search_options", "moderation", "logit_bias", "modalities"];

/// Reads a body.
pub(in super::super) fn read(body: &[u8]) -> Result<Prompt, Untranslatable> {
    let mut asked = Members::parse(body)?;
    let mut prompt = Prompt::new(Api::Chat);
    asked.ignore(&NO_PART_OF_IT);
    prompt.stream = asked.flag("stream")?.unwrap_or(false);
    messages::read(&mut asked, &mut prompt)?;
    tools(&mut asked, &mut prompt)?;
    legacy_functions(&mut asked, &mut prompt)?;
    format(&mut asked, &mut prompt)?;
    let limit = asked.count("max_tokens")?;
    prompt.max_tokens = asked.count("max_completion_tokens")?.or(limit);
    prompt.stop = stop(&mut asked)?;
    prompt.choices = choices(&mut asked)?;
    prompt.sampling = sampling(&mut asked)?;
    logprobs(&mut asked, &mut prompt)?;
    prompt.effort = match asked.text("reasoning_effort")? {
        Some(name) => {
            Some(Effort::named(&name).ok_or_else(|| asked.refuse("reasoning_effort", "is not known"))?)
        }
        None => None,
    };
    prompt.verbosity = asked.text("verbosity")?.filter(|verbosity| verbosity != "medium");
    let user = asked.text("user")?;
    prompt.user = asked.text("safety_identifier")?.or(user);
    only_openai(&mut asked)?;
    asked.nothing_else()?;
    Ok(prompt)
}

/// Refuses what asks for something that only OpenAI has, unless it asks for nothing.
fn only_openai(asked: &mut Members) -> Result<(), Untranslatable> {
    if asked.flag("store")? == Some(true) {
        return Err(asked.refuse("store", "asks OpenAI to keep the answer"));
    }
    let modalities = asked.take("modalities");
    if modalities.is_some_and(|wanted| wanted != serde_json::json!(["text"])) {
        return Err(asked.refuse("modalities", "asks for more than text"));
    }
    let bias = asked.take("logit_bias");
    if bias.is_some_and(|bias| bias.as_object().is_none_or(|bias| !bias.is_empty())) {
        return Err(asked.refuse("logit_bias", "names tokens of OpenAI's models"));
    }
    asked.refuse_all(&ONLY_OPENAI, "is something only OpenAI has")
}

fn choices(asked: &mut Members) -> Result<u32, Untranslatable> {
    let choices = asked.count("n")?.unwrap_or(1).max(1);
    u32::try_from(choices).map_err(|_| asked.refuse("n", "is out of all bounds"))
}

fn sampling(asked: &mut Members) -> Result<Sampling, Untranslatable> {
    Ok(Sampling {
        temperature: asked.number_but("temperature", 1.0)?,
        top_p: asked.number_but("top_p", 1.0)?,
        top_k: None,
        seed: asked.number("seed")?,
        presence_penalty: asked.number_but("presence_penalty", 0.0)?,
        frequency_penalty: asked.number_but("frequency_penalty", 0.0)?,
    })
}

fn logprobs(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let top = asked.count("top_logprobs")?;
    if asked.flag("logprobs")? == Some(true) {
        prompt.logprobs = Some(top.unwrap_or(0));
    }
    Ok(())
}

fn stop(asked: &mut Members) -> Result<Vec<String>, Untranslatable> {
    let texts = |items: Vec<Value>| {
        let text = |item| if let Value::String(text) = item { Some(text) } else { None };
        items.into_iter().map(text).collect::<Option<Vec<_>>>()
    };
    let stop = match asked.take("stop") {
        None => Some(Vec::new()),
        Some(Value::String(one)) => Some(vec![one]),
        Some(Value::Array(items)) => texts(items),
        Some(_) => None,
    };
    stop.ok_or_else(|| asked.refuse("stop", "is neither a text nor a list of texts"))
}

fn format(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let Some(mut format) = asked.object("response_format")? else { return Ok(()) };
    prompt.format = match format.needed_text("type")?.as_str() {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => {
            let mut named = format.needed("json_schema")?;
            let schema = Format::Schema {
                name: named.text("name")?,
                description: named.text("description")?,
                schema: named.take("schema").unwrap_or_else(|| serde_json::json!({"type": "object"})),
                strict: named.flag("strict")?.unwrap_or(false),
            };
            named.nothing_else()?;
            schema
        }
        _ => return Err(format.refuse("type", "is not known")),
    };
    format.nothing_else()
}

fn tools(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    for (at, tool) in asked.objects("tools")?.enumerate() {
        prompt.tools.push(read_tool(tool?, at)?);
    }
    prompt.parallel_calls = asked.flag("parallel_tool_calls")?.unwrap_or(true);
    let place = asked.path("tool_choice");
    prompt.tool_choice = match asked.take("tool_choice") {
        None => ToolChoice::Auto,
        Some(Value::String(word)) => match word.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(asked.refuse("tool_choice", "is not known")),
        },
        Some(choice) => chosen(Members::of(choice, place)?, prompt)?,
    };
    Ok(())
}

fn read_tool(mut tool: Members, at: usize) -> Result<Tool, Untranslatable> {
    let kind = tool.needed_text("type")?;
    if !matches!(kind.as_str(), "function" | "custom") {
        return Err(tool.refuse("type", "is a tool that only OpenAI runs"));
    }
    let custom = kind == "custom";
    let mut defined = tool.needed(&kind)?;
    if let Some(mut format) = defined.object("format")?
        && format.needed_text("type")? != "text"
    {
        return Err(defined.refuse("format", "is a grammar, which other providers do not keep to"));
    }
    let read = Tool {
        at,
        name: defined.needed_text("name")?,
        description: defined.text("description")?,
        schema: defined.take("parameters"),
        strict: defined.flag("strict")?.unwrap_or(false),
        custom,
        cache_point: tool.take("prompt_cache_breakpoint").is_some(),
    };
    defined.nothing_else()?;
    tool.nothing_else()?;
    Ok(read)
}

/// A choice in the form of an object: one tool, or some of them.
fn chosen(mut choice: Members, prompt: &mut Prompt) -> Result<ToolChoice, Untranslatable> {
    let kind = choice.needed_text("type")?;
    let chosen = match kind.as_str() {
        "function" | "custom" => ToolChoice::Named(named(choice.needed(&kind)?)?),
        "allowed_tools" => {
            let mut allowed = choice.needed("allowed_tools")?;
            let mut names = Vec::new();
            for tool in allowed.objects("tools")? {
                let mut tool = tool?;
                let kind = tool.needed_text("type")?;
                names.push(named(tool.needed(&kind)?)?);
                tool.nothing_else()?;
            }
            prompt.tools.retain(|tool| names.contains(&tool.name));
            let choice = match allowed.needed_text("mode")?.as_str() {
                "required" => ToolChoice::Required,
                _ => ToolChoice::Auto,
            };
            allowed.nothing_else()?;
            choice
        }
        _ => return Err(choice.refuse("type", "is not known")),
    };
    choice.nothing_else()?;
    Ok(chosen)
}

/// The name of the tool that an object names and says nothing else of.
fn named(mut tool: Members) -> Result<String, Untranslatable> {
    let name = tool.needed_text("name")?;
    tool.nothing_else()?;
    Ok(name)
}

/// OpenAI's first form of tools: `functions` and `function_call`.
fn legacy_functions(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    for (at, function) in asked.objects("functions")?.enumerate() {
        let mut function = function?;
        prompt.legacy_functions = true;
        prompt.tools.push(Tool {
            at,
            name: function.needed_text("name")?,
            description: function.text("description")?,
            schema: function.take("parameters"),
            strict: false,
            custom: false,
            cache_point: false,
        });
        function.nothing_else()?;
    }
    if prompt.legacy_functions {
        prompt.parallel_calls = false;
    }
    let place = asked.path("function_call");
    match asked.take("function_call") {
        None => {}
        Some(Value::String(word)) if word == "auto" => {}
        Some(Value::String(word)) if word == "none" => prompt.tool_choice = ToolChoice::None,
        Some(choice) => {
            prompt.tool_choice = ToolChoice::Named(named(Members::of(choice, place)?)?);
        }
    }
    Ok(())
}
