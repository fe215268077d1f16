//! `POST /v1/completions`, the older text form.

use serde_json::{Value, json};

use super::refusal::{Refusal, missing, model, number};
use crate::demo::provider::api::Ask;
use crate::demo::provider::mind::{Prompt, Said, Thought, think, tokens_in};
use crate::demo::provider::reply::{Event, Reply, Role};

/// Tokens allowed where the request does not say (openai.md section 3).
const DEFAULT_LIMIT: u64 = 16;

/// Answers a text completion, as JSON or as a stream.
pub fn answer(ask: &Ask<'_>) -> Result<Reply, Refusal> {
    let model = model(ask)?;
    let prompts = prompts(&ask.body["prompt"])?;
    let per_prompt = number(ask, "n", 1.0, 128.0, 1.0)? as u64;
    let limit = ask.body["max_tokens"].as_u64().unwrap_or(DEFAULT_LIMIT);
    let mut choices = Vec::new();
    for (index, prompt) in (0..).zip(&prompts) {
        for n in 0..per_prompt {
            let seed = ask.seed.wrapping_add(index * per_prompt + n);
            let last = prompt.as_str().unwrap_or_default();
            choices.push(think(&Prompt { seed, last, tools: Vec::new(), limit: Some(limit), schema: None }));
        }
    }
    let envelope = |choices: Value| {
        json!({
            "id": ask.id("cmpl-"),
            "object": "text_completion",
            "created": ask.created(),
            "model": model,
            "choices": choices,
        })
    };
    let usage = usage(&choices, tokens_in(&ask.body["prompt"]));
    if ask.streams() {
        return Ok(Reply::events(events(ask, &choices, &envelope, &usage)));
    }
    let list = (0..)
        .zip(&choices)
        .map(|(index, thought)| choice(index, &pieces(thought).concat(), Some(finish_reason(thought))));
    let mut body = envelope(list.collect());
    body["usage"] = usage;
    Ok(Reply::json(200, &body))
}

/// The prompts of a request: a string or a row of tokens is one, an array of either is many.
fn prompts(prompt: &Value) -> Result<Vec<Value>, Refusal> {
    match prompt {
        Value::Null => Err(missing("prompt")),
        Value::Array(items) if items.first().is_some_and(|item| !item.is_number()) => Ok(items.clone()),
        one => Ok(vec![one.clone()]),
    }
}

fn events(
    ask: &Ask<'_>,
    choices: &[Thought],
    envelope: &impl Fn(Value) -> Value,
    usage: &Value,
) -> Vec<Event> {
    let asked = ask.body["stream_options"]["include_usage"] == true;
    let mut events = Vec::new();
    let mut push = |role, choices: Value, usage: &Value| {
        let mut chunk = envelope(choices);
        if asked {
            chunk["usage"] = usage.clone();
        }
        events.push(Event::data(role, &chunk));
    };
    for (index, thought) in (0..).zip(choices) {
        for piece in pieces(thought) {
            push(Role::Body, json!([choice(index, piece, None)]), &Value::Null);
        }
        push(Role::Finish, json!([choice(index, "", Some(finish_reason(thought)))]), &Value::Null);
    }
    if asked {
        push(Role::Finish, json!([]), usage);
    }
    events.push(Event::done());
    events
}

fn pieces(thought: &Thought) -> &[String] {
    match &thought.said {
        Said::Text(pieces) | Said::Refusal(pieces) => pieces,
        Said::Calls(_) => &[],
    }
}

fn choice(index: u64, text: &str, finish: Option<&str>) -> Value {
    json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish})
}

fn finish_reason(thought: &Thought) -> &'static str {
    if thought.cut { "length" } else { "stop" }
}

fn usage(choices: &[Thought], prompt: u64) -> Value {
    let completion: u64 = choices.iter().map(|thought| thought.tokens).sum();
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}
