//! `POST /v1/chat/completions`.

use serde_json::{Value, json};

use super::chat_stream;
use super::refusal::{Refusal, missing, model, number};
use crate::demo::provider::api::Ask;
use crate::demo::provider::mind::{Prompt, Said, Thought, Tool, ToolCall, think, tokens_in};
use crate::demo::provider::reply::Reply;

/// A chat answer before it is worded: one thought per choice.
pub struct Chat<'a> {
    pub ask: &'a Ask<'a>,
    pub model: &'a str,
    pub choices: Vec<Thought>,
    pub prompt_tokens: u64,
}

/// Answers a chat request, as JSON or as a stream.
pub fn answer(ask: &Ask<'_>) -> Result<Reply, Refusal> {
    let model = model(ask)?;
    let messages = ask.body["messages"].as_array().ok_or_else(|| missing("messages"))?;
    if messages.is_empty() {
        return Err(Refusal::invalid("'messages' is too short: 1 message at least.", Some("messages")));
    }
    number(ask, "temperature", 0.0, 2.0, 1.0)?;
    let count = number(ask, "n", 1.0, 128.0, 1.0)? as u64;
    let last = last_text(messages);
    let choices = (0..count)
        .map(|index| think(&prompt(ask, messages, last, index)).after(begun(ask, messages)))
        .collect();
    let prompt_tokens = tokens_in(&ask.body["messages"]) + tokens_in(&ask.body["tools"]);
    let chat = Chat { ask, model, choices, prompt_tokens };
    if ask.streams() {
        return Ok(Reply::events(chat_stream::events(&chat)));
    }
    Ok(Reply::json(200, &chat.body()))
}

/// The last text a user wrote.
pub fn last_text(messages: &[Value]) -> &str {
    let user = messages.iter().rev().find(|message| message["role"] == "user");
    let content = user.map_or(&Value::Null, |message| &message["content"]);
    content
        .as_str()
        .or_else(|| content.as_array()?.iter().rev().find_map(|part| part["text"].as_str()))
        .unwrap_or("")
}

/// The beginning that the answer is to go on from, marked as Mistral or vLLM wants it.
fn begun<'a>(ask: &Ask<'_>, messages: &'a [Value]) -> Option<&'a str> {
    let last = messages.last().filter(|last| last["role"] == "assistant")?;
    let marked = last["prefix"] == true || ask.body["continue_final_message"] == true;
    last["content"].as_str().filter(|_| marked)
}

fn prompt<'a>(ask: &Ask<'a>, messages: &[Value], last: &'a str, index: u64) -> Prompt<'a> {
    let format = &ask.body["response_format"];
    let limit = ask.body["max_completion_tokens"].as_u64().or_else(|| ask.body["max_tokens"].as_u64());
    // A tool's result is answered in words.
    let answered = messages.last().is_some_and(|message| message["role"] == "tool");
    Prompt {
        seed: ask.seed.wrapping_add(index),
        last,
        tools: if answered { Vec::new() } else { tools(ask.body) },
        limit,
        schema: match format["type"].as_str() {
            Some("json_schema") => Some(&format["json_schema"]["schema"]),
            Some("json_object") => Some(&Value::Null),
            _ => None,
        },
    }
}

/// The tools that are called: the one named, else all, or the first where calls may not be parallel.
pub fn tools(body: &Value) -> Vec<Tool<'_>> {
    let choice = &body["tool_choice"];
    if choice == "none" {
        return Vec::new();
    }
    let mut tools: Vec<_> = body["tools"].as_array().into_iter().flatten().filter_map(tool).collect();
    let named = choice["function"]["name"].as_str().or_else(|| choice["custom"]["name"].as_str());
    if let Some(name) = named.or_else(|| choice["name"].as_str()) {
        tools.retain(|tool| tool.name == name);
    }
    if body["parallel_tool_calls"] == false {
        tools.truncate(1);
    }
    tools
}

fn tool(tool: &Value) -> Option<Tool<'_>> {
    let kind = tool["type"].as_str().filter(|kind| matches!(*kind, "function" | "custom"))?;
    // Chat wraps the definition in a member named by its type, responses do not.
    let definition = tool.get(kind).unwrap_or(tool);
    let schema = (kind == "function").then(|| &definition["parameters"]);
    Some(Tool { name: definition["name"].as_str()?, schema })
}

impl Chat<'_> {
    fn body(&self) -> Value {
        let choices: Vec<_> =
            (0..).zip(&self.choices).map(|(index, thought)| self.choice(index, thought)).collect();
        json!({
            "id": self.ask.id("chatcmpl-"),
            "object": "chat.completion",
            "created": self.ask.created(),
            "model": self.model,
            "choices": choices,
            "usage": self.usage(),
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        })
    }

    fn choice(&self, index: u64, thought: &Thought) -> Value {
        let mut message = json!({"role": "assistant", "content": null, "refusal": null});
        match &thought.said {
            Said::Text(pieces) => message["content"] = json!(pieces.concat()),
            Said::Refusal(pieces) => message["refusal"] = json!(pieces.concat()),
            Said::Calls(calls) => {
                message["tool_calls"] =
                    (0..).zip(calls).map(|(n, call)| self.tool_call(index, n, call, &call.input)).collect();
            }
        }
        message["annotations"] = json!([]);
        json!({
            "index": index,
            "message": message,
            "logprobs": self.logprobs(&thought.said, None),
            "finish_reason": finish_reason(thought),
        })
    }

    /// A tool call with this much of its input.
    pub fn tool_call(&self, choice: u64, n: u64, call: &ToolCall, input: &str) -> Value {
        let id = self.ask.nth_id("call_", choice * 1000 + n + 1);
        if call.free {
            return json!({"id": id, "type": "custom", "custom": {"name": call.name, "input": input}});
        }
        json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": input}})
    }

    pub fn usage(&self) -> Value {
        let reasoning: u64 = self.choices.iter().map(|thought| thought.reasoning).sum();
        let completion = reasoning + self.choices.iter().map(|thought| thought.tokens).sum::<u64>();
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    }

    /// Log probabilities of all pieces, or of one; null where not asked for.
    pub fn logprobs(&self, said: &Said, only: Option<usize>) -> Value {
        if self.ask.body["logprobs"] != true {
            return Value::Null;
        }
        let alternatives = self.ask.body["top_logprobs"].as_u64().unwrap_or(0).min(20);
        let (pieces, refused) = match said {
            Said::Text(pieces) => (pieces, false),
            Said::Refusal(pieces) => (pieces, true),
            Said::Calls(_) => return Value::Null,
        };
        let wanted = pieces.iter().enumerate().filter(|(at, _)| only.is_none_or(|only| only == *at));
        let list: Vec<_> = wanted.map(|(at, piece)| logprob(at, piece, alternatives)).collect();
        if refused {
            json!({"content": null, "refusal": list})
        } else {
            json!({"content": list, "refusal": null})
        }
    }
}

/// The reason a choice ended.
pub fn finish_reason(thought: &Thought) -> &'static str {
    match (&thought.said, thought.cut) {
        (Said::Calls(_), _) => "tool_calls",
        (_, true) => "length",
        _ => "stop",
    }
}

fn logprob(at: usize, piece: &str, alternatives: u64) -> Value {
    let probability = -(((at % 7) + 1) as f64) / 8.0;
    let entry = |token: &str, probability: f64| json!({"token": token, "logprob": probability, "bytes": token.as_bytes()});
    let mut top = Vec::new();
    for rank in 0..alternatives {
        let token = if rank == 0 { piece.to_owned() } else { format!("{piece}{rank}") };
        top.push(entry(&token, probability - rank as f64));
    }
    let mut chosen = entry(piece, probability);
    chosen["top_logprobs"] = json!(top);
    chosen
}
