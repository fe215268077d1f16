//! Searches that can find nothing are not made, and results that are too far off are not shown.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Fault, Pareto};

const EMPTY: &str =
    "rules: [{name: empty, when: {endpoint: vector_store_search, files: 0}, then: {answer: no_results}}]";

fn search(pareto: &Pareto, store: &str, query: &str) -> Ask {
    pareto.ask(&format!("/v1/vector_stores/{store}/search"), json!({"query": query}))
}

/// How many calls the provider got of this method and path.
fn calls(pareto: &Pareto, method: &str, path: &str) -> usize {
    pareto.provider.calls().iter().filter(|call| call.method == method && call.path() == path).count()
}

fn found(answer: &Answer) -> usize {
    answer.json()["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_search_of_an_empty_store_is_answered_without_it() {
    let pareto = Pareto::start(EMPTY).await;
    let nothing = search(&pareto, "vs_empty", "where is it?").await;
    assert_eq!((nothing.status, found(&nothing), nothing.header("x-pareto-rule")), (200, 0, "empty"));
    assert_eq!(nothing.json()["object"], "vector_store.search_results.page");
    let some = search(&pareto, "vs_full", "where is it?").await;
    assert_eq!((found(&some), some.header("x-pareto-rule")), (3, ""));
    assert_eq!(calls(&pareto, "POST", "/v1/vector_stores/vs_empty/search"), 0);
}

#[tokio::test]
async fn the_provider_is_asked_with_the_callers_key_once_for_many_searches() {
    let pareto = Pareto::start(EMPTY).await;
    for query in ["a", "b", "c"] {
        search(&pareto, "vs_empty", query).await;
    }
    let asked: Vec<_> = pareto.provider.calls().into_iter().filter(|call| call.method == "GET").collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), Some("Bearer sk-alice"));
    assert_eq!(asked[0].body_length, 0);
    search(&pareto, "vs_empty", "a").by("sk-bob").await;
    assert_eq!(calls(&pareto, "GET", "/v1/vector_stores/vs_empty"), 2, "each caller sees his own stores");
}

#[tokio::test]
async fn a_write_that_passes_makes_the_count_void() {
    let pareto = Pareto::start(EMPTY).await;
    search(&pareto, "vs_empty", "a").await;
    for (method, path, again) in [
        (Method::POST, "/v1/vector_stores/vs_empty/files", 2),
        (Method::GET, "/v1/vector_stores/vs_empty/files", 2),
        (Method::DELETE, "/v1/vector_stores/other", 2),
        (Method::DELETE, "/v1/files/file-1", 3),
    ] {
        Answer::of(pareto.request(method.clone(), path).bearer_auth("sk-alice").send().await.unwrap()).await;
        pareto.becomes("active_requests", &[], 0.0).await;
        search(&pareto, "vs_empty", "a").await;
        assert_eq!(calls(&pareto, "GET", "/v1/vector_stores/vs_empty"), again, "{method} {path}");
    }
}

#[tokio::test]
async fn where_the_count_cannot_be_read_the_search_is_made() {
    let pareto = Pareto::start(EMPTY).await;
    pareto.provider.next(Fault::Status(500));
    let made = search(&pareto, "vs_empty", "a").await;
    assert_eq!((made.status, made.header("x-pareto-rule")), (200, ""));
    assert_eq!(calls(&pareto, "POST", "/v1/vector_stores/vs_empty/search"), 1);
    let refused = search(&pareto, "vs_empty", "a").by("sk-invalid").await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn file_search_over_empty_stores_only_is_dropped() {
    let pareto = Pareto::start(
        "rules: [{name: no-files, when: {endpoint: responses, files: 0}, then: {drop: '/tools/[type=file_search]'}}]",
    )
    .await;
    let ask = |stores: Value| {
        let tools = json!([{"type": "function", "name": "f", "parameters": {}}, {"type": "file_search", "vector_store_ids": stores}]);
        pareto.ask("/v1/responses", json!({"model": "gpt-4o", "input": "hi", "tools": tools}))
    };
    let tools = || {
        let call =
            pareto.provider.calls().into_iter().rev().find(|call| call.path() == "/v1/responses").unwrap();
        let tools = call.json()["tools"].clone();
        tools
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["type"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(json!(["vs_a_empty", "vs_b_empty"])).await.status, 200);
    assert_eq!(tools(), ["function"]);
    assert_eq!(ask(json!(["vs_a_empty", "vs_full"])).await.status, 200);
    assert_eq!(tools(), ["function", "file_search"]);
}

#[tokio::test]
async fn results_below_the_floor_are_not_shown() {
    let pareto = Pareto::start(
        "rules: [{name: floor, when: {endpoint: vector_store_search}, then: {min_score: 0.95}}]",
    )
    .await;
    let shown = search(&pareto, "vs_1", "a").await;
    for result in shown.json()["data"].as_array().unwrap() {
        assert!(result["score"].as_f64().unwrap() >= 0.95);
    }
    assert!(found(&shown) < 3);
    assert_eq!(shown.header("x-pareto-rule"), "floor");
    let again = search(&pareto, "vs_1", "a").await;
    assert!(again.is_hit());
    assert_eq!(again.body, shown.body);
}

#[tokio::test]
async fn an_answer_left_without_results_is_kept_as_one() {
    let pareto =
        Pareto::start("rules: [{name: floor, when: {endpoint: vector_store_search}, then: {min_score: 1}}]")
            .await;
    let nothing = search(&pareto, "vs_1", "a").await;
    assert_eq!((nothing.status, found(&nothing)), (200, 0));
    assert_eq!(nothing.json()["has_more"], false);
    let again = search(&pareto, "vs_1", "a").await;
    assert!(again.is_hit() && found(&again) == 0);
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn an_explanation_tells_what_is_known_and_asks_nobody() {
    let pareto = Pareto::start(EMPTY).await;
    let explained = async || {
        let headers = json!({"authorization": "Bearer sk-alice"});
        let described = json!({"endpoint": "/v1/vector_stores/vs_empty/search", "headers": headers, "body": {"query": "a"}});
        pareto.explain(described).await.json()["rules"]["empty"].clone()
    };
    let unknown = explained().await;
    assert_eq!((&unknown["value"], pareto.provider.total()), (&json!(false), 0));
    assert!(unknown["why"].as_str().unwrap().contains("not known"), "{unknown}");
    search(&pareto, "vs_empty", "a").await;
    assert_eq!(explained().await["value"], true);
}
