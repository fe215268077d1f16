//! The event sequence of a streamed response; source: openai.md section 5.

use serde_json::{Value, json};

use super::chat_stream::argument_pieces;
use super::responses::Response;
use crate::demo::provider::mind::{Said, ToolCall};
use crate::demo::provider::reply::{Event, Role};

/// All events up to `response.completed` or `response.incomplete`.
pub fn events(response: &Response<'_>) -> Vec<Event> {
    let mut sequence = Sequence { events: Vec::new() };
    let started = response.body("in_progress", json!([]), Value::Null);
    sequence.push(Role::Body, "response.created", json!({"response": started}));
    sequence.push(Role::Body, "response.in_progress", json!({"response": started}));
    for index in 0..response.items() {
        let item = response.item(index, "in_progress", false);
        sequence.push(Role::Body, "response.output_item.added", json!({"output_index": index, "item": item}));
        match &response.thought.said {
            Said::Calls(calls) => sequence.call(&item["id"], index, &calls[index]),
            Said::Text(pieces) => sequence.message(response, &item["id"], pieces, false),
            Said::Refusal(pieces) => sequence.message(response, &item["id"], pieces, true),
        }
        let done = response.item(index, response.status(), true);
        sequence.push(Role::Body, "response.output_item.done", json!({"output_index": index, "item": done}));
    }
    let terminal = if response.thought.cut { "response.incomplete" } else { "response.completed" };
    let body = response.body(response.status(), response.output(), response.usage());
    sequence.push(Role::Finish, terminal, json!({"response": body}));
    sequence.events
}

struct Sequence {
    events: Vec<Event>,
}

impl Sequence {
    fn push(&mut self, role: Role, name: &'static str, members: Value) {
        let mut data = json!({"type": name, "sequence_number": self.events.len()});
        if let (Value::Object(data), Value::Object(members)) = (&mut data, members) {
            data.extend(members);
        }
        self.events.push(Event::named(role, name, &data));
    }

    fn message(&mut self, response: &Response<'_>, id: &Value, pieces: &[String], refused: bool) {
        let place = |members: Value| {
            let mut data = json!({"item_id": id, "output_index": 0, "content_index": 0});
            if let (Value::Object(data), Value::Object(members)) = (&mut data, members) {
                data.extend(members);
            }
            data
        };
        let names = match refused {
            true => ("response.refusal.delta", "response.refusal.done"),
            false => ("response.output_text.delta", "response.output_text.done"),
        };
        self.push(Role::Body, "response.content_part.added", place(json!({"part": response.part(false)})));
        for piece in pieces {
            let delta =
                if refused { json!({"delta": piece}) } else { json!({"delta": piece, "logprobs": []}) };
            self.push(Role::Body, names.0, place(delta));
        }
        let whole = pieces.concat();
        let done = if refused { json!({"refusal": whole}) } else { json!({"text": whole, "logprobs": []}) };
        self.push(Role::Body, names.1, place(done));
        self.push(Role::Body, "response.content_part.done", place(json!({"part": response.part(true)})));
    }

    fn call(&mut self, id: &Value, index: usize, call: &ToolCall) {
        let (delta, done, member) = match call.free {
            true => {
                ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "input")
            }
            false => (
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "arguments",
            ),
        };
        for piece in argument_pieces(&call.input) {
            self.push(Role::Body, delta, json!({"item_id": id, "output_index": index, "delta": piece}));
        }
        let mut whole = json!({"item_id": id, "output_index": index, member: call.input});
        if !call.free {
            whole["name"] = json!(call.name);
        }
        self.push(Role::Body, done, whole);
    }
}
