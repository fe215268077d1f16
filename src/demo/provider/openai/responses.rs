//! `POST /v1/responses`.

use serde_json::{Value, json};

use super::chat::tools;
use super::refusal::{Refusal, missing, model, number};
use super::responses_stream;
use crate::demo::provider::api::Ask;
use crate::demo::provider::mind::{Prompt, Said, Thought, think, tokens_in};
use crate::demo::provider::reply::Reply;

/// An answer before it is worded.
pub struct Response<'a> {
    pub ask: &'a Ask<'a>,
    pub model: &'a str,
    pub thought: Thought,
    input_tokens: u64,
}

/// Answers a responses request, as JSON or as a stream.
pub fn answer(ask: &Ask<'_>) -> Result<Reply, Refusal> {
    let model = model(ask)?;
    let input = &ask.body["input"];
    if input.is_null() && ask.body["prompt"].is_null() {
        return Err(missing("input"));
    }
    number(ask, "temperature", 0.0, 2.0, 1.0)?;
    let format = &ask.body["text"]["format"];
    let answered = input.as_array().and_then(|items| items.last()).is_some_and(is_result);
    let thought = think(&Prompt {
        seed: ask.seed,
        last: last_text(input),
        tools: if answered { Vec::new() } else { tools(ask.body) },
        limit: ask.body["max_output_tokens"].as_u64(),
        schema: match format["type"].as_str() {
            Some("json_schema") => Some(&format["schema"]),
            Some("json_object") => Some(&Value::Null),
            _ => None,
        },
    });
    let input_tokens =
        tokens_in(input) + tokens_in(&ask.body["instructions"]) + tokens_in(&ask.body["tools"]);
    let response = Response { ask, model, thought, input_tokens };
    if ask.streams() {
        return Ok(Reply::events(responses_stream::events(&response)));
    }
    Ok(Reply::json(200, &response.body(response.status(), response.output(), response.usage())))
}

fn is_result(item: &Value) -> bool {
    matches!(item["type"].as_str(), Some("function_call_output" | "custom_tool_call_output"))
}

fn last_text(input: &Value) -> &str {
    let item = input.as_array().and_then(|items| items.iter().rev().find(|item| item["role"] == "user"));
    let content = item.map_or(input, |item| &item["content"]);
    content
        .as_str()
        .or_else(|| content.as_array()?.iter().rev().find_map(|part| part["text"].as_str()))
        .unwrap_or("")
}

impl Response<'_> {
    /// `completed`, or `incomplete` where the limit cut it short.
    pub fn status(&self) -> &'static str {
        if self.thought.cut { "incomplete" } else { "completed" }
    }

    /// The response object around an output.
    pub fn body(&self, status: &str, output: Value, usage: Value) -> Value {
        let body = self.ask.body;
        let given = |name: &str, default: Value| {
            body.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default)
        };
        let cut = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
        json!({
            "id": self.ask.id("resp_"),
            "object": "response",
            "created_at": self.ask.created(),
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": cut,
            "instructions": body["instructions"],
            "max_output_tokens": body["max_output_tokens"],
            "model": self.model,
            "output": output,
            "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
            "previous_response_id": body["previous_response_id"],
            "reasoning": given("reasoning", json!({"effort": null, "summary": null})),
            "service_tier": "default",
            "store": given("store", json!(true)),
            "temperature": given("temperature", json!(1.0)),
            "text": given("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
            "tool_choice": given("tool_choice", json!("auto")),
            "tools": given("tools", json!([])),
            "top_p": given("top_p", json!(1.0)),
            "truncation": "disabled",
            "usage": usage,
            "user": body["user"],
            "metadata": given("metadata", json!({})),
        })
    }

    /// The finished output items.
    pub fn output(&self) -> Value {
        (0..self.items()).map(|index| self.item(index, self.status(), true)).collect()
    }

    /// How many output items there are.
    pub fn items(&self) -> usize {
        if let Said::Calls(calls) = &self.thought.said { calls.len() } else { 1 }
    }

    /// One output item, with or without what is in it.
    pub fn item(&self, index: usize, status: &str, full: bool) -> Value {
        let id = |prefix| self.ask.nth_id(prefix, 1 + index as u64);
        let Said::Calls(calls) = &self.thought.said else {
            let content = if full { json!([self.part(true)]) } else { json!([]) };
            return json!({
                "id": id("msg_"), "type": "message", "status": status, "role": "assistant", "content": content,
            });
        };
        let call = &calls[index];
        let input = if full { &*call.input } else { "" };
        if call.free {
            return json!({
                "id": id("ctc_"), "type": "custom_tool_call", "status": status, "call_id": id("call_"),
                "name": call.name, "input": input,
            });
        }
        json!({
            "id": id("fc_"), "type": "function_call", "status": status, "call_id": id("call_"),
            "name": call.name, "arguments": input,
        })
    }

    /// The only content part of a message, with or without its text.
    pub fn part(&self, full: bool) -> Value {
        let text = |pieces: &[String]| if full { pieces.concat() } else { String::new() };
        match &self.thought.said {
            Said::Refusal(pieces) => json!({"type": "refusal", "refusal": text(pieces)}),
            Said::Text(pieces) => {
                json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text(pieces)})
            }
            Said::Calls(_) => Value::Null,
        }
    }

    pub fn usage(&self) -> Value {
        let output = self.thought.tokens + self.thought.reasoning;
        json!({
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": self.thought.reasoning},
            "total_tokens": self.input_tokens + output,
        })
    }
}
