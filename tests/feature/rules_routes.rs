//! A rule sends requests by a route of its own choice.

use serde_json::json;

use crate::harness::{Pareto, Provider, chat, provider};

const ROUTES: &str = "routes:
  - {models: ['gpt-*'], targets: [{provider: sim}]}
  - {name: cheap, targets: [{provider: other, model: small-model}]}
rules:
  - {name: trivial, when: {endpoint: chat, last_message: {shorter_than: 10}}, then: {route: cheap}}\n";

async fn two(more: &str) -> (Pareto, Provider) {
    let (sim, other) = (provider().await, provider().await);
    let providers = format!(
        "providers: {{sim: {{url: \"{}\", keys: [sk-sim]}}, other: {{url: \"{}\", keys: [sk-other]}}}}\n",
        sim.url(),
        other.url()
    );
    (Pareto::before(sim, &format!("{providers}{ROUTES}{more}")), other)
}

#[tokio::test]
async fn trivial_turns_take_another_route_and_all_else_its_models_own() {
    let (pareto, other) = two("").await;
    let short = pareto.chat("thanks").await;
    assert_eq!((short.status, short.header("x-pareto-rule")), (200, "trivial"), "{}", short.text());
    assert_eq!((short.header("x-pareto-provider"), short.header("x-pareto-model")), ("other", "small-model"));
    assert_eq!(
        (pareto.provider.total(), other.calls()[0].json()["model"].clone()),
        (0, json!("small-model"))
    );
    let long = pareto.chat("where is the parcel that I ordered?").await;
    assert_eq!((long.header("x-pareto-provider"), pareto.provider.total(), other.total()), ("sim", 1, 1));
    // Answers of one route are not those of another.
    assert!(pareto.chat("thanks").await.is_hit());
    let said =
        pareto.explain(json!({"body": chat("thanks"), "headers": {"authorization": "Bearer sk-alice"}}));
    assert_eq!(said.await.json()["route"]["name"]["value"], "cheap");
}

#[tokio::test]
async fn observing_sends_nobody_elsewhere() {
    let (pareto, other) = two("features: {rules: observe}").await;
    assert_eq!(pareto.chat("thanks").await.header("x-pareto-provider"), "sim");
    assert_eq!(other.total(), 0);
}
