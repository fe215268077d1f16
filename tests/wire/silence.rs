//! Providers that stop talking: the timeouts of the configuration, each at its place.

use crate::harness::{Fault, Pareto, within};

fn timeouts(limits: &str) -> String {
    format!("providers: {{sim: {{url: \"{{provider}}\", timeouts: {{{limits}}}}}}}")
}

#[tokio::test]
async fn no_answer_at_all_is_a_504() {
    for streams in [false, true] {
        let pareto = Pareto::start(&timeouts("first_byte: 200ms")).await;
        pareto.provider.next(Fault::NeverAnswers);
        let answer = pareto.chat("a").set("stream", streams).await;
        answer.assert_refused(504, "pareto_upstream_timeout");
        within("the call to be given up", pareto.provider.left(1)).await;
    }
}

#[tokio::test]
async fn silence_after_the_head_is_a_504() {
    for streams in [false, true] {
        let pareto = Pareto::start(&timeouts("idle: 200ms")).await;
        pareto.provider.next(Fault::HangAfterHead);
        let answer = pareto.chat("a").set("stream", streams).await;
        answer.assert_refused(504, "pareto_upstream_timeout");
        within("the call to be given up", pareto.provider.left(1)).await;
    }
}

#[tokio::test]
async fn silence_in_the_middle_of_a_stream_breaks_it_off() {
    let pareto = Pareto::start(&timeouts("idle: 200ms")).await;
    pareto.provider.next(Fault::HangMidStream);
    let answer = pareto.chat("a").stream().await;
    answer.assert_broken_off();
    assert_eq!(answer.events().last().unwrap()["error"]["code"], "pareto_upstream_timeout");
    assert!(!pareto.chat("a").await.is_hit());
}

#[tokio::test]
async fn silence_in_the_middle_of_a_body_is_a_504() {
    let pareto = Pareto::start(&timeouts("idle: 200ms")).await;
    pareto.provider.next(Fault::HangMidStream);
    pareto.chat("a").await.assert_refused(504, "pareto_upstream_timeout");
}

#[tokio::test]
async fn an_endless_answer_ends_at_the_total_limit() {
    let pareto = Pareto::start(&timeouts("total: 500ms")).await;
    pareto.provider.next(Fault::NeverEnds);
    pareto.chat("a").stream().await.assert_broken_off();
    pareto.provider.next(Fault::NeverEnds);
    pareto.chat("a").await.assert_refused(504, "pareto_upstream_timeout");
    within("both calls to be given up", pareto.provider.left(2)).await;
    assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0);
}

#[tokio::test]
async fn what_passes_through_unread_has_the_same_limits() {
    let pareto = Pareto::start(&timeouts("first_byte: 200ms, idle: 200ms")).await;
    pareto.provider.next(Fault::NeverAnswers);
    let models = pareto.request(http::Method::GET, "/v1/models").send().await.unwrap();
    crate::harness::Answer::of(models).await.assert_refused(504, "pareto_upstream_timeout");
}
