//! What is stored, and what never is.

use http::Method;
use serde_json::json;

use crate::harness::{Answer, Fault, Pareto};

/// An answer with this fault is not stored: the next request is answered by the provider.
async fn never_stored(fault: Fault, stream: bool) {
    let pareto = Pareto::start("").await;
    let ask = || if stream { pareto.chat("a").stream() } else { pareto.chat("a") };
    pareto.provider.next(fault);
    ask().await;
    pareto.counts("upstream_requests_total", &[], 1.0).await;
    assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0, "{fault} stored, stream: {stream}");
    let next = ask().await;
    assert!(
        next.status == 200 && next.whole && !next.is_hit(),
        "{fault}, stream: {stream}: {}",
        next.cache()
    );
    assert_eq!(pareto.provider.total(), 2);
}

#[tokio::test]
async fn errors_are_never_stored() {
    for status in [400, 401, 403, 404, 408, 409, 422, 500, 502, 503, 529] {
        never_stored(Fault::Status(status), false).await;
    }
    for fault in [Fault::RateLimited, Fault::Quota, Fault::UnavailableHtml, Fault::ErrorInBody] {
        never_stored(fault, false).await;
        never_stored(fault, true).await;
    }
}

#[tokio::test]
async fn cut_and_broken_answers_are_never_stored() {
    for fault in [
        Fault::ResetAfterHead,
        Fault::ResetMidStream,
        Fault::FinMidStream,
        Fault::Malformed,
        Fault::Empty,
        Fault::LengthTooShort,
    ] {
        never_stored(fault, false).await;
        never_stored(fault, true).await;
    }
    for fault in [Fault::NoFinish, Fault::ErrorMidStream] {
        never_stored(fault, true).await;
    }
    // A stream of this fault comes to its `[DONE]`: only what should follow it is missing.
    never_stored(Fault::LengthTooLong, false).await;
}

#[tokio::test]
async fn an_answer_the_token_limit_cut_short_is_whole_all_the_same() {
    let pareto = Pareto::start("").await;
    let short = pareto.chat("sim:words=50").set("max_completion_tokens", 3).await;
    assert_eq!(short.json()["choices"][0]["finish_reason"], "length");
    assert!(pareto.chat("sim:words=50").set("max_completion_tokens", 3).await.is_hit());
}

#[tokio::test]
async fn responses_are_stored_only_where_the_provider_keeps_none() {
    let pareto = Pareto::start("").await;
    let respond = || pareto.ask("/v1/responses", json!({"model": "m", "input": "a"}));
    assert_eq!(respond().await.cache(), "fwd=bypass; detail=stored");
    assert_eq!(respond().set("store", true).await.cache(), "fwd=bypass; detail=stored");
    respond().set("store", false).await;
    assert!(respond().set("store", false).await.is_hit());
    assert!(respond().set("store", false).stream().await.is_hit());
    let continued = respond().set("store", false).set("previous_response_id", "resp_1").await;
    assert_eq!(continued.cache(), "fwd=bypass; detail=stateful");
}

#[tokio::test]
async fn what_a_search_found_is_forgotten_once_its_store_is_written() {
    let pareto = Pareto::start("").await;
    let search =
        |store: &str| pareto.ask(&format!("/v1/vector_stores/{store}/search"), json!({"query": "a"}));
    for store in ["vs_1", "vs_2"] {
        search(store).await;
        assert!(search(store).await.is_hit());
    }
    let read = pareto.request(Method::GET, "/v1/vector_stores/vs_1").bearer_auth("sk-alice").send().await;
    assert_eq!(Answer::of(read.unwrap()).await.status, 200);
    assert!(search("vs_1").await.is_hit(), "a read forgets nothing");
    pareto.ask("/v1/vector_stores/vs_1/files", json!({"file_id": "file-1"})).await;
    assert!(!search("vs_1").await.is_hit(), "stale after a write");
    assert!(search("vs_2").await.is_hit(), "another store was written, not this one");
}

#[tokio::test]
async fn an_answer_larger_than_max_entry_is_delivered_and_not_stored() {
    let pareto = Pareto::start("cache: {max_entry: 2KiB}").await;
    for ask in [
        |pareto: &Pareto| pareto.chat("sim:words=2000"),
        |pareto: &Pareto| pareto.chat("sim:words=2000").stream(),
    ] {
        let large = ask(&pareto).await;
        assert!(large.whole && large.body.len() > 2048);
        assert!(!large.cache().contains("stored"));
    }
    pareto.counts("requests_total", &[("outcome", "miss")], 2.0).await;
    assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0);
    assert_eq!(pareto.chat("sim:words=5").await.cache(), "fwd=miss; stored");
}
