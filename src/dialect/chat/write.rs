//! A prompt written as a chat completions request: all but its messages.

use serde_json::{Map, Value, json};

use super::super::prompt::{Effort, Format, Prompt, Tool, ToolChoice};
use super::super::{Field, Target, Unsayable};
use super::write_turns;

/// Texts that may end an answer (OpenAI's API description).
const MOST_STOPS: usize = 4;
/// Beginnings of the names of OpenAI's models that do not think.
const THOUGHTLESS: [&str; 3] = ["gpt-3.5", "gpt-4", "chatgpt-"];

/// Why a schema is refused that is to be kept to strictly.
const OPEN_SCHEMA: &str =
    "has a schema with optional or unnamed members, which OpenAI does not keep to strictly";

/// Writes a body.
pub(in super::super) fn write(prompt: &Prompt, target: Target) -> Result<Value, Unsayable> {
    let mut body = Map::new();
    body.insert("model".into(), target.model.into());
    body.insert("messages".into(), write_turns::messages(prompt, target.server)?.into());
    tools(prompt, &mut body)?;
    format(prompt, &mut body)?;
    if let Some(limit) = prompt.max_tokens {
        // OpenAI's models refuse the old name, and servers that only came to be compatible know no other.
        let openais = target.server.is_openais() || is_openais(target.model);
        let name = if openais { "max_completion_tokens" } else { "max_tokens" };
        body.insert(name.into(), limit.into());
    }
    if prompt.stop.len() > MOST_STOPS {
        return Err(Unsayable(Field::Stop, "has more than the 4 texts that OpenAI's API takes"));
    }
    if !prompt.stop.is_empty() {
        body.insert("stop".into(), json!(prompt.stop));
    }
    if prompt.choices > 1 {
        body.insert("n".into(), prompt.choices.into());
    }
    sampling(prompt, &mut body)?;
    effort(prompt, target, &mut body)?;
    if let Some(verbosity) = &prompt.verbosity {
        body.insert("verbosity".into(), verbosity.as_str().into());
    }
    if let Some(user) = &prompt.user {
        body.insert("user".into(), user.as_str().into());
    }
    if prompt.stream {
        body.insert("stream".into(), true.into());
        // Every other API counts its tokens unasked.
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    Ok(body.into())
}

fn is_openais(model: &str) -> bool {
    let numbered = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    numbered || model.starts_with("gpt-") || model.starts_with("chatgpt-")
}

fn tools(prompt: &Prompt, body: &mut Map<String, Value>) -> Result<(), Unsayable> {
    if prompt.tools.is_empty() {
        return Ok(());
    }
    let open = |tool: &&Tool| tool.strict && !tool.schema.as_ref().is_none_or(is_closed);
    if let Some(tool) = prompt.tools.iter().find(open) {
        return Err(Unsayable(Field::Tool(tool.at), OPEN_SCHEMA));
    }
    body.insert("tools".into(), prompt.tools.iter().map(tool).collect());
    let choice = match &prompt.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Named(name) => Some(json!({"type": "function", "function": {"name": name}})),
    };
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
    if !prompt.parallel_calls {
        body.insert("parallel_tool_calls".into(), false.into());
    }
    Ok(())
}

fn tool(tool: &Tool) -> Value {
    let mut written = Map::new();
    written.insert("name".into(), tool.name.as_str().into());
    if let Some(description) = &tool.description {
        written.insert("description".into(), description.as_str().into());
    }
    // Few compatible servers know custom tools.
    if let Some(schema) = tool.parameters() {
        written.insert("parameters".into(), schema.into_owned());
    }
    if tool.strict {
        written.insert("strict".into(), true.into());
    }
    json!({"type": "function", "function": written})
}

fn format(prompt: &Prompt, body: &mut Map<String, Value>) -> Result<(), Unsayable> {
    let format = match &prompt.format {
        Format::Text => return Ok(()),
        Format::JsonObject => json!({"type": "json_object"}),
        Format::Schema { name, description, schema, strict } => {
            if *strict && !is_closed(schema) {
                return Err(Unsayable(Field::Format, OPEN_SCHEMA));
            }
            let mut named = Map::new();
            named.insert("name".into(), name.as_deref().unwrap_or("answer").into());
            named.extend(description.as_deref().map(|text| ("description".to_owned(), text.into())));
            named.insert("schema".into(), schema.clone());
            named.insert("strict".into(), (*strict).into());
            json!({"type": "json_schema", "json_schema": named})
        }
    };
    body.insert("response_format".into(), format);
    Ok(())
}

/// Whether a schema is one that OpenAI keeps to strictly: every object of it is closed and needs all its
/// members.
fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Array(items) => items.iter().all(is_closed),
        Value::Object(members) => {
            let needed: Vec<&Value> =
                members.get("required").and_then(Value::as_array).into_iter().flatten().collect();
            let properties = members.get("properties").and_then(Value::as_object);
            let own = properties.is_none_or(|properties| {
                properties.keys().all(|name| needed.iter().any(|one| *one == name))
                    && members.get("additionalProperties") == Some(&Value::Bool(false))
            });
            own && members.values().all(is_closed)
        }
        _ => true,
    }
}

fn sampling(prompt: &Prompt, body: &mut Map<String, Value>) -> Result<(), Unsayable> {
    let asked = &prompt.sampling;
    if asked.top_k.is_some() {
        return Err(Unsayable(Field::TopK, "is unknown to OpenAI's API"));
    }
    for (name, number) in [
        ("temperature", &asked.temperature),
        ("top_p", &asked.top_p),
        ("seed", &asked.seed),
        ("presence_penalty", &asked.presence_penalty),
        ("frequency_penalty", &asked.frequency_penalty),
    ] {
        body.extend(number.clone().map(|number| (name.to_owned(), number.into())));
    }
    if let Some(top) = prompt.logprobs {
        body.insert("logprobs".into(), true.into());
        if top > 0 {
            body.insert("top_logprobs".into(), top.into());
        }
    }
    Ok(())
}

fn effort(prompt: &Prompt, target: Target, body: &mut Map<String, Value>) -> Result<(), Unsayable> {
    let Some(effort) = prompt.effort else { return Ok(()) };
    if THOUGHTLESS.iter().any(|name| target.model.starts_with(name)) {
        return match effort {
            Effort::None => Ok(()),
            _ => Err(Unsayable(Field::Effort, "asks to think, which this model does not")),
        };
    }
    body.insert("reasoning_effort".into(), effort.name().into());
    Ok(())
}
