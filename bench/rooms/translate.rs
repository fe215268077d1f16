//! What translation costs: CPU per streamed event and per request, beside the same without translation.
//!
//! `cargo bench --bench translate`

#![allow(clippy::print_stdout, clippy::panic, reason = "it prints a table, and has no input but its own")]

mod measure;

use std::hint::black_box;

use bytes::Bytes;
use pareto::dialect::{self, Api, Prompt, Server, Stamp, Target, Translator};
use pareto::request::endpoint::Endpoint;
use pareto::request::facts::Facts;
use pareto::response::shape::{Progress, Shape};
use pareto::sse::{Decoder, Item};
use serde_json::json;

/// Events of one stream.
const EVENTS: u32 = 2000;
/// Rounds; the cheapest is told.
const ROUNDS: usize = 40;
/// Requests of one round.
const REQUESTS: u32 = 2000;

fn main() {
    let anthropic = stream(Api::Messages);
    let chat = stream(Api::Chat);
    println!("| | CPU | ");
    println!("|---|---|");
    row("event, untranslated (decoded and observed)", EVENTS, || observed(&chat, Shape::Chat));
    row("event, Anthropic → chat", EVENTS, || translated(&anthropic, Api::Messages, Api::Chat));
    row("event, chat → Messages", EVENTS, || translated(&chat, Api::Chat, Api::Messages));
    row("event, chat → responses", EVENTS, || translated(&chat, Api::Chat, Api::Responses));
    row("event, chat → Gemini", EVENTS, || translated(&chat, Api::Chat, Api::Generate));
    let body = request();
    println!("| request | {} bytes |", body.len());
    row("request, its facts alone", REQUESTS, || {
        for _ in 0..REQUESTS {
            black_box(Facts::read(Endpoint::Chat, &body));
        }
    });
    let target = Target { model: "claude-sonnet-4-5", server: Server::Other };
    row("request, chat → Anthropic", REQUESTS, || {
        for _ in 0..REQUESTS {
            let prompt = dialect::read(Api::Chat, &body).unwrap_or_else(|error| panic!("{error}"));
            black_box(
                dialect::write(Api::Messages, &prompt, target).unwrap_or_else(|error| panic!("{error}")),
            );
        }
    });
}

fn row(name: &str, units: u32, work: impl FnMut()) {
    println!("| {name} | {} |", measure::micros(measure::least(ROUNDS, units, work)));
}

fn observed(stream: &Bytes, shape: Shape) {
    let mut decoder = Decoder::new(1 << 20);
    let mut progress = Progress::new(shape);
    for chunk in stream.chunks(400) {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Ok(Some(Item::Event(event))) = decoder.next_item() {
            black_box(progress.observe(&event));
        }
    }
}

/// What an attempt does: the provider's bytes are translated, and the client's events observed.
fn translated(stream: &Bytes, provider: Api, client: Api) {
    let stamp = Stamp { id: "bench".into(), created: 0, model: "m".into() };
    let prompt = Prompt::new(client);
    let Some(mut translator) = Translator::new(provider, &prompt, stamp) else { return };
    let mut decoder = Decoder::new(1 << 20);
    let mut progress = Progress::new(client.shape());
    for chunk in stream.chunks(400) {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Ok(Some(Item::Event(event))) = decoder.next_item() {
            for event in translator.event(&event).unwrap_or_default() {
                black_box(progress.observe(&event));
            }
        }
    }
}

/// A stream of words.
fn stream(api: Api) -> Bytes {
    let mut out = String::new();
    match api {
        Api::Messages => {
            let message = json!({"id": "msg_1", "model": "m", "usage": {"input_tokens": 9}});
            named(&mut out, "message_start", &json!({"type": "message_start", "message": message}));
            for index in 0..EVENTS {
                let delta = json!({"type": "text_delta", "text": format!(" word{index}")});
                named(
                    &mut out,
                    "content_block_delta",
                    &json!({"type": "content_block_delta", "index": 0, "delta": delta}),
                );
            }
        }
        _ => {
            for index in 0..EVENTS {
                let choice = json!({"index": 0, "delta": {"content": format!(" word{index}")}, "logprobs": null, "finish_reason": null});
                let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], "usage": null});
                out += &format!("data: {chunk}\n\n");
            }
        }
    }
    out.into()
}

fn named(out: &mut String, name: &str, data: &serde_json::Value) {
    *out += &format!("event: {name}\ndata: {data}\n\n");
}

/// A conversation of some turns with a tool.
fn request() -> Bytes {
    let mut messages = vec![json!({"role": "system", "content": "You help a shop. ".repeat(10)})];
    for index in 0..6 {
        let id = format!("call_{index}");
        let call =
            json!({"id": id, "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}});
        messages.push(json!({"role": "user", "content": "Where is my order? ".repeat(4)}));
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "It is on its way. ".repeat(4)}));
        messages.push(json!({"role": "assistant", "content": "It is on its way."}));
    }
    messages.push(json!({"role": "user", "content": "Thanks. And when?"}));
    let parameters = json!({"type": "object", "properties": {"at": {"type": "integer"}}});
    let tool = json!({"type": "function", "function": {"name": "look", "parameters": parameters}});
    json!({"model": "gpt-4o", "messages": messages, "tools": [tool]}).to_string().into()
}
