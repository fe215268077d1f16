//! Answers past their time (RFC 5861). How long is long is tested with a clock that is held; here a
//! client's own directives, or the smallest lifetime there is, make an answer old.

use crate::harness::{Answer, Fault, Pareto, within};

/// Asks until the stored answer has outlived its millisecond.
async fn until_stale(pareto: &Pareto) -> Answer {
    within("an answer to age by a millisecond", async {
        loop {
            let answer = pareto.chat("a").await;
            if !answer.is_hit() {
                return answer;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_stale_answer_is_better_than_an_error() {
    let pareto = Pareto::start("cache: {exact: {ttl: 1ms}, stale: {if_error: 1h}}").await;
    let old = pareto.chat("a").await;
    pareto.provider.always(Some(Fault::Status(500)));
    let stale = until_stale(&pareto).await;
    assert_eq!((stale.status, &stale.body), (200, &old.body), "{}", stale.text());
    assert!(stale.cache().ends_with("detail=stale"), "{}", stale.cache());
    for fault in [Fault::ResetBeforeHead, Fault::Status(529), Fault::UnavailableHtml] {
        pareto.provider.always(Some(fault));
        assert_eq!(pareto.chat("a").await.body, old.body, "{fault}");
    }
    assert!(pareto.metric("requests_total", &[("outcome", "stale")]).await >= 3.0);
}

#[tokio::test]
async fn a_stale_answer_is_not_better_than_a_judgement_of_the_request() {
    let pareto = Pareto::start("cache: {exact: {ttl: 1ms}, stale: {if_error: 1h}}").await;
    pareto.chat("a").await;
    pareto.provider.always(Some(Fault::Status(401)));
    assert_eq!(until_stale(&pareto).await.status, 401);
}

#[tokio::test]
async fn without_if_error_an_error_is_an_error() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").await;
    pareto.provider.always(Some(Fault::Status(500)));
    assert_eq!(pareto.chat("a").cache_control("max-age=0").await.status, 500);
    assert_eq!(pareto.chat("a").cache_control("min-fresh=7200").await.status, 500);
    assert!(pareto.chat("a").await.is_hit());
}

#[tokio::test]
async fn a_client_may_allow_a_stale_answer_in_place_of_an_error() {
    let pareto = Pareto::start("cache: {stale: {if_error: 1h}}").await;
    let old = pareto.chat("a").await;
    pareto.provider.always(Some(Fault::Status(500)));
    let spare = pareto.chat("a").cache_control("max-age=0, stale-if-error=60").await;
    assert_eq!((spare.status, &spare.body), (200, &old.body));
}

#[tokio::test]
async fn a_stale_answer_is_given_at_once_while_a_fresh_one_is_fetched() {
    let pareto = Pareto::start("cache: {exact: {ttl: 1ms}, stale: {while_revalidate: 1h}}").await;
    let old = pareto.chat("a").await;
    let stale = until_stale(&pareto).await;
    assert!(
        stale.cache().starts_with("hit; ") && stale.cache().ends_with("detail=stale"),
        "{}",
        stale.cache()
    );
    assert_eq!(stale.json()["id"], old.json()["id"]);
    within("the fresh answer to be fetched", pareto.provider.received(2)).await;
    let renewed = within("the fresh answer", async {
        loop {
            let answer = pareto.chat("a").await;
            if answer.json()["id"] != old.json()["id"] {
                return answer;
            }
        }
    });
    assert!(renewed.await.cache().starts_with("hit; "));
}
