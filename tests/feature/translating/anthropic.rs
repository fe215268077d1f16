//! Anthropic in place of OpenAI, and OpenAI in place of Anthropic.

use serde_json::{Value, json};

use super::{CHATS, CLAUDE, ask_structured, assert_streams_break, directly, last, message};
use crate::harness::{Ask, CHAT, Fault, Pareto};

/// An OpenAI model served by OpenAI, and by Anthropic where that fails.
const FALLBACK: &str = "
providers:
  openai: {url: \"{provider}\", keys: [sk-openai]}
  claude: {url: \"{origin}\", dialect: anthropic, keys: [sk-claude]}
routes:
  - models: [gpt-4o]
    targets: [{provider: openai}]
    fallbacks: [{provider: claude, model: claude-sonnet-4-5}]";

#[tokio::test]
async fn an_openai_client_is_answered_by_anthropic() {
    let pareto = Pareto::start(CLAUDE).await;
    let answer = pareto.chat("sim:words=40").await;
    let call = last(&pareto);
    assert_eq!((answer.status, call.path()), (200, "/v1/messages"), "{}", answer.text());
    assert_eq!(
        (call.header("x-api-key"), call.header("anthropic-version")),
        (Some("sk-claude"), Some("2023-06-01"))
    );
    assert_eq!(
        (call.json()["model"].as_str(), call.json()["max_tokens"].as_u64()),
        (Some("claude-sonnet-4-5"), Some(64_000))
    );
    assert_eq!(answer.said(), directly(&pareto, &call).await["content"][0]["text"]);
    assert_eq!(answer.json()["object"], "chat.completion");
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (answer.header("x-pareto-provider"), answer.header("x-pareto-model")),
        ("claude", "claude-sonnet-4-5")
    );
    assert!(!answer.header("x-pareto-cost-usd").is_empty(), "priced as the model that answered");
}

#[tokio::test]
async fn the_callers_key_stays_with_the_provider_it_is_for() {
    let pareto = Pareto::start(&CLAUDE.replace(", keys: [sk-claude]", "")).await;
    pareto.chat("a").with("openai-organization", "org-1").with("openai-beta", "x").await;
    let call = last(&pareto);
    for name in ["authorization", "x-api-key", "openai-organization", "openai-beta"] {
        assert_eq!(call.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_stream_is_translated_event_by_event() {
    let pareto = Pareto::start(CLAUDE).await;
    let answer = pareto.chat("sim:words=40").stream().await;
    let (events, call) = (answer.events(), last(&pareto));
    assert!(call.json()["stream"] == true && answer.whole && events.len() > 20);
    assert_eq!(
        events[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    assert_eq!(answer.said(), directly(&pareto, &call).await["content"][0]["text"]);
    assert_eq!(*events.last().unwrap(), json!("[DONE]"));
    assert!(events.iter().all(|event| event.get("usage").is_none()), "usage was not asked for");
    let counted = pareto.chat("sim:words=41").stream_with_usage().await.events();
    let usage = &counted[counted.len() - 2];
    assert_eq!(usage["choices"], json!([]));
    assert!(
        usage["usage"]["completion_tokens"].as_u64() > Some(0) && usage["usage"]["total_tokens"].is_u64()
    );
}

#[tokio::test]
async fn a_translated_answer_is_cached_like_any_other_and_serves_both_forms() {
    let pareto = Pareto::start(CLAUDE).await;
    let stream = pareto.chat("a").stream().await;
    pareto.stored(1).await;
    let body = pareto.chat("a").await;
    assert!(body.is_hit() && body.said() == stream.said());
    assert_eq!((body.header("x-pareto-provider"), pareto.provider.total()), ("claude", 1));
    let other = pareto.chat("b").await;
    let replayed = pareto.chat("b").stream().await;
    assert!(replayed.is_hit() && replayed.said() == other.said());
}

#[tokio::test]
async fn tools_go_there_and_back() {
    let pareto = Pareto::start(CLAUDE).await;
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]);
    let asked = || pareto.chat("Weather?").set("tools", tools.clone());
    let answer = asked().await.json();
    let choice = &answer["choices"][0];
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null)
    );
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["city"].is_string());
    let events = asked().cache_control("no-store").stream().await.events();
    let piece = |event: &Value| {
        event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str().map(str::to_owned)
    };
    let streamed: String = events.iter().filter_map(piece).collect();
    assert_eq!(serde_json::from_str::<Value>(&streamed).unwrap(), arguments);
    let messages = json!([{"role": "user", "content": "Weather?"}, choice["message"],
        {"role": "tool", "tool_call_id": call["id"], "content": "4 C"}]);
    let answered = asked().set("messages", messages).await;
    assert!(!answered.said().is_empty(), "{}", answered.text());
    let result = &last(&pareto).json()["messages"][2]["content"][0];
    assert_eq!((&result["type"], &result["tool_use_id"]), (&json!("tool_result"), &call["id"]));
}

#[tokio::test]
async fn structured_output_comes_in_the_schema_asked_for() {
    let pareto = Pareto::start(CLAUDE).await;
    let schema = ask_structured(&pareto).await;
    assert_eq!(last(&pareto).json()["output_config"]["format"]["schema"], schema);
}

#[tokio::test]
async fn what_cannot_be_said_names_its_field_and_is_never_dropped() {
    let pareto = Pareto::start(CLAUDE).await;
    for (field, value) in
        [("seed", json!(7)), ("n", json!(2)), ("logprobs", json!(true)), ("shiny", json!(1))]
    {
        let answer = pareto.chat("a").set(field, value).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(
            answer.json()["error"]["message"].as_str().unwrap().contains(&format!("`{field}`")),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("x-should-retry"), "false");
    }
    assert_eq!(pareto.provider.total(), 0);
}

#[tokio::test]
async fn a_target_that_lacks_the_words_is_skipped() {
    let pareto = Pareto::start(FALLBACK).await;
    pareto.provider.always(Some(Fault::Status(503)));
    let answer = pareto.chat("a").set("seed", 7).await;
    assert_eq!(answer.status, 503);
    assert!(pareto.provider.calls().iter().all(|call| call.path() == CHAT), "anthropic was asked");
}

#[tokio::test]
async fn a_dead_openai_is_stood_in_for_by_anthropic() {
    let pareto = Pareto::start(FALLBACK).await;
    for ask in [pareto.chat("a"), pareto.chat("b").stream()] {
        pareto.provider.next(Fault::Status(503));
        let answer = ask.await;
        assert_eq!((answer.status, answer.header("x-pareto-provider")), (200, "claude"), "{}", answer.text());
        assert!(!answer.said().is_empty());
        assert_eq!((last(&pareto).path(), last(&pareto).header("authorization")), ("/v1/messages", None));
    }
}

#[tokio::test]
async fn an_error_of_anthropics_is_one_of_openais_to_the_client() {
    let pareto = Pareto::start(CLAUDE).await;
    for (fault, status, code) in [
        (Fault::Status(401), 401, "invalid_api_key"),
        (Fault::Status(404), 404, "model_not_found"),
        (Fault::Status(529), 503, "overloaded_error"),
        (Fault::Status(429), 429, "rate_limit_exceeded"),
    ] {
        pareto.provider.always(Some(fault));
        let answer = pareto.chat("a").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_breaks_in_the_clients_dialect() {
    let pareto = Pareto::start(CLAUDE).await;
    assert_streams_break(&pareto).await;
}

#[tokio::test]
async fn an_anthropic_client_is_answered_by_an_openai_server_where_allowed() {
    let pareto = Pareto::start(CHATS).await;
    let ask = |text| pareto.ask("/v1/messages", message(text)).with("anthropic-version", "2026-10-21");
    let answer = ask("a").await;
    let call = last(&pareto);
    assert_eq!((answer.status, call.path()), (200, CHAT), "{}", answer.text());
    assert_eq!(
        (call.header("authorization"), call.header("anthropic-version")),
        (Some("Bearer sk-local"), None)
    );
    let body = answer.json();
    assert_eq!((&body["type"], &body["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert_eq!(
        body["content"][0]["text"],
        directly(&pareto, &call).await["choices"][0]["message"]["content"]
    );
    assert!(body["usage"]["output_tokens"].as_u64() > Some(0));
    let stream = ask("b").stream().await;
    assert!(stream.whole && stream.text().starts_with("event: message_start\n"), "{}", stream.text());
    assert!(stream.text().trim_end().ends_with("{\"type\":\"message_stop\"}"));
    assert!(ask("a").await.is_hit());
}

#[tokio::test]
async fn an_anthropic_client_is_not_translated_unasked() {
    let pareto = Pareto::start(&CHATS.replace(", translate: true", "")).await;
    let answer = pareto.ask("/v1/messages", message("a")).await;
    assert_eq!((answer.status, pareto.provider.total()), (400, 0), "{}", answer.text());
    assert!(answer.text().contains("translate"), "{}", answer.text());
}

#[tokio::test]
async fn an_error_of_openais_is_one_of_anthropics_to_the_client() {
    let pareto = Pareto::start(CHATS).await;
    pareto.provider.always(Some(Fault::Status(429)));
    let answer = pareto.ask("/v1/messages", message("a")).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    pareto.provider.always(Some(Fault::ErrorMidStream));
    let broken = pareto.ask("/v1/messages", message("sim:words=40")).stream().await;
    assert!(
        !broken.whole && broken.text().contains("\nevent: error\ndata: {\"type\":\"error\""),
        "{}",
        broken.text()
    );
}

#[tokio::test]
async fn responses_are_served_by_a_provider_that_only_chats() {
    let pareto = Pareto::start(CHATS).await;
    let ask = |text: &str| -> Ask {
        pareto.ask("/v1/responses", json!({"model": "gpt-5", "input": text, "store": false}))
    };
    let answer = ask("a").await;
    let (body, call) = (answer.json(), last(&pareto));
    assert_eq!(
        (answer.status, call.path(), &body["status"]),
        (200, CHAT, &json!("completed")),
        "{}",
        answer.text()
    );
    assert_eq!(
        body["output"][0]["content"][0]["text"],
        directly(&pareto, &call).await["choices"][0]["message"]["content"]
    );
    let stream = ask("b").stream().await;
    assert!(stream.whole && stream.text().contains("event: response.completed\n"), "{}", stream.text());
    assert!(ask("a").await.is_hit());
    let stateful = ask("c").set("previous_response_id", "resp_1").await;
    assert!(
        stateful.status == 400 && stateful.text().contains("`previous_response_id`"),
        "{}",
        stateful.text()
    );
}

#[tokio::test]
async fn thoughts_that_a_translated_answer_brought_are_not_sent_to_those_who_refuse_them() {
    let pareto = Pareto::start(
        "providers:
  claude: {url: \"{origin}\", dialect: anthropic, keys: [k]}
  local: {url: \"{provider}\", translate: true}
routes: [{models: [\"*\"], targets: [{provider: claude}]}]",
    )
    .await;
    let thought = json!({"type": "thinking", "thinking": "Hm", "signature": "pareto-unsigned"});
    let messages = json!([{"role": "user", "content": "a"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "b"}]}, {"role": "user", "content": "c"}]);
    let answer = pareto.ask("/v1/messages", message("a")).set("messages", messages).await;
    assert_eq!(answer.status, 200);
    assert_eq!(last(&pareto).json()["messages"][1]["content"], json!([{"type": "text", "text": "b"}]));
}
