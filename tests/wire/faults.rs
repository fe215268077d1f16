//! Every way a provider fails: before the first byte a proper status, after it an error event and no
//! clean end. What clients need is measured in their own behaviour: an end that looks clean is
//! taken for a whole answer.

use serde_json::json;

use crate::harness::{Answer, Ask, Fault, Pareto};

async fn struck(fault: Fault, ask: impl Fn(&Pareto) -> Ask) -> Answer {
    let pareto = Pareto::start("").await;
    pareto.provider.next(fault);
    let answer = ask(&pareto).await;
    pareto.counts("requests_total", &[], 1.0).await;
    assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0, "{fault} is stored");
    answer
}

async fn body(fault: Fault) -> Answer {
    struck(fault, |pareto| pareto.chat("a")).await
}

async fn stream(fault: Fault) -> Answer {
    struck(fault, |pareto| pareto.chat("a").stream()).await
}

#[tokio::test]
async fn a_failure_before_the_first_byte_is_a_502() {
    for fault in [Fault::ResetBeforeHead, Fault::ResetAfterHead, Fault::NotHttp] {
        body(fault).await.assert_refused(502, "pareto_upstream_failed");
        stream(fault).await.assert_refused(502, "pareto_upstream_failed");
    }
    stream(Fault::Empty).await.assert_refused(502, "pareto_upstream_failed");
}

#[tokio::test]
async fn a_refused_connection_is_a_502() {
    for streams in [false, true] {
        let pareto = Pareto::start("").await;
        pareto.provider.stop().await;
        let answer = pareto.chat("a").set("stream", streams).await;
        answer.assert_refused(502, "pareto_upstream_failed");
        pareto.provider.restart().await.unwrap();
        assert_eq!(pareto.chat("a").await.status, 200);
    }
}

#[tokio::test]
async fn a_body_cut_in_the_middle_is_a_502() {
    for fault in [Fault::ResetMidStream, Fault::FinMidStream, Fault::LengthTooLong] {
        body(fault).await.assert_refused(502, "pareto_upstream_failed");
    }
}

#[tokio::test]
async fn a_large_body_cut_in_the_middle_never_ends_cleanly() {
    let long = |pareto: &Pareto| pareto.chat("sim:words=150000");
    let cut = struck(Fault::FinMidStream, long).await;
    assert!(cut.status == 200 && !cut.whole && cut.body.len() > 256 * 1024);
    // A reset discards what was sent before it: how much had been read by then is chance.
    let reset = struck(Fault::ResetMidStream, long).await;
    assert!(reset.status == 502 || !reset.whole, "{}", reset.status);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_is_cut() {
    for fault in
        [Fault::ResetMidStream, Fault::FinMidStream, Fault::NoFinish, Fault::Malformed, Fault::ErrorMidStream]
    {
        let broken = stream(fault).await;
        broken.assert_broken_off();
        assert!(broken.events().len() > 1, "{fault}: what came before is lost");
    }
}

#[tokio::test]
async fn a_broken_stream_breaks_in_the_dialect_of_its_client() {
    let pareto = Pareto::start("providers: {p: {url: \"{origin}\"}}").await;
    pareto.provider.always(Some(Fault::ResetMidStream));
    let messages = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "a"}]});
    let anthropic = pareto.ask("/v1/messages", messages).stream().await;
    assert!(!anthropic.whole && anthropic.text().contains("\nevent: error\ndata: {\"type\":\"error\""));
    let responses = pareto.ask("/v1/responses", json!({"model": "m", "input": "a"})).stream().await;
    assert!(!responses.whole && responses.text().contains("\nevent: error\ndata: {\"type\":\"error\""));
    let contents = json!({"contents": [{"parts": [{"text": "a sim:words=30"}]}]});
    let gemini = pareto.ask("/v1beta/models/g:streamGenerateContent?alt=sse", contents).await;
    gemini.assert_broken_off();
}

#[tokio::test]
async fn a_stream_without_its_last_mark_is_whole_if_the_answer_is() {
    let pareto = Pareto::start("").await;
    let expected = pareto.chat("a").cache_control("no-store").stream().await;
    pareto.provider.next(Fault::NoDone);
    let answer = pareto.chat("a").stream().await;
    assert!(answer.whole && answer.said() == expected.said());
}

#[tokio::test]
async fn a_providers_own_error_passes_with_its_status_and_body() {
    for status in [400, 401, 403, 404, 408, 409, 422, 500, 502, 503, 504, 529] {
        for answer in [body(Fault::Status(status)).await, stream(Fault::Status(status)).await] {
            assert_eq!((answer.status, answer.whole), (status, true));
            let error = answer.json();
            assert!(error["error"]["message"].is_string() && !error.to_string().contains("pareto"));
            assert!(answer.headers.contains_key("x-request-id"));
        }
    }
}

#[tokio::test]
async fn a_rate_limit_passes_with_the_wait_it_names() {
    for answer in [body(Fault::RateLimited).await, stream(Fault::RateLimited).await] {
        assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
        assert_eq!(answer.code(), "rate_limit_exceeded");
        assert!(answer.headers.contains_key("x-ratelimit-remaining-requests"));
    }
    assert_eq!(body(Fault::RateLimitedMs).await.header("retry-after-ms"), "30");
    assert_eq!(body(Fault::Quota).await.code(), "insufficient_quota");
}

#[tokio::test]
async fn a_load_balancers_page_passes_as_it_is() {
    for answer in [body(Fault::UnavailableHtml).await, stream(Fault::UnavailableHtml).await] {
        assert_eq!((answer.status, answer.header("content-type")), (503, "text/html"));
        assert!(answer.text().starts_with("<html>"));
    }
}

#[tokio::test]
async fn an_error_in_a_200_passes_and_one_that_opens_a_stream_gets_a_status() {
    let in_body = body(Fault::ErrorInBody).await;
    assert_eq!((in_body.status, in_body.json()["error"]["type"].as_str()), (200, Some("server_error")));
    let first_event = stream(Fault::ErrorInBody).await;
    assert_eq!(
        (first_event.status, first_event.json()["error"]["type"].as_str()),
        (500, Some("server_error"))
    );
    assert_eq!(first_event.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_refusal_before_the_upload_ends_passes() {
    let answer = body(Fault::TooLarge).await;
    assert_eq!(answer.status, 413);
    assert_ne!(answer.code(), "pareto_body_too_large");
}

#[tokio::test]
async fn a_pooled_connection_that_the_provider_closed_is_not_a_failure() {
    let pareto = Pareto::start("").await;
    assert_eq!(pareto.chat("a").await.status, 200);
    pareto.provider.restart().await.unwrap();
    assert_eq!(pareto.chat("b").await.status, 200);
}

#[tokio::test]
async fn what_follows_a_lying_length_is_not_taken_for_the_next_answer() {
    let pareto = Pareto::start("").await;
    pareto.provider.next(Fault::LengthTooShort);
    pareto.chat("a").await;
    for text in ["b", "c"] {
        let next = pareto.chat(text).await;
        assert!(next.status == 200 && next.json()["choices"].is_array(), "{}", next.text());
    }
}
