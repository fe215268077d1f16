//! A prompt written as a `generateContent` request: all but its turns.

use serde_json::{Map, Value, json};

use super::super::prompt::{Effort, Format, Prompt, Tool, ToolChoice};
use super::super::{Field, Target, Unsayable};
use super::models::{Thinking, Traits, traits};
use super::{schema, write_turns};

/// The most answers Gemini gives (its guide to `candidateCount`).
const MOST_CHOICES: u32 = 8;
/// The most texts that may end an answer (its description of `stopSequences`).
const MOST_STOPS: usize = 5;

/// Writes a body.
pub(in super::super) fn write(prompt: &Prompt, target: Target) -> Result<Value, Unsayable> {
    let model = traits(target.model);
    unsayable(prompt)?;
    let written = write_turns::Written::of(prompt, &model)?;
    let mut body = Map::new();
    if !written.system.is_empty() {
        body.insert("systemInstruction".into(), json!({"parts": written.system}));
    }
    body.insert("contents".into(), written.contents.into());
    tools(prompt, &mut body)?;
    let mut config = Map::new();
    sampling(prompt, &mut config);
    format(prompt, &model, &mut config)?;
    thinking(prompt, &model, &mut config)?;
    if !config.is_empty() {
        body.insert("generationConfig".into(), config.into());
    }
    Ok(body.into())
}

/// Refuses what Gemini has no words for.
fn unsayable(prompt: &Prompt) -> Result<(), Unsayable> {
    let may_call = !prompt.tools.is_empty() && prompt.tool_choice != ToolChoice::None;
    let asked = [
        (prompt.choices > MOST_CHOICES, Field::Choices, "asks for more than the 8 answers that Gemini gives"),
        (
            prompt.choices > 1 && prompt.stream,
            Field::Choices,
            "asks for several answers in one stream, and Gemini streams one",
        ),
        (
            may_call && !prompt.parallel_calls,
            Field::ParallelCalls,
            "wants one call at a time, as `functions` does, which Gemini cannot be told",
        ),
        (prompt.stop.len() > MOST_STOPS, Field::Stop, "has more than the 5 texts that Gemini takes"),
        (prompt.verbosity.is_some(), Field::Verbosity, "is unknown to Gemini"),
    ];
    let found = asked.into_iter().find(|(asked, _, _)| *asked);
    found.map_or(Ok(()), |(_, field, reason)| Err(Unsayable(field, reason)))
}

fn tools(prompt: &Prompt, body: &mut Map<String, Value>) -> Result<(), Unsayable> {
    if prompt.tools.is_empty() {
        return Ok(());
    }
    let declared = prompt.tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?;
    body.insert("tools".into(), json!([{"functionDeclarations": declared}]));
    let calling = match &prompt.tool_choice {
        // Keeps the arguments of every call to their schemas, whether they had to be kept to or not.
        ToolChoice::Auto if prompt.tools.iter().any(|tool| tool.strict) => json!({"mode": "VALIDATED"}),
        ToolChoice::Auto => return Ok(()),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    body.insert("toolConfig".into(), json!({"functionCallingConfig": calling}));
    Ok(())
}

fn tool(tool: &Tool) -> Result<Value, Unsayable> {
    let mut written = Map::new();
    written.insert("name".into(), tool.name.as_str().into());
    if let Some(description) = &tool.description {
        written.insert("description".into(), description.as_str().into());
    }
    if let Some(schema) = tool.parameters() {
        let taken = schema::TAKEN.of(&schema, tool.strict);
        let taken = taken.map_err(|why| Unsayable(Field::Tool(tool.at), why))?;
        written.insert("parametersJsonSchema".into(), taken);
    }
    Ok(written.into())
}

/// Numbers that Gemini has the same meaning for.
fn sampling(prompt: &Prompt, config: &mut Map<String, Value>) {
    let asked = &prompt.sampling;
    let numbers = [
        ("temperature", asked.temperature.clone()),
        ("topP", asked.top_p.clone()),
        ("topK", asked.top_k.map(Into::into)),
        ("candidateCount", Some(prompt.choices).filter(|choices| *choices > 1).map(Into::into)),
        ("maxOutputTokens", prompt.max_tokens.map(Into::into)),
        ("presencePenalty", asked.presence_penalty.clone()),
        ("frequencyPenalty", asked.frequency_penalty.clone()),
        ("seed", asked.seed.clone()),
        ("logprobs", prompt.logprobs.filter(|top| *top > 0).map(Into::into)),
    ];
    for (name, number) in numbers {
        config.extend(number.map(|number| (name.to_owned(), Value::Number(number))));
    }
    if prompt.logprobs.is_some() {
        config.insert("responseLogprobs".into(), true.into());
    }
    if !prompt.stop.is_empty() {
        config.insert("stopSequences".into(), json!(prompt.stop));
    }
}

fn format(prompt: &Prompt, model: &Traits, config: &mut Map<String, Value>) -> Result<(), Unsayable> {
    let refuse = |why| Unsayable(Field::Format, why);
    if prompt.format == Format::Text {
        return Ok(());
    }
    if !prompt.tools.is_empty() && !model.third {
        return Err(refuse("is JSON, which this model does not keep to beside tools"));
    }
    config.insert("responseMimeType".into(), "application/json".into());
    if let Format::Schema { description, schema, strict, .. } = &prompt.format {
        let mut taken = schema::TAKEN.of(schema, *strict).map_err(refuse)?;
        if let (Some(description), Some(taken)) = (description, taken.as_object_mut()) {
            taken.entry("description").or_insert_with(|| description.as_str().into());
        }
        config.insert("responseJsonSchema".into(), taken);
    }
    Ok(())
}

/// How hard to think, in the words of the model's generation.
///
/// Source of the budgets: what Google's own OpenAI-compatible endpoint makes of each effort.
fn thinking(prompt: &Prompt, model: &Traits, config: &mut Map<String, Value>) -> Result<(), Unsayable> {
    let mut thinking = Map::new();
    match (model.thinking, prompt.effort) {
        (Thinking::Never, None | Some(Effort::None | Effort::Minimal)) => return Ok(()),
        (Thinking::Never, Some(_)) => {
            return Err(Unsayable(Field::Effort, "asks to think, which this model does not"));
        }
        (_, None) => {}
        (Thinking::Budget(least, most), Some(effort)) => {
            let budget = match effort {
                Effort::None => least,
                Effort::Minimal => 512,
                Effort::Low => 1024,
                Effort::Medium => 8192,
                Effort::High => 24_576,
                Effort::XHigh | Effort::Max => most,
            };
            thinking.insert("thinkingBudget".into(), budget.into());
        }
        (Thinking::Level(least, has_medium), Some(effort)) => {
            let level = match effort {
                Effort::None | Effort::Minimal => least,
                Effort::Low => "LOW",
                Effort::Medium if has_medium => "MEDIUM",
                // The most of every model.
                Effort::Medium | Effort::High | Effort::XHigh | Effort::Max => "HIGH",
            };
            thinking.insert("thinkingLevel".into(), level.into());
        }
    }
    if prompt.thoughts {
        thinking.insert("includeThoughts".into(), true.into());
    }
    if !thinking.is_empty() {
        config.insert("thinkingConfig".into(), thinking.into());
    }
    Ok(())
}
