//! Gemini refuses calls whose proof is another model's or key's: it is asked once more with the stand-in that
//! Google documents for them.

use serde_json::{Value, json};

use super::{GEMINI, last, tools};
use crate::harness::{Ask, Fault, Pareto, provider};

/// Base64 of `skip_thought_signature_validator`.
const STAND_IN: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// A conversation whose call another key's Gemini made.
fn foreign(pareto: &Pareto) -> Ask {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "Zm9yZWlnbg=="}}});
    let turns = json!([{"role": "user", "content": "Oslo?"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "4 C"}]);
    pareto.chat("").set("messages", turns).set("tools", tools())
}

fn proofs(pareto: &Pareto) -> Vec<Value> {
    let proof = |call: &pareto::demo::provider::Call| {
        call.json()["contents"][1]["parts"][0]["thoughtSignature"].clone()
    };
    pareto.provider.calls().iter().map(proof).collect()
}

#[tokio::test]
async fn a_proof_that_is_not_taken_is_replaced_and_the_same_target_asked_once_more() {
    for stream in [false, true] {
        let pareto = Pareto::start(GEMINI).await;
        let ask = foreign(&pareto);
        let answer = if stream { ask.stream().await } else { ask.await };
        assert!(answer.status == 200 && !answer.said().is_empty(), "{}", answer.text());
        assert_eq!(proofs(&pareto), ["Zm9yZWlnbg==", STAND_IN]);
        assert_eq!(answer.header("x-pareto-attempts"), "2");
        assert_eq!(last(&pareto).header("x-goog-api-key"), Some("g-key"));
        let refused = [("provider", "gemini"), ("result", "refused")];
        assert_eq!(pareto.metric("attempts_total", &refused).await, 1.0);
    }
}

#[tokio::test]
async fn it_is_an_attempt_of_the_budget() {
    let pareto = Pareto::start(&GEMINI.replace("]}]", "], retries: {attempts: 1}}]")).await;
    let answer = foreign(&pareto).await;
    assert_eq!((answer.status, pareto.provider.total()), (400, 1), "{}", answer.text());
    assert!(answer.text().contains("Corrupted thought signature"), "{}", answer.text());
}

#[tokio::test]
async fn it_is_only_seen_where_failover_is_observed() {
    let pareto = Pareto::start(&format!("{GEMINI}\nfeatures: {{failover: observe}}")).await;
    assert_eq!((foreign(&pareto).await.status, pareto.provider.total()), (400, 1));
    assert_eq!(pareto.metric("observed_calls_total", &[("by", "failover")]).await, 1.0);
}

#[tokio::test]
async fn a_client_of_geminis_own_is_helped_the_same_way() {
    let pareto = Pareto::start(
        "
providers: {gemini: {url: \"{origin}\", dialect: gemini, keys: [g-key]}}
routes: [{models: [\"gemini-*\"], targets: [{provider: gemini}]}]",
    )
    .await;
    let call = json!({"functionCall": {"id": "c", "name": "weather", "args": {}}, "thoughtSignature": "Zm9yZWlnbg=="});
    let result = json!({"functionResponse": {"id": "c", "name": "weather", "response": {"output": "4 C"}}});
    let contents = json!([{"role": "user", "parts": [{"text": "Oslo?"}]}, {"role": "model", "parts": [call]},
        {"role": "user", "parts": [result]}]);
    let answer =
        pareto.ask("/v1beta/models/gemini-3.8-flash:generateContent", json!({"contents": contents})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(proofs(&pareto), ["Zm9yZWlnbg==", STAND_IN]);
}

#[tokio::test]
async fn a_second_refusal_is_the_next_targets_to_answer() {
    for stream in [false, true] {
        let (gemini, other) = (provider().await, provider().await);
        let file = format!(
            "providers: {{gemini: {{url: \"{}\", dialect: gemini, keys: [g-key]}}, other: {{url: \"{}\", keys: [k]}}}}\n\
             routes: [{{models: [gpt-4o], targets: [{{provider: gemini, model: gemini-3.8-flash}}], fallbacks: [{{provider: other}}]}}]\n",
            gemini.origin(),
            other.url()
        );
        let pareto = Pareto::before(gemini, &file);
        pareto.provider.always(Some(Fault::Unproved));
        let ask = foreign(&pareto);
        let answer = if stream { ask.stream().await } else { ask.await };
        assert_eq!((answer.status, answer.header("x-pareto-provider")), (200, "other"), "{}", answer.text());
        assert_eq!(answer.header("x-pareto-attempts"), "3");
        assert_eq!(proofs(&pareto), ["Zm9yZWlnbg==", STAND_IN]);
        assert_eq!(other.total(), 1);
        // It is the request's fault, not the target's.
        let shown = pareto.admin(http::Method::GET, "/providers").await.json();
        assert_eq!(shown["routes"][0]["targets"][0]["keys"][0]["recent_failures"], 0, "{shown}");
    }
}

#[tokio::test]
async fn a_second_refusal_with_nobody_else_to_ask_is_the_answer() {
    let pareto = Pareto::start(GEMINI).await;
    pareto.provider.always(Some(Fault::Unproved));
    let answer = foreign(&pareto).await;
    assert_eq!((answer.status, answer.header("x-pareto-attempts")), (400, "2"), "{}", answer.text());
    assert_eq!(proofs(&pareto), ["Zm9yZWlnbg==", STAND_IN]);
}
