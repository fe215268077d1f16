//! A provider fails; the other one answers.

use http::Method;

use super::Two;
use crate::harness::{Fault, Hold};

const IN_TURN: &str = "targets: [{provider: sim}], fallbacks: [{provider: other, model: gpt-4.1}]";

#[tokio::test]
async fn a_fault_before_the_first_word_is_the_others_to_answer() {
    for fault in [
        Fault::Refuse,
        Fault::ResetBeforeHead,
        Fault::RateLimited,
        Fault::Quota,
        Fault::Status(500),
        Fault::Status(529),
        Fault::UnavailableHtml,
        Fault::ErrorInBody,
        Fault::NotHttp,
        Fault::Empty,
    ] {
        for stream in [false, true] {
            let two = Two::start(IN_TURN).await;
            two.pareto.provider.always(Some(fault));
            let ask = two.pareto.chat("a");
            let answer = if stream { ask.stream().await } else { ask.await };
            assert_eq!((answer.status, answer.header("x-pareto-provider")), (200, "other"), "{fault}");
            assert_eq!(answer.header("x-pareto-attempts"), "2", "{fault}");
            assert!(answer.whole, "{fault}");
            let call = two.other.calls().remove(0);
            assert_eq!(call.json()["model"], "gpt-4.1", "each target has its own name of the model");
            assert_eq!(call.header("authorization"), Some("Bearer sk-other"));
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_early_is_fetched_elsewhere() {
    for fault in [Fault::ResetAfterHead, Fault::ResetMidStream, Fault::FinMidStream, Fault::LengthTooLong] {
        let two = Two::start(IN_TURN).await;
        two.pareto.provider.always(Some(fault));
        let answer = two.pareto.chat("a").await;
        assert_eq!((answer.status, answer.header("x-pareto-provider")), (200, "other"), "{fault}");
    }
}

#[tokio::test]
async fn an_answer_fetched_elsewhere_is_stored_and_says_so() {
    let two = Two::start(IN_TURN).await;
    two.pareto.provider.next(Fault::Status(503));
    two.pareto.chat("a").await;
    let hit = two.pareto.chat("a").await;
    assert!(hit.header("cache-status").contains("hit"), "{}", hit.header("cache-status"));
    assert_eq!(hit.header("x-pareto-provider"), "other");
    assert_eq!(two.asked(), (1, 1));
}

#[tokio::test]
async fn with_all_gone_there_is_one_clear_error() {
    let two = Two::start(&format!("{IN_TURN}, retries: {{attempts: 2}}")).await;
    two.pareto.provider.stop().await;
    two.other.stop().await;
    let answer = two.pareto.chat("a").await;
    assert_eq!((answer.status, answer.code()), (502, "pareto_upstream_failed".into()));
    assert_eq!(answer.header("x-should-retry"), "false");
    assert_eq!(answer.header("x-pareto-attempts"), "2");
}

#[tokio::test]
async fn a_request_goes_only_where_it_can_be_served_as_asked() {
    let route = "targets: [{provider: sim, takes: {tools: false}}, {provider: other}]";
    let two = Two::start(route).await;
    let tools = serde_json::json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    for text in ["a", "b", "c", "d"] {
        let answer = two.pareto.chat(text).set("tools", tools.clone()).await;
        assert_eq!(answer.header("x-pareto-provider"), "other");
    }
    let none = Two::start("targets: [{provider: sim, takes: {tools: false}}]").await;
    let refused = none.pareto.chat("a").set("tools", tools).await;
    assert_eq!((refused.status, refused.code()), (400, "pareto_no_target".into()));
    assert!(refused.text().contains("`sim`: tools"), "{}", refused.text());
    assert_eq!(none.asked(), (0, 0));
}

#[tokio::test]
async fn operators_see_every_target_and_its_breaker() {
    let two = Two::start(IN_TURN).await;
    two.pareto.provider.always(Some(Fault::Status(500)));
    for text in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(two.pareto.chat(text).await.status, 200);
    }
    assert_eq!(two.asked(), (5, 6), "open after five in a row");
    let shown = two.pareto.admin(Method::GET, "/providers").await.json();
    let target = &shown["routes"][0]["targets"][0];
    assert_eq!(target["name"], "sim");
    assert_eq!(target["keys"][0]["breaker"], "open");
    assert_eq!(target["keys"][0]["recent_failures"], 5);
    assert_eq!(shown["routes"][0]["targets"][1]["keys"][0]["breaker"], "closed");
    assert!(!shown.to_string().contains("sk-sim"), "keys are not shown");
    assert_eq!(two.pareto.metric("breaker_state", &[("provider", "sim")]).await, 2.0);
    assert_eq!(two.pareto.metric("breaker_state", &[("provider", "other")]).await, 0.0);
}

#[tokio::test]
async fn weights_are_kept() {
    let two = Two::start("targets: [{provider: sim, weight: 3}, {provider: other}]").await;
    for text in 0..40 {
        two.pareto.chat(&text.to_string()).await;
    }
    assert_eq!(two.asked(), (30, 10));
}

#[tokio::test]
async fn a_large_answer_streams_though_others_could_be_asked() {
    let two = Two::start(IN_TURN).await;
    two.pareto.provider.next(Fault::Huge);
    let answer = two.pareto.chat("a").await;
    assert_eq!((answer.status, answer.whole), (200, true));
    assert!(answer.text().len() > 60 << 20);
    assert_eq!(two.asked(), (1, 0));
}

#[tokio::test]
async fn no_attempt_follows_once_everybody_has_left() {
    let two = Two::start(IN_TURN).await;
    two.pareto.provider.hold(Hold::BeforeHead);
    two.pareto.provider.always(Some(Fault::Status(503)));
    let asked = two.pareto.chat("a").spawn();
    two.pareto.provider.received(1).await;
    asked.abort();
    two.pareto.becomes("active_requests", &[], 0.0).await;
    two.pareto.provider.release();
    two.pareto.counts("attempts_total", &[("provider", "sim")], 1.0).await;
    // Whoever stays is still helped: of what came before, the other has heard nothing.
    assert_eq!(two.pareto.chat("b").await.header("x-pareto-provider"), "other");
    assert_eq!(two.asked(), (2, 1));
}

#[tokio::test]
async fn a_provider_that_asks_for_thirty_seconds_has_them() {
    for stream in [false, true] {
        let two = Two::start(IN_TURN).await;
        two.pareto.provider.next(Fault::RateLimitedFor(30));
        for text in ["a", "b", "c", "d", "e"] {
            let answer = two.pareto.chat(text).set("stream", stream).await;
            assert_eq!((answer.status, answer.header("x-pareto-provider")), (200, "other"));
        }
        assert_eq!(two.asked(), (1, 5));
        let alone = Two::start("targets: [{provider: sim}], retries: {backoff: {max: 5s}}").await;
        alone.pareto.provider.next(Fault::RateLimitedFor(30));
        let answer = alone.pareto.chat("a").set("stream", stream).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, "30"), "longer than anybody waits");
        assert_eq!(answer.header("x-should-retry"), "false");
        assert_eq!(alone.asked(), (1, 0));
    }
}
