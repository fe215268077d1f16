//! Anthropic's clients at Gemini, and Gemini's at Anthropic: no OpenAI between them.

use serde_json::json;

use super::{GENERATE, STREAM, contents, directly, last, message};
use crate::harness::Pareto;

#[tokio::test]
async fn an_anthropic_client_is_answered_by_gemini_where_allowed() {
    let pareto = Pareto::start(
        "
providers: {gemini: {url: \"{origin}\", dialect: gemini, keys: [g-key], translate: true}}
routes: [{models: [\"claude-*\"], targets: [{provider: gemini, model: gemini-3.8-flash}]}]",
    )
    .await;
    let ask = || pareto.ask("/v1/messages", message("sim:words=30"));
    let answer = ask().await;
    let call = last(&pareto);
    assert_eq!(
        (answer.status, call.path()),
        (200, "/v1beta/models/gemini-3.8-flash:generateContent"),
        "{}",
        answer.text()
    );
    let body = answer.json();
    let geminis = directly(&pareto, &call).await;
    assert_eq!(body["content"][0]["text"], geminis["candidates"][0]["content"]["parts"][0]["text"]);
    assert_eq!((&body["type"], &body["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert_eq!(answer.header("x-pareto-provider"), "gemini");
    let stream = ask().cache_control("no-store").stream().await;
    assert!(
        stream.whole && stream.text().trim_end().ends_with("{\"type\":\"message_stop\"}"),
        "{}",
        stream.text()
    );
    assert!(ask().stream().await.is_hit(), "one entry serves both forms, in the client's words");
}

#[tokio::test]
async fn a_gemini_client_is_answered_by_anthropic_where_allowed() {
    let pareto = Pareto::start(
        "
providers: {claude: {url: \"{origin}\", dialect: anthropic, keys: [k], translate: true}}
routes: [{models: [\"gemini-*\"], targets: [{provider: claude, model: claude-sonnet-4-5}]}]",
    )
    .await;
    let answer = pareto.ask(GENERATE, contents("sim:words=30")).await;
    let call = last(&pareto);
    assert_eq!((answer.status, call.path()), (200, "/v1/messages"), "{}", answer.text());
    let body = answer.json();
    let anthropics = directly(&pareto, &call).await;
    assert_eq!(body["candidates"][0]["content"]["parts"][0]["text"], anthropics["content"][0]["text"]);
    assert_eq!(body["candidates"][0]["finishReason"], "STOP");
    let stream = pareto.ask(STREAM, contents("sim:words=31")).await;
    let events = stream.events();
    assert!(
        stream.whole && events.last().unwrap()["candidates"][0]["finishReason"] == "STOP",
        "{}",
        stream.text()
    );
    assert!(pareto.ask(GENERATE, contents("sim:words=31")).await.is_hit());
}
