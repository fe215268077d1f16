//! What translation costs: CPU per streamed event and per request, beside the same without translation.
//!
//! `cargo bench --bench translate`

#![allow(clippy::print_stdout, clippy::panic, reason = "it prints a table, and has no input but its own")]

mod measure;

use std::hint::black_box;
use std::time::Duration;

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
const REQUESTS: u32 = 200;

fn main() {
    println!("| event of a stream | untranslated | translated | |");
    println!("|---|---:|---:|---:|");
    for (provider, client) in [
        (Api::Messages, Api::Chat),
        (Api::Generate, Api::Chat),
        (Api::Chat, Api::Messages),
        (Api::Chat, Api::Responses),
        (Api::Chat, Api::Generate),
    ] {
        let stream = stream(provider);
        let plain = measure::least(ROUNDS, EVENTS, || observed(&stream, provider.shape()));
        let other = measure::least(ROUNDS, EVENTS, || translated(&stream, provider, client));
        row(&format!("{} → {}", name(provider), name(client)), plain, other);
    }
    let chat = request();
    println!(
        "\n| request of a conversation ({} bytes in chat) | its facts alone | and translated | |",
        chat.len()
    );
    println!("|---|---:|---:|---:|");
    let prompt = dialect::read(Api::Chat, &chat).unwrap_or_else(|error| panic!("{error}"));
    for (client, provider) in [
        (Api::Chat, Api::Messages),
        (Api::Chat, Api::Generate),
        (Api::Messages, Api::Chat),
        (Api::Generate, Api::Chat),
    ] {
        let body = if client == Api::Chat { chat.clone() } else { written(client, &prompt).into() };
        let facts = || black_box(Facts::read(endpoint(client), &body));
        let plain = measure::least(ROUNDS, REQUESTS, || times(|| drop(facts())));
        let other = measure::least(ROUNDS, REQUESTS, || {
            times(|| {
                facts();
                let prompt = dialect::read(client, &body).unwrap_or_else(|error| panic!("{error}"));
                black_box(written(provider, &prompt));
            });
        });
        row(&format!("{} → {}", name(client), name(provider)), plain, other);
    }
}

fn times(mut work: impl FnMut()) {
    (0..REQUESTS).for_each(|_| work());
}

fn row(name: &str, plain: Duration, other: Duration) {
    let ratio = other.as_secs_f64() / plain.as_secs_f64();
    println!("| {name} | {} | {} | {ratio:.1} × |", measure::micros(plain), measure::micros(other));
}

const fn name(api: Api) -> &'static str {
    match api {
        Api::Chat => "chat",
        Api::Responses => "responses",
        Api::Messages => "Messages",
        Api::Generate => "Gemini",
    }
}

const fn endpoint(api: Api) -> Endpoint {
    match api {
        Api::Chat => Endpoint::Chat,
        Api::Responses => Endpoint::Responses,
        Api::Messages => Endpoint::Messages,
        Api::Generate => Endpoint::Generate,
    }
}

fn written(api: Api, prompt: &Prompt) -> Vec<u8> {
    let model = match api {
        Api::Messages => "claude-sonnet-4-5",
        Api::Generate => "gemini-2.5-flash",
        _ => "gpt-4o",
    };
    let target = Target { model, server: Server::Other };
    dialect::write(api, prompt, target).unwrap_or_else(|error| panic!("{error}"))
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
        Api::Generate => {
            for index in 0..EVENTS {
                let content = json!({"role": "model", "parts": [{"text": format!(" word{index}")}]});
                let usage = json!({"promptTokenCount": 9, "candidatesTokenCount": index, "totalTokenCount": index + 9});
                let chunk = json!({"candidates": [{"index": 0, "content": content}], "usageMetadata": usage,
                    "modelVersion": "m", "responseId": "r"});
                out += &format!("data: {chunk}\n\n");
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
