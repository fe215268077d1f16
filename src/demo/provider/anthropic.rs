//! `POST /v1/messages`; source: anthropic.md sections 2 to 5.

use serde_json::{Value, json};

use super::api::Ask;
use super::mind::{Prompt, Said, Thought, Tool, ToolCall, think, tokens_in};
use super::openai::chat::last_text;
use super::reply::{Event, Reply, Role};

/// Bytes of a tool's input per delta.
const INPUT_PIECE: usize = 12;

/// Answers a Messages request, as JSON or as a stream.
pub fn answer(ask: &Ask<'_>) -> Reply {
    let model = ask.model();
    if model.is_empty() {
        return refuse(400, "invalid_request_error", "model: Field required");
    }
    if model.starts_with("no-such") {
        return refuse(404, "not_found_error", &format!("model: {model}"));
    }
    let Some(limit) = ask.body["max_tokens"].as_u64() else {
        return refuse(400, "invalid_request_error", "max_tokens: Field required");
    };
    let Some(messages) = ask.body["messages"].as_array().filter(|messages| !messages.is_empty()) else {
        return refuse(400, "invalid_request_error", "messages: at least one message is required");
    };
    let answered = messages.last().is_some_and(has_tool_result);
    let thought = think(&Prompt {
        seed: ask.seed,
        last: last_text(messages),
        tools: if answered { Vec::new() } else { tools(ask.body) },
        limit: Some(limit),
        schema: Some(&ask.body["output_config"]["format"]["schema"]).filter(|schema| !schema.is_null()),
    });
    let last = messages.last().filter(|last| last["role"] == "assistant");
    let thought = thought.after(last.and_then(|last| text(&last["content"])));
    let input =
        tokens_in(&ask.body["messages"]) + tokens_in(&ask.body["system"]) + tokens_in(&ask.body["tools"]);
    let message = Message { ask, thought, input };
    if ask.streams() {
        return Reply::events(message.events());
    }
    Reply::json(200, &message.body())
}

fn refuse(status: u16, kind: &str, message: &str) -> Reply {
    let error = json!({"type": kind, "message": message});
    Reply::json(status, &json!({"type": "error", "error": error, "request_id": "req_sim"}))
}

/// The last text of a message's content.
fn text(content: &Value) -> Option<&str> {
    content.as_str().or_else(|| content.as_array()?.last()?["text"].as_str())
}

fn has_tool_result(message: &Value) -> bool {
    message["content"]
        .as_array()
        .is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"))
}

fn tools(body: &Value) -> Vec<Tool<'_>> {
    let choice = &body["tool_choice"];
    if choice["type"] == "none" {
        return Vec::new();
    }
    let all = body["tools"].as_array().into_iter().flatten();
    let mut tools: Vec<_> = all
        .filter_map(|tool| Some(Tool { name: tool["name"].as_str()?, schema: Some(&tool["input_schema"]) }))
        .collect();
    if let Some(name) = choice["name"].as_str() {
        tools.retain(|tool| tool.name == name);
    }
    if choice["disable_parallel_tool_use"] == true {
        tools.truncate(1);
    }
    tools
}

struct Message<'a> {
    ask: &'a Ask<'a>,
    thought: Thought,
    input: u64,
}

impl Message<'_> {
    fn stop_reason(&self) -> &'static str {
        match (&self.thought.said, self.thought.cut) {
            (Said::Calls(_), _) => "tool_use",
            (Said::Refusal(_), _) => "refusal",
            (Said::Text(_), _) if self.thought.paused => "pause_turn",
            (Said::Text(_), true) => "max_tokens",
            (Said::Text(_), false) => "end_turn",
        }
    }

    fn usage(&self, output: u64) -> Value {
        let kept = self.thought.kept;
        json!({
            "input_tokens": self.input,
            "cache_creation_input_tokens": kept,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": kept},
            "output_tokens": output,
            "service_tier": "standard",
            "inference_geo": "us",
        })
    }

    /// The message object without content and end.
    fn envelope(&self, content: Value, stop: Option<&str>, output: u64) -> Value {
        json!({
            "id": self.ask.id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self.ask.model(),
            "content": content,
            "stop_reason": stop,
            "stop_sequence": null,
            "usage": self.usage(output),
        })
    }

    fn body(&self) -> Value {
        let content = match &self.thought.said {
            Said::Text(pieces) | Said::Refusal(pieces) => {
                json!([{"type": "text", "text": pieces.concat(), "citations": null}])
            }
            Said::Calls(calls) => (0..).zip(calls).map(|(n, call)| self.tool_use(n, call, true)).collect(),
        };
        self.envelope(content, Some(self.stop_reason()), self.thought.tokens)
    }

    fn tool_use(&self, n: u64, call: &ToolCall, full: bool) -> Value {
        let input =
            full.then(|| serde_json::from_str(&call.input).ok()).flatten().unwrap_or_else(|| json!({}));
        json!({"type": "tool_use", "id": self.ask.nth_id("toolu_", n + 1), "name": call.name, "input": input})
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Events(Vec::new());
        events.push(Role::Body, "message_start", json!({"message": self.envelope(json!([]), None, 1)}));
        match &self.thought.said {
            Said::Text(pieces) | Said::Refusal(pieces) => {
                let deltas = pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece}));
                events.block(0, json!({"type": "text", "text": ""}), deltas);
            }
            Said::Calls(calls) => {
                for (n, call) in (0..).zip(calls) {
                    let deltas = input_pieces(&call.input);
                    let deltas =
                        deltas.map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
                    events.block(n, self.tool_use(n, call, false), deltas);
                }
            }
        }
        let end = json!({
            "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null},
            "usage": {"output_tokens": self.thought.tokens},
        });
        events.push(Role::Finish, "message_delta", end);
        events.push(Role::Finish, "message_stop", json!({}));
        events.0
    }
}

/// An empty first piece, as the real API sends, then the input cut between characters.
fn input_pieces(input: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> = input.chars().collect();
    let pieces: Vec<String> = letters.chunks(INPUT_PIECE).map(|piece| piece.iter().collect()).collect();
    std::iter::once(String::new()).chain(pieces)
}

struct Events(Vec<Event>);

impl Events {
    fn push(&mut self, role: Role, name: &'static str, members: Value) {
        let mut data = json!({"type": name});
        if let (Value::Object(data), Value::Object(members)) = (&mut data, members) {
            data.extend(members);
        }
        self.0.push(Event::named(role, name, &data));
    }

    fn block(&mut self, index: u64, block: Value, deltas: impl Iterator<Item = Value>) {
        self.push(Role::Body, "content_block_start", json!({"index": index, "content_block": block}));
        if index == 0 {
            self.push(Role::Body, "ping", json!({}));
        }
        for delta in deltas {
            self.push(Role::Body, "content_block_delta", json!({"index": index, "delta": delta}));
        }
        self.push(Role::Body, "content_block_stop", json!({"index": index}));
    }
}
