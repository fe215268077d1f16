//! One upstream call for all who ask the same at the same time.

use futures_util::future::join_all;

use crate::harness::{Ask, Fault, Hold, Pareto, within};

const CROWD: u32 = 1000;

/// A leader whose call has reached the provider, and followers who all wait for it.
async fn crowd(pareto: &Pareto, followers: u32, ask: impl Fn() -> Ask) -> (Handle, Vec<Handle>) {
    let leader = ask().spawn();
    within("the leader's call", pareto.provider.received(1)).await;
    let followers_asked = (0..followers).map(|_| ask().spawn()).collect();
    pareto.waiting(followers).await;
    (leader, followers_asked)
}

type Handle = tokio::task::JoinHandle<crate::harness::Answer>;

async fn a_thousand_share_one_call(stream: bool, leader_leaves: bool) {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::BeforeHead);
    let ask = || if stream { pareto.chat("a").stream() } else { pareto.chat("a") };
    let (leader, followers) = crowd(&pareto, CROWD - 1, ask).await;
    if leader_leaves {
        leader.abort();
        pareto.becomes("active_requests", &[], f64::from(CROWD - 1)).await;
    }
    pareto.provider.release();
    let answers = join_all(followers).await;
    let first = answers[0].as_ref().unwrap();
    assert!(!first.said().is_empty());
    for answer in &answers {
        let answer = answer.as_ref().unwrap();
        assert!(answer.status == 200 && answer.whole && answer.body == first.body);
        assert_eq!(answer.cache(), "fwd=miss; collapsed");
    }
    assert_eq!(pareto.provider.total(), 1);
    pareto.counts("saved_calls_total", &[("by", "coalesce")], f64::from(CROWD - 1)).await;
}

#[tokio::test]
async fn a_thousand_identical_requests_are_one_call() {
    a_thousand_share_one_call(false, false).await;
}

#[tokio::test]
async fn a_thousand_identical_streams_are_one_call() {
    a_thousand_share_one_call(true, false).await;
}

#[tokio::test]
async fn a_leader_that_hangs_up_leaves_the_call_to_its_followers() {
    a_thousand_share_one_call(false, true).await;
}

#[tokio::test]
async fn a_leader_that_hangs_up_leaves_the_stream_to_its_followers() {
    a_thousand_share_one_call(true, true).await;
}

#[tokio::test]
async fn a_late_joiner_hears_the_stream_from_its_start() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::AfterEvents(4));
    let mut early = pareto.chat("a").stream().open().await;
    let heard = early.events(4).await;
    let mut late = pareto.chat("a").stream().open().await;
    assert_eq!(late.events(4).await, heard);
    pareto.provider.release();
    let (early, late) = (early.rest().await, late.rest().await);
    assert!(late.whole && late.text() == early.text());
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn stream_and_body_share_one_call() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::AfterEvents(2));
    let mut streaming = pareto.chat("a").stream().open().await;
    streaming.events(2).await;
    let whole = pareto.chat("a").spawn();
    pareto.waiting(1).await;
    pareto.provider.release();
    assert_eq!(streaming.rest().await.said(), whole.await.unwrap().said());
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn a_reader_that_does_not_read_slows_nobody() {
    let pareto = Pareto::start("").await;
    let long = || pareto.chat("sim:words=40000").stream();
    pareto.provider.hold(Hold::AfterEvents(1));
    let mut idle = long().open().await;
    idle.events(1).await;
    let other = long().spawn();
    pareto.waiting(1).await;
    pareto.provider.release();
    let other = within("the other reader", other).await.unwrap();
    assert!(other.whole && other.text().ends_with("data: [DONE]\n\n"));
    let idle = idle.rest().await;
    assert!(idle.whole && idle.text() == other.text());
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn what_belongs_to_the_leaders_call_is_not_told_to_followers() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::BeforeHead);
    let (leader, followers) = crowd(&pareto, 1, || pareto.chat("a")).await;
    pareto.provider.release();
    let follower = followers.into_iter().next().unwrap().await.unwrap();
    assert!(leader.await.unwrap().headers.contains_key("x-ratelimit-remaining-tokens"));
    assert!(!follower.headers.contains_key("x-ratelimit-remaining-tokens"));
    assert!(!follower.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn the_last_hang_up_stops_the_call() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::AfterEvents(2));
    let mut first = pareto.chat("a").stream().open().await;
    let mut second = pareto.chat("a").stream().open().await;
    first.events(2).await;
    second.events(2).await;
    drop(first);
    pareto.becomes("active_requests", &[], 1.0).await;
    assert_eq!(pareto.provider.hung_up(), 0, "somebody still listens");
    drop(second);
    within("the call to be stopped", pareto.provider.left(1)).await;
    pareto.provider.release();
    assert_eq!(pareto.chat("a").await.cache(), "fwd=miss; stored");
    pareto.counts("attempts_total", &[("result", "abandoned")], 1.0).await;
}

#[tokio::test]
async fn a_hang_up_before_the_head_stops_the_call_too() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::BeforeHead);
    let only = pareto.chat("a").spawn();
    within("the call", pareto.provider.received(1)).await;
    only.abort();
    within("the call to be stopped", pareto.provider.left(1)).await;
}

#[tokio::test]
async fn an_abandoned_call_may_finish_for_the_cache() {
    let pareto = Pareto::start("coalesce: {abandoned: finish}").await;
    pareto.provider.hold(Hold::AfterEvents(2));
    let mut only = pareto.chat("a").stream().open().await;
    only.events(2).await;
    drop(only);
    pareto.becomes("active_requests", &[], 0.0).await;
    pareto.provider.release();
    pareto.stored(1).await;
    assert!(pareto.chat("a").await.is_hit());
    assert_eq!((pareto.provider.total(), pareto.provider.hung_up()), (1, 0));
}

#[tokio::test]
async fn a_failed_leaders_error_reaches_each_follower_once() {
    let pareto = Pareto::start("").await;
    pareto.provider.next(Fault::Status(500));
    pareto.provider.hold(Hold::BeforeHead);
    let (leader, followers) = crowd(&pareto, 20, || pareto.chat("a")).await;
    pareto.provider.release();
    assert_eq!(leader.await.unwrap().status, 500);
    for follower in join_all(followers).await {
        assert_eq!(follower.unwrap().status, 500);
    }
    assert_eq!(pareto.provider.total(), 1);
    assert_eq!(pareto.chat("a").await.status, 200);
}

#[tokio::test]
async fn a_call_that_breaks_before_its_head_fails_all_who_wait_for_it() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::BeforeHead);
    let (leader, followers) = crowd(&pareto, 20, || pareto.chat("a")).await;
    pareto.provider.stop().await;
    for asked in join_all(followers.into_iter().chain([leader])).await {
        asked.unwrap().assert_refused(502, "pareto_upstream_failed");
    }
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_breaks_for_everybody_who_listens() {
    let pareto = Pareto::start("").await;
    pareto.provider.next(Fault::ResetMidStream);
    pareto.provider.hold(Hold::AfterEvents(2));
    let mut early = pareto.chat("a").stream().open().await;
    early.events(2).await;
    let mut late = pareto.chat("a").stream().open().await;
    late.events(2).await;
    pareto.provider.release();
    early.rest().await.assert_broken_off();
    late.rest().await.assert_broken_off();
}

#[tokio::test]
async fn a_judgement_of_the_leaders_key_is_not_for_another_key() {
    for (fault, status) in [(Fault::Status(401), 401), (Fault::RateLimited, 429), (Fault::Quota, 429)] {
        let pareto = Pareto::start("cache: {share: everyone}").await;
        pareto.provider.next(fault);
        pareto.provider.hold(Hold::BeforeHead);
        let leader = pareto.chat("a").by("sk-alice").spawn();
        within("the leader's call", pareto.provider.received(1)).await;
        let same = pareto.chat("a").by("sk-alice").spawn();
        let other = pareto.chat("a").by("sk-bob").spawn();
        pareto.waiting(2).await;
        pareto.provider.release();
        assert_eq!(leader.await.unwrap().status, status);
        assert_eq!(same.await.unwrap().status, status);
        assert_eq!(other.await.unwrap().status, 200);
        assert_eq!(pareto.provider.total(), 2);
    }
}

#[tokio::test]
async fn another_credential_makes_a_call_of_its_own() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::BeforeHead);
    let asked = ["sk-alice", "sk-bob"].map(|key| pareto.chat("a").by(key).spawn());
    within("two calls", pareto.provider.received(2)).await;
    pareto.provider.release();
    for answer in asked {
        assert_eq!(answer.await.unwrap().cache(), "fwd=miss; stored");
    }
}

#[tokio::test]
async fn a_clients_retry_reaches_the_provider_anew() {
    let pareto = Pareto::start("").await;
    pareto.provider.next(Fault::Status(500));
    assert_eq!(pareto.chat("a").with("x-stainless-retry-count", "0").await.status, 500);
    let retried = pareto.chat("a").with("x-stainless-retry-count", "1").await;
    assert_eq!((retried.status, retried.cache()), (200, "fwd=miss; stored"));
    pareto.counts("client_retries_total", &[], 1.0).await;
}

#[tokio::test]
async fn who_wants_a_new_answer_does_not_share_one_begun_before() {
    for directive in ["no-cache", "no-store"] {
        let pareto = Pareto::start("").await;
        pareto.provider.hold(Hold::BeforeHead);
        let old = pareto.chat("a").spawn();
        within("the first call", pareto.provider.received(1)).await;
        let new = pareto.chat("a").cache_control(directive).spawn();
        within("a call of its own", pareto.provider.received(2)).await;
        pareto.provider.release();
        assert_ne!(old.await.unwrap().json()["id"], new.await.unwrap().json()["id"]);
    }
}

#[tokio::test]
async fn one_more_than_may_wait_makes_its_own_call() {
    let pareto = Pareto::start("coalesce: {max_waiters: 1}").await;
    pareto.provider.hold(Hold::BeforeHead);
    let (leader, followers) = crowd(&pareto, 1, || pareto.chat("a")).await;
    let third = pareto.chat("a").spawn();
    within("the third's own call", pareto.provider.received(2)).await;
    pareto.provider.release();
    for asked in followers.into_iter().chain([leader, third]) {
        assert_eq!(asked.await.unwrap().status, 200);
    }
}
