//! A Messages request, read: all but its messages.

use serde_json::Value;

use super::super::members::Members;
use super::super::prompt::{Effort, Format, Prompt, Role, Tool, ToolChoice};
use super::super::{Api, Untranslatable};
use super::read_turns;

/// Members that change neither the answer nor its shape: who asks, what Anthropic's prompt cache does,
/// wishes of speed and price.
const NO_PART_OF_IT: [&str; 4] = ["model", "cache_control", "service_tier", "speed"];

/// Reads a body.
pub(in super::super) fn read(body: &[u8]) -> Result<Prompt, Untranslatable> {
    let mut asked = Members::parse(body)?;
    let mut prompt = Prompt::new(Api::Messages);
    asked.ignore(&NO_PART_OF_IT);
    prompt.stream = asked.flag("stream")?.unwrap_or(false);
    let system = read_turns::content(&mut asked, "system")?;
    if !system.is_empty() {
        prompt.say(Role::System, 0, system);
    }
    read_turns::read(&mut asked, &mut prompt)?;
    for (at, tool) in asked.objects("tools")?.enumerate() {
        prompt.tools.push(read_tool(tool?, at)?);
    }
    tool_choice(&mut asked, &mut prompt)?;
    prompt.max_tokens =
        Some(asked.count("max_tokens")?.ok_or_else(|| asked.refuse("max_tokens", "is missing"))?);
    for stop in asked.list("stop_sequences")? {
        match stop {
            Value::String(stop) => prompt.stop.push(stop),
            _ => return Err(asked.refuse("stop_sequences", "is not what its API describes")),
        }
    }
    prompt.sampling.temperature = asked.number_but("temperature", 1.0)?;
    prompt.sampling.top_p = asked.number_but("top_p", 1.0)?;
    prompt.sampling.top_k = asked.count("top_k")?;
    effort(&mut asked, &mut prompt)?;
    if let Some(mut metadata) = asked.object("metadata")? {
        prompt.user = metadata.text("user_id")?;
    }
    asked.nothing_else()?;
    Ok(prompt)
}

fn read_tool(mut tool: Members, at: usize) -> Result<Tool, Untranslatable> {
    if tool.text("type")?.is_some_and(|kind| kind != "custom") {
        return Err(tool.refuse("type", "is a tool that only Anthropic runs"));
    }
    // How finely its arguments are cut is no part of them.
    tool.ignore(&["eager_input_streaming"]);
    let read = Tool {
        at,
        name: tool.needed_text("name")?,
        description: tool.text("description")?,
        schema: tool.take("input_schema"),
        strict: tool.flag("strict")?.unwrap_or(false),
        custom: false,
        cache_point: tool.take("cache_control").is_some(),
    };
    tool.nothing_else()?;
    Ok(read)
}

fn tool_choice(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let Some(mut choice) = asked.object("tool_choice")? else { return Ok(()) };
    prompt.tool_choice = match choice.needed_text("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.needed_text("name")?),
        _ => return Err(choice.refuse("type", "is not known")),
    };
    prompt.parallel_calls = !choice.flag("disable_parallel_tool_use")?.unwrap_or(false);
    choice.nothing_else()
}

/// How hard to think, and the form of the answer: `thinking` and `output_config`.
fn effort(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    if let Some(mut thinking) = asked.object("thinking")? {
        // Whether thoughts are shown is for the teller to keep to.
        thinking.ignore(&["display"]);
        match thinking.needed_text("type")?.as_str() {
            "disabled" => prompt.effort = Some(Effort::None),
            "adaptive" => prompt.thoughts = true,
            "enabled" => {
                prompt.thoughts = true;
                let budget = thinking.count("budget_tokens")?.unwrap_or_default();
                prompt.effort = Some(match budget {
                    0..2048 => Effort::Low,
                    2048..4096 => Effort::Medium,
                    _ => Effort::High,
                });
            }
            _ => return Err(thinking.refuse("type", "has no counterpart in the provider's API")),
        }
        thinking.nothing_else()?;
    }
    let Some(mut config) = asked.object("output_config")? else { return Ok(()) };
    if let Some(effort) = config.text("effort")?
        && prompt.effort != Some(Effort::None)
    {
        prompt.effort = Some(Effort::named(&effort).ok_or_else(|| config.refuse("effort", "is not known"))?);
    }
    if let Some(mut format) = config.object("format")? {
        if format.needed_text("type")? != "json_schema" {
            return Err(format.refuse("type", "is not known"));
        }
        let schema = format.take("schema").ok_or_else(|| format.refuse("schema", "is missing"))?;
        prompt.format = Format::Schema { name: None, description: None, schema, strict: true };
        format.nothing_else()?;
    }
    config.nothing_else()
}
