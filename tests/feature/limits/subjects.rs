//! Whom a limit counts together, and for which requests it is.

use serde_json::json;

use super::ask;
use crate::harness::{Ask, Pareto};

/// One request as the limit first sees it, and one that it counts apart, if there is any.
type Apart = (&'static str, fn(&Pareto) -> Ask, fn(&Pareto) -> Ask);

fn complete(pareto: &Pareto) -> Ask {
    let body = json!({"model": "gpt-4o", "prompt": "a", "max_tokens": 5});
    pareto.ask("/v1/completions", body).with("x-tenant-id", "t").cache_control("no-store")
}

#[tokio::test]
async fn each_dimension_counts_apart_what_differs_in_it() {
    let plays: [Apart; 7] = [
        ("tenant", |pareto| ask(pareto, "t", "a"), |pareto| ask(pareto, "u", "a")),
        (
            "credential",
            |pareto| ask(pareto, "t", "a").by("sk-alice"),
            |pareto| ask(pareto, "t", "a").by("sk-bob"),
        ),
        ("model", |pareto| ask(pareto, "t", "a"), |pareto| ask(pareto, "t", "a").set("model", "gpt-4o-mini")),
        ("endpoint", |pareto| ask(pareto, "t", "a"), complete),
        (
            "'header:x-team'",
            |pareto| ask(pareto, "t", "a").with("x-team", "red"),
            |pareto| ask(pareto, "t", "a").with("x-team", "blue"),
        ),
        (
            "user",
            |pareto| ask(pareto, "t", "a").set("user", "u1"),
            |pareto| ask(pareto, "t", "a").set("user", "u2"),
        ),
        (
            "[tenant, model]",
            |pareto| ask(pareto, "t", "a"),
            |pareto| ask(pareto, "t", "a").set("model", "gpt-4o-mini"),
        ),
    ];
    for (per, one, other) in plays {
        let pareto = Pareto::start(&format!("limits: [{{per: {per}, requests: 1/day}}]")).await;
        let statuses = [one(&pareto).await, one(&pareto).await, other(&pareto).await];
        assert_eq!(statuses.map(|answer| answer.status), [200, 429, 200], "per {per}");
        assert_eq!(pareto.provider.total(), 2, "per {per}");
    }
}

#[tokio::test]
async fn a_limit_per_nothing_is_for_all_together() {
    let pareto = Pareto::start("limits: [{requests: 2/day}]").await;
    assert_eq!(ask(&pareto, "t", "a").by("sk-alice").await.status, 200);
    assert_eq!(complete(&pareto).by("sk-bob").await.status, 200);
    assert_eq!(ask(&pareto, "u", "a").set("model", "gpt-4o-mini").await.status, 429);
}

#[tokio::test]
async fn a_limit_is_for_requests_that_meet_its_conditions() {
    let pareto = Pareto::start(
        "limits: [{name: dear, per: tenant, when: {model: 'gpt-4o', endpoint: chat, conversation: {longer_than: 5}}, requests: 1/day, hits: count}]",
    )
    .await;
    let long = || ask(&pareto, "t", "a long text");
    assert!(long().await.header("ratelimit").starts_with("\"dear\";r=0"));
    assert_eq!(long().await.status, 429);
    for other in [ask(&pareto, "t", "a"), long().set("model", "gpt-4o-mini"), complete(&pareto)] {
        let other = other.await;
        assert_eq!((other.status, other.header("ratelimit")), (200, ""), "neither counted nor told of it");
    }
    let stored = || pareto.chat("hit").with("x-tenant-id", "t");
    assert_eq!(stored().await.status, 200);
    assert!(stored().await.is_hit());
    assert_eq!(super::count(&pareto, "t", "requests").await["used"], 1);
}

#[tokio::test]
async fn conditions_look_at_the_request_that_rules_let_go_on() {
    let pareto = Pareto::start(
        "rules: [{name: cheaper, when: {last_message: {one_of: hi}}, then: {model: gpt-4o-mini}}]
limits: [{when: {model: gpt-4o-mini}, requests: 1/day}, {name: other, per: model, when: {not: {model: gpt-4o-mini}}, requests: 9/day}]",
    )
    .await;
    assert_eq!(ask(&pareto, "t", "hi").await.header("x-pareto-model"), "gpt-4o-mini");
    assert_eq!(ask(&pareto, "t", "hi").await.status, 429);
    let answer = ask(&pareto, "t", "something else").await;
    assert_eq!((answer.status, answer.header("ratelimit-policy")), (200, "\"other\";q=9;w=86400"));
}
