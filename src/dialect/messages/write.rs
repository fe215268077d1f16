//! A prompt written as a Messages request: all but its turns.

use serde_json::{Map, Value, json};

use super::super::prompt::{Effort, Format, Prompt, Tool, ToolChoice};
use super::super::{Field, Target, Unsayable};
use super::models::{Thinking, Traits, traits};
use super::{schema, write_turns};

/// The least Anthropic lets a model think, in tokens.
const LEAST_BUDGET: u64 = 1024;

/// What stands for OpenAI's `json_object`; whether it was heeded, the translator checks.
const JSON_ONLY: &str = "Answer with one JSON object and nothing else: no prose, no code fence.";

/// Writes a body.
pub(in super::super) fn write(prompt: &Prompt, target: Target) -> Result<Value, Unsayable> {
    let model = traits(target.model);
    unsayable(prompt)?;
    let mut body = Map::new();
    body.insert("model".into(), target.model.into());
    let limit = prompt.max_tokens.unwrap_or(model.most_tokens).min(model.most_tokens);
    if limit == 0 {
        return Err(Unsayable(Field::MaxTokens, "asks for no answer at all"));
    }
    body.insert("max_tokens".into(), limit.into());
    let mut written = write_turns::Written::of(prompt, &model)?;
    if prompt.format == Format::JsonObject {
        written.system.push(json!({"type": "text", "text": JSON_ONLY}));
    }
    if !written.system.is_empty() {
        body.insert("system".into(), written.system.into());
    }
    body.insert("messages".into(), written.messages.into());
    tools(prompt, &model, &mut body)?;
    if !prompt.stop.is_empty() {
        if prompt.stop.iter().any(|stop| stop.trim().is_empty()) {
            return Err(Unsayable(Field::Stop, "has a text of white space only, which Anthropic refuses"));
        }
        body.insert("stop_sequences".into(), json!(prompt.stop));
    }
    sampling(prompt, &model, &mut body)?;
    thinking(prompt, &model, limit, &mut body)?;
    if let Format::Schema { schema, strict, .. } = &prompt.format {
        if !model.schemas {
            return Err(Unsayable(Field::Format, "is a JSON schema, which this model does not keep to"));
        }
        let schema = schema::TAKEN.of(schema, *strict).map_err(|why| Unsayable(Field::Format, why))?;
        let config = body.entry("output_config").or_insert_with(|| json!({}));
        config["format"] = json!({"type": "json_schema", "schema": schema});
    }
    if let Some(user) = &prompt.user {
        body.insert("metadata".into(), json!({"user_id": opaque(user)}));
    }
    if prompt.stream {
        body.insert("stream".into(), true.into());
    }
    Ok(body.into())
}

/// Refuses what Anthropic has no words for.
fn unsayable(prompt: &Prompt) -> Result<(), Unsayable> {
    let asked = [
        (prompt.choices > 1, Field::Choices, "asks for several answers, and Anthropic gives one"),
        (prompt.logprobs.is_some(), Field::Logprobs, "asks for what Anthropic does not tell"),
        (prompt.sampling.seed.is_some(), Field::Seed, "is unknown to Anthropic"),
        (prompt.sampling.presence_penalty.is_some(), Field::PresencePenalty, "is unknown to Anthropic"),
        (prompt.sampling.frequency_penalty.is_some(), Field::FrequencyPenalty, "is unknown to Anthropic"),
        (prompt.verbosity.is_some(), Field::Verbosity, "is unknown to Anthropic"),
    ];
    let found = asked.into_iter().find(|(asked, _, _)| *asked);
    found.map_or(Ok(()), |(_, field, reason)| Err(Unsayable(field, reason)))
}

fn tools(prompt: &Prompt, model: &Traits, body: &mut Map<String, Value>) -> Result<(), Unsayable> {
    if prompt.tools.is_empty() {
        return Ok(());
    }
    let tools = prompt.tools.iter().map(|one| tool(one, model)).collect::<Result<Vec<_>, _>>()?;
    body.insert("tools".into(), tools.into());
    let forced = matches!(prompt.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
    if forced && !model.forced_choice {
        return Err(Unsayable(Field::ToolChoice, "demands a call, which this model cannot be made to do"));
    }
    let mut choice = match &prompt.tool_choice {
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::None => json!({"type": "none"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    };
    if !prompt.parallel_calls && prompt.tool_choice != ToolChoice::None {
        choice["disable_parallel_tool_use"] = true.into();
    } else if prompt.tool_choice == ToolChoice::Auto {
        return Ok(());
    }
    body.insert("tool_choice".into(), choice);
    Ok(())
}

fn tool(tool: &Tool, model: &Traits) -> Result<Value, Unsayable> {
    let mut written = Map::new();
    written.insert("name".into(), tool.name.as_str().into());
    if let Some(description) = &tool.description {
        written.insert("description".into(), description.as_str().into());
    }
    let schema = match tool.parameters() {
        None => json!({"type": "object", "properties": {}}),
        Some(schema) if tool.strict && model.schemas => {
            schema::TAKEN.of(&schema, true).map_err(|why| Unsayable(Field::Tool(tool.at), why))?
        }
        Some(schema) => schema.into_owned(),
    };
    written.insert("input_schema".into(), schema);
    if tool.strict && !model.schemas {
        return Err(Unsayable(Field::Tool(tool.at), "is strict, which this model does not keep to"));
    }
    if tool.strict {
        written.insert("strict".into(), true.into());
    }
    if tool.cache_point {
        written.insert("cache_control".into(), json!({"type": "ephemeral"}));
    }
    Ok(written.into())
}

fn sampling(prompt: &Prompt, model: &Traits, body: &mut Map<String, Value>) -> Result<(), Unsayable> {
    const FIXED: &str = "cannot be set at this model";
    let asked = &prompt.sampling;
    if let Some(temperature) = &asked.temperature {
        if !model.sampling {
            return Err(Unsayable(Field::Temperature, FIXED));
        }
        if temperature.as_f64().is_none_or(|number| number > 1.0) {
            return Err(Unsayable(Field::Temperature, "is above 1, the most Anthropic has"));
        }
        body.insert("temperature".into(), temperature.clone().into());
    }
    if let Some(top_p) = &asked.top_p {
        if !model.sampling {
            return Err(Unsayable(Field::TopP, FIXED));
        }
        if asked.temperature.is_some() {
            return Err(Unsayable(Field::TopP, "cannot be set beside `temperature` at Anthropic"));
        }
        body.insert("top_p".into(), top_p.clone().into());
    }
    if let Some(top_k) = asked.top_k {
        if !model.sampling {
            return Err(Unsayable(Field::TopK, FIXED));
        }
        body.insert("top_k".into(), top_k.into());
    }
    Ok(())
}

/// How hard to think, in the words of the model's generation.
fn thinking(
    prompt: &Prompt,
    model: &Traits,
    limit: u64,
    body: &mut Map<String, Value>,
) -> Result<(), Unsayable> {
    let Some(effort) = prompt.effort else { return Ok(()) };
    let level = match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh => "xhigh",
        Effort::Max => "max",
    };
    match model.thinking {
        Thinking::Never if effort <= Effort::Minimal => {}
        Thinking::Never => return Err(Unsayable(Field::Effort, "asks to think, which this model does not")),
        Thinking::Budget | Thinking::Adaptive if effort == Effort::None => {
            body.insert("thinking".into(), json!({"type": "disabled"}));
        }
        Thinking::Adaptive | Thinking::Always => {
            body.insert("thinking".into(), json!({"type": "adaptive"}));
            body.insert("output_config".into(), json!({"effort": level}));
        }
        Thinking::Budget => {
            body.insert(
                "thinking".into(),
                json!({"type": "enabled", "budget_tokens": budget(prompt, effort, limit)?}),
            );
        }
    }
    Ok(())
}

/// Tokens to think with, at a model that must be told.
fn budget(prompt: &Prompt, effort: Effort, limit: u64) -> Result<u64, Unsayable> {
    let wished = match effort {
        Effort::None | Effort::Minimal | Effort::Low => LEAST_BUDGET,
        Effort::Medium => 2048,
        Effort::High => 4096,
        Effort::XHigh => 8192,
        Effort::Max => 16_384,
    };
    if limit <= LEAST_BUDGET {
        return Err(Unsayable(
            Field::MaxTokens,
            "leaves this model no room to think: it needs more than 1024",
        ));
    }
    if prompt.sampling.temperature.is_some() {
        return Err(Unsayable(Field::Temperature, "cannot be set at this model while it thinks"));
    }
    if matches!(prompt.tool_choice, ToolChoice::Required | ToolChoice::Named(_)) {
        return Err(Unsayable(Field::ToolChoice, "cannot demand a call of this model while it thinks"));
    }
    if write_turns::is_in_unsigned_loop(prompt) {
        return Err(Unsayable(
            Field::Effort,
            "asks to think amid tool calls whose own thoughts this model would have to see again",
        ));
    }
    Ok(wished.min(limit - 1))
}

/// A user's name as Anthropic wants it: never an address of theirs, at most 256 characters.
fn opaque(user: &str) -> String {
    if user.contains('@') || user.chars().count() > 256 {
        blake3::hash(user.as_bytes()).to_hex().to_string()
    } else {
        user.to_owned()
    }
}
