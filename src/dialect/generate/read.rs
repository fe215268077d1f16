//! A `generateContent` request, read: all but its contents.

use serde_json::Value;

use super::super::members::Members;
use super::super::prompt::{Effort, Format, Prompt, Role, Tool, ToolChoice};
use super::super::{Api, Untranslatable};
use super::{openapi, read_turns};

/// Members that change neither the answer nor its shape: the model stands in the path, labels are for
/// the bill, and an answer names the tier it was really served in.
const NO_PART_OF_IT: [&str; 3] = ["model", "labels", "serviceTier"];
/// Thresholds of filters that let everything pass.
const UNFILTERED: [&str; 3] = ["BLOCK_NONE", "OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED"];

/// Reads a body. Whether the answer streams is not in it.
pub(in super::super) fn read(body: &[u8]) -> Result<Prompt, Untranslatable> {
    let mut asked = Members::parse(body)?.in_camel_case();
    let mut prompt = Prompt::new(Api::Generate);
    asked.ignore(&NO_PART_OF_IT);
    if let Some(system) = asked.object("systemInstruction")? {
        let parts = read_turns::system(system.in_camel_case())?;
        prompt.say(Role::System, 0, parts);
    }
    read_turns::read(&mut asked, &mut prompt)?;
    tools(&mut asked, &mut prompt)?;
    tool_config(&mut asked, &mut prompt)?;
    if let Some(config) = asked.object("generationConfig")? {
        generation_config(config.in_camel_case(), &mut prompt)?;
    }
    for setting in asked.objects("safetySettings")? {
        let mut setting = setting?;
        let threshold = setting.text("threshold")?.unwrap_or_default();
        if !threshold.is_empty() && !UNFILTERED.contains(&threshold.as_str()) {
            return Err(setting.refuse("threshold", "asks for a filter that only Gemini has"));
        }
        setting.ignore(&["category", "method"]);
        setting.nothing_else()?;
    }
    if asked.flag("store")? == Some(true) {
        return Err(asked.refuse("store", "asks Gemini to keep the answer"));
    }
    asked.refuse_all(&["cachedContent"], "names content that only Gemini keeps")?;
    asked.nothing_else()?;
    Ok(prompt)
}

fn tools(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    for tool in asked.objects("tools")? {
        let mut tool = tool?.in_camel_case();
        for declared in tool.objects("functionDeclarations")? {
            let at = prompt.tools.len();
            prompt.tools.push(declaration(declared?.in_camel_case(), at)?);
        }
        tool.nothing_else_for("is a tool that only Gemini runs")?;
    }
    Ok(())
}

fn declaration(mut declared: Members, at: usize) -> Result<Tool, Untranslatable> {
    let mut schema = declared.take("parametersJsonSchema");
    if let Some(parameters) = declared.take("parameters") {
        let parameters = openapi::as_json_schema(parameters);
        schema = Some(parameters.map_err(|reason| declared.refuse("parameters", reason))?);
    }
    let behavior = declared.text("behavior")?.unwrap_or_default();
    if behavior == "NON_BLOCKING" {
        return Err(declared.refuse("behavior", "is of a conversation in both directions at once"));
    }
    let tool = Tool {
        at,
        name: declared.needed_text("name")?,
        description: declared.text("description")?,
        schema,
        strict: false,
        custom: false,
        cache_point: false,
    };
    declared.nothing_else()?;
    Ok(tool)
}

fn tool_config(asked: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let Some(config) = asked.object("toolConfig")? else { return Ok(()) };
    let mut config = config.in_camel_case();
    let Some(calling) = config.object("functionCallingConfig")? else { return config.nothing_else() };
    let mut calling = calling.in_camel_case();
    let mut allowed = Vec::new();
    for name in calling.list("allowedFunctionNames")? {
        match name {
            Value::String(name) => allowed.push(name),
            _ => return Err(calling.refuse("allowedFunctionNames", "is not what its API describes")),
        }
    }
    let mode = calling.text("mode")?.unwrap_or_default();
    prompt.tool_choice = match (mode.as_str(), allowed.as_slice()) {
        ("NONE", _) => ToolChoice::None,
        ("ANY", [only]) => ToolChoice::Named(only.clone()),
        ("ANY", _) => ToolChoice::Required,
        ("" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED", _) => ToolChoice::Auto,
        _ => return Err(calling.refuse("mode", "is not known")),
    };
    if allowed.len() > 1 || (allowed.len() == 1 && prompt.tool_choice == ToolChoice::Auto) {
        prompt.tools.retain(|tool| allowed.contains(&tool.name));
    }
    if mode == "VALIDATED" {
        prompt.tools.iter_mut().for_each(|tool| tool.strict = true);
    }
    // Whole calls are the usual.
    if calling.flag("streamFunctionCallArguments")? != Some(true) {
        calling.ignore(&["streamFunctionCallArguments"]);
    }
    calling.nothing_else()?;
    config.nothing_else()
}

fn generation_config(mut config: Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    // How closely to look at images is a hint.
    config.ignore(&["mediaResolution"]);
    prompt.max_tokens = config.count("maxOutputTokens")?;
    let choices = config.count("candidateCount")?.unwrap_or(1).max(1);
    prompt.choices =
        u32::try_from(choices).map_err(|_| config.refuse("candidateCount", "is out of all bounds"))?;
    for stop in config.list("stopSequences")? {
        match stop {
            Value::String(stop) => prompt.stop.push(stop),
            _ => return Err(config.refuse("stopSequences", "is not what its API describes")),
        }
    }
    let sampling = &mut prompt.sampling;
    sampling.temperature = config.number_but("temperature", 1.0)?;
    sampling.top_p = config.number("topP")?;
    sampling.top_k = config.count("topK")?;
    sampling.seed = config.number("seed")?;
    sampling.presence_penalty = config.number_but("presencePenalty", 0.0)?;
    sampling.frequency_penalty = config.number_but("frequencyPenalty", 0.0)?;
    let likeliest = config.count("logprobs")?;
    if config.flag("responseLogprobs")? == Some(true) {
        prompt.logprobs = Some(likeliest.unwrap_or(0));
    }
    let modalities = config.list("responseModalities")?;
    if modalities.iter().any(|wanted| wanted != "TEXT") {
        return Err(config.refuse("responseModalities", "asks for more than text"));
    }
    format(&mut config, prompt)?;
    if let Some(thinking) = config.object("thinkingConfig")? {
        thinking_config(thinking.in_camel_case(), prompt)?;
    }
    config.nothing_else()
}

fn format(config: &mut Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    let mut schema = config.take("responseJsonSchema");
    if let Some(first) = config.take("responseSchema") {
        let first = openapi::as_json_schema(first);
        schema = Some(first.map_err(|reason| config.refuse("responseSchema", reason))?);
    }
    let media_type = config.text("responseMimeType")?.unwrap_or_default();
    prompt.format = match (media_type.as_str(), schema) {
        ("" | "text/plain", None) => Format::Text,
        ("application/json", None) => Format::JsonObject,
        ("application/json", Some(mut schema)) => {
            openapi::close(&mut schema);
            Format::Schema { name: None, description: None, schema, strict: true }
        }
        _ => {
            return Err(config.refuse("responseMimeType", "is a form of answer that only Gemini has"));
        }
    };
    Ok(())
}

fn thinking_config(mut thinking: Members, prompt: &mut Prompt) -> Result<(), Untranslatable> {
    prompt.thoughts = thinking.flag("includeThoughts")?.unwrap_or(false);
    if let Some(level) = thinking.text("thinkingLevel")? {
        prompt.effort = match level.to_ascii_lowercase().as_str() {
            "thinking_level_unspecified" => None,
            name => {
                Some(Effort::named(name).ok_or_else(|| thinking.refuse("thinkingLevel", "is not known"))?)
            }
        };
    }
    // Below zero: as much as the model sees fit.
    if let Some(budget) = thinking.number("thinkingBudget")?.and_then(|budget| budget.as_u64()) {
        prompt.effort = Some(match budget {
            0 => Effort::None,
            1..=1024 => Effort::Low,
            1025..=8192 => Effort::Medium,
            _ => Effort::High,
        });
    }
    thinking.nothing_else()
}
