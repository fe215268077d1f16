//! A client is answered by a provider that speaks another API: asked in that provider's words, told in
//! the client's own, recorded, cached and counted like any other answer.

mod anthropic;
mod between;
mod counting;
mod gemini;
mod signatures;
mod storing;

use pareto::demo::provider::Call;
use serde_json::{Value, json};

use crate::harness::{Answer, Fault, Pareto};

/// An OpenAI model served by Anthropic alone.
const CLAUDE: &str = "
providers: {claude: {url: \"{origin}\", dialect: anthropic, keys: [sk-claude]}}
routes: [{models: [gpt-4o], targets: [{provider: claude, model: claude-sonnet-4-5}]}]";
/// An OpenAI model served by Gemini alone.
const GEMINI: &str = "
providers: {gemini: {url: \"{origin}\", dialect: gemini, keys: [g-key]}}
routes: [{models: [gpt-4o], targets: [{provider: gemini, model: gemini-3.8-flash}]}]";
/// Any client, served by a provider that only chats.
const CHATS: &str = "
providers: {local: {url: \"{provider}\", keys: [sk-local], responses: false, translate: true}}
routes: [{models: [\"*\"], targets: [{provider: local, model: gpt-4o}]}]";
const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";

/// What the provider was asked last.
fn last(pareto: &Pareto) -> Call {
    pareto.provider.calls().pop().unwrap()
}

/// What the provider says by itself, as a whole, to a request that it has got before.
async fn directly(pareto: &Pareto, call: &Call) -> Value {
    let url = format!("{}{}", pareto.provider.origin(), call.target);
    let mut body = call.json();
    if body["stream"] == true {
        body["stream"] = false.into();
    }
    let asked = reqwest::Client::new().post(url).header("content-type", "application/json");
    Answer::of(asked.body(body.to_string()).send().await.unwrap()).await.json()
}

/// A request of a client of Anthropic's.
fn message(text: &str) -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 200, "messages": [{"role": "user", "content": text}]})
}

/// A request of a client of Gemini's.
fn contents(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

/// Two tools of OpenAI's.
fn tools() -> Value {
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "parameters": {"type": "object",
            "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}})
    };
    json!([tool("weather"), tool("tides")])
}

/// Streams to an OpenAI client that break at the provider break for the client too, after what came before;
/// nothing of them is stored.
async fn assert_streams_break(pareto: &Pareto) {
    for fault in [Fault::ErrorMidStream, Fault::ResetMidStream, Fault::NoFinish, Fault::Malformed] {
        pareto.provider.always(Some(fault));
        let answer = pareto.chat("sim:words=40").stream().await;
        answer.assert_broken_off();
        assert!(answer.events().len() > 1, "{fault}: what came before is lost");
    }
    assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0);
}

/// Asks for an answer of a schema, which it has; returns the schema.
async fn ask_structured(pareto: &Pareto) -> Value {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"], "additionalProperties": false});
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": true}});
    let answer = pareto.chat("a").set("response_format", format).await;
    let person: Value = serde_json::from_str(&answer.said()).unwrap();
    assert!(person["name"].is_string() && person["age"].is_i64());
    schema
}
