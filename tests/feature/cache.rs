//! A repeated question is answered from memory, in whichever form it is asked.

use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Pareto};

#[tokio::test]
async fn a_repeated_question_is_answered_without_the_provider() {
    let pareto = Pareto::start("").await;
    let first = pareto.chat("hello").await;
    let second = pareto.chat("hello").await;
    assert_eq!(first.body, second.body);
    assert!(second.is_hit(), "{}", second.cache());
    assert_eq!(pareto.provider.total(), 1);
    pareto.counts("requests_total", &[("endpoint", "chat"), ("outcome", "hit")], 1.0).await;
    pareto.counts("saved_calls_total", &[("by", "cache")], 1.0).await;
}

#[tokio::test]
async fn another_question_is_another_answer() {
    let pareto = Pareto::start("").await;
    assert_ne!(pareto.chat("hello").await.said(), pareto.chat("hello!").await.said());
    assert_eq!(pareto.provider.total(), 2);
}

#[tokio::test]
async fn spelling_and_order_of_members_do_not_matter() {
    let pareto = Pareto::start("").await;
    let first = pareto.chat("hi").await;
    let respelled = r#" {"messages": [{"content":"\u0068i", "role":"user"}], "model": "gpt-4o"} "#;
    let request = pareto.request(http::Method::POST, crate::harness::CHAT).bearer_auth("sk-alice");
    let second = Answer::of(request.body(respelled).send().await.unwrap()).await;
    assert!(second.is_hit());
    assert_eq!(first.body, second.body);
}

/// Asks for an answer one way and then the other way: the second is a hit and says the same.
async fn crosses_over(ask: impl Fn(&Pareto) -> Ask) {
    for stream_first in [false, true] {
        let pareto = Pareto::start("").await;
        let (first, second) = if stream_first {
            let first = ask(&pareto).stream_with_usage().await;
            pareto.stored(1).await;
            (first, ask(&pareto).await)
        } else {
            let first = ask(&pareto).await;
            (first, ask(&pareto).stream_with_usage().await)
        };
        assert!(second.is_hit(), "stream first: {stream_first}: {} {}", second.status, second.cache());
        assert_eq!(pareto.provider.total(), 1);
        let (body, events) = if stream_first { (second, first) } else { (first, second) };
        assert_eq!(events.header("content-type"), "text/event-stream; charset=utf-8");
        assert_eq!(body.header("content-type"), "application/json");
        assert_eq!(folded(&events.events()), essence(&body.json()), "stream first: {stream_first}");
    }
}

/// What a body says, choice by choice.
fn essence(body: &Value) -> Vec<Value> {
    let choice = |choice: &Value| {
        let message = &choice["message"];
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        json!({
            "content": message["content"].as_str().unwrap_or_default(),
            "refusal": message["refusal"].as_str().unwrap_or_default(),
            "calls": calls.iter().map(|call| call["function"].clone()).collect::<Vec<_>>(),
            "tokens": choice["logprobs"]["content"].as_array().cloned().unwrap_or_default(),
            "finish": choice["finish_reason"],
        })
    };
    let mut essence: Vec<_> = body["choices"].as_array().unwrap().iter().map(choice).collect();
    essence.push(body["usage"].clone());
    essence
}

/// What events say, put together the way an SDK does.
fn folded(events: &[Value]) -> Vec<Value> {
    assert_eq!(events.last(), Some(&json!("[DONE]")));
    let mut folded: Vec<Value> = Vec::new();
    let mut usage = Value::Null;
    for event in &events[..events.len() - 1] {
        if event["usage"].is_object() {
            usage = event["usage"].clone();
        }
        for choice in event["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap() as usize;
            while folded.len() <= index {
                folded.push(json!({"content": "", "refusal": "", "calls": [], "tokens": [], "finish": null}));
            }
            add(&mut folded[index], choice);
        }
    }
    folded.push(usage);
    folded
}

fn add(said: &mut Value, choice: &Value) {
    let delta = &choice["delta"];
    for member in ["content", "refusal"] {
        let text =
            format!("{}{}", said[member].as_str().unwrap(), delta[member].as_str().unwrap_or_default());
        said[member] = json!(text);
    }
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        let index = call["index"].as_u64().unwrap() as usize;
        let calls = said["calls"].as_array_mut().unwrap();
        if calls.len() == index {
            calls.push(json!({"name": call["function"]["name"], "arguments": ""}));
        }
        let known = calls[index]["arguments"].as_str().unwrap();
        let more = call["function"]["arguments"].as_str().unwrap_or_default();
        calls[index]["arguments"] = json!(format!("{known}{more}"));
    }
    let tokens = choice["logprobs"]["content"].as_array().cloned().unwrap_or_default();
    said["tokens"].as_array_mut().unwrap().extend(tokens);
    if !choice["finish_reason"].is_null() {
        said["finish"] = choice["finish_reason"].clone();
    }
}

#[tokio::test]
async fn text_crosses_between_stream_and_body() {
    crosses_over(|pareto| pareto.chat("tell me \"quoted\" things, 🙂, and\nlines sim:words=60")).await;
}

#[tokio::test]
async fn several_choices_cross_between_stream_and_body() {
    crosses_over(|pareto| pareto.chat("hello").set("n", 3)).await;
}

#[tokio::test]
async fn tool_calls_cross_between_stream_and_body() {
    let tool = |name: &str| {
        let parameters =
            json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        json!({"type": "function", "function": {"name": name, "parameters": parameters}})
    };
    crosses_over(|pareto| pareto.chat("weather").set("tools", json!([tool("now"), tool("later")]))).await;
}

#[tokio::test]
async fn log_probabilities_cross_between_stream_and_body() {
    crosses_over(|pareto| pareto.chat("hello").set("logprobs", true).set("top_logprobs", 2)).await;
}

#[tokio::test]
async fn a_refusal_crosses_between_stream_and_body() {
    crosses_over(|pareto| pareto.chat("sim:refuse")).await;
}

#[tokio::test]
async fn a_stream_is_replayed_as_it_was_heard() {
    let pareto = Pareto::start("").await;
    let heard = pareto.chat("hello").stream_with_usage().await;
    pareto.stored(1).await;
    let replayed = pareto.chat("hello").stream_with_usage().await;
    assert!(replayed.is_hit() && replayed.whole);
    assert_eq!(heard.text(), replayed.text());
}

#[tokio::test]
async fn every_endpoint_that_has_answers_to_share_shares_them() {
    let text = json!({"model": "m", "input": "a"});
    for (path, body) in [
        ("/v1/completions", json!({"model": "gpt-3.5-turbo-instruct", "prompt": "a"})),
        ("/v1/embeddings", text.clone()),
        ("/v1/moderations", text.clone()),
        ("/v1/responses", json!({"model": "m", "input": "a", "store": false})),
        ("/v1/vector_stores/vs_1/search", json!({"query": "a"})),
        (
            "/v1/messages",
            json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "a"}]}),
        ),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            json!({"contents": [{"parts": [{"text": "a"}]}]}),
        ),
        ("/v1beta/models/g:embedContent", json!({"content": {"parts": [{"text": "a"}]}})),
    ] {
        let pareto = Pareto::start("providers: {p: {url: \"{origin}\"}}").await;
        let first = pareto.ask(path, body.clone()).with("anthropic-version", "2023-06-01").await;
        assert_eq!(first.status, 200, "{path}: {}", first.text());
        let second = pareto.ask(path, body).with("anthropic-version", "2023-06-01").await;
        assert!(second.is_hit(), "{path}: {} after {}", second.cache(), first.cache());
        assert_eq!(first.body, second.body);
    }
}
