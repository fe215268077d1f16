//! Identical requests on different sidecars make one call.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{sidecars, sidecars_with};
use crate::harness::{Answer, Ask, Binary, CHAT, Fault, Hold, Pareto, Redis, chat, provider, until, within};

/// Asks every sidecar `each` times at once, with the provider held back until all wait.
async fn crowd(all: &[Pareto], each: u32, ask: impl Fn(&Pareto) -> Ask) -> Vec<Answer> {
    let provider = all[0].provider.clone();
    provider.hold(Hold::BeforeHead);
    let asked: Vec<_> =
        all.iter().flat_map(|pareto| (0..each).map(|_| ask(pareto).spawn()).collect::<Vec<_>>()).collect();
    within("the call", provider.received(1)).await;
    for pareto in all {
        pareto.becomes("active_requests", &[], f64::from(each)).await;
    }
    provider.release();
    join_all(asked).await.into_iter().map(Result::unwrap).collect()
}

async fn three_sidecars_make_one_call(ask: fn(&Pareto) -> Ask) {
    let redis = Redis::start().await;
    let all: [Pareto; 3] = sidecars(&redis).await;
    let answers = crowd(&all, 300, ask).await;
    assert!(!answers[0].said().is_empty());
    for answer in &answers {
        assert!(answer.status == 200 && answer.whole && answer.said() == answers[0].said());
    }
    assert_eq!(all[0].provider.total(), 1);
}

#[tokio::test]
async fn nine_hundred_requests_on_three_sidecars_are_one_call() {
    three_sidecars_make_one_call(|pareto| pareto.chat("a")).await;
}

#[tokio::test]
async fn nine_hundred_streams_on_three_sidecars_are_one_call() {
    three_sidecars_make_one_call(|pareto| pareto.chat("a").stream()).await;
}

#[tokio::test]
async fn a_follower_on_another_sidecar_hears_the_stream_while_it_streams() {
    let redis = Redis::start().await;
    let [first, second] = sidecars(&redis).await;
    first.provider.hold(Hold::AfterEvents(3));
    let mut leader = first.chat("a").stream().open().await;
    let heard = leader.events(3).await;
    let mut follower = second.chat("a").stream().open().await;
    assert_eq!(within("the events", follower.events(3)).await, heard);
    first.provider.release();
    let (leader, follower) = (leader.rest().await, follower.rest().await);
    assert!(follower.whole && follower.text() == leader.text());
    assert_eq!(first.provider.total(), 1);
    second.counts("saved_calls_total", &[("by", "coalesce")], 1.0).await;
}

#[tokio::test]
async fn a_leader_that_fails_wakes_the_followers_and_one_of_them_calls() {
    let redis = Redis::start().await;
    let [first, second] = sidecars_with(&redis.storage_with("timeout: 5s, lease: 1h")).await;
    first.provider.next(Fault::Status(500));
    first.provider.hold(Hold::BeforeHead);
    let leader = first.chat("a").spawn();
    within("the call", first.provider.received(1)).await;
    let follower = second.chat("a").spawn();
    second.counts("lock_attempts_total", &[], 1.0).await;
    first.provider.release();
    assert_eq!(leader.await.unwrap().status, 500);
    // At once: the lease would have lasted an hour.
    assert_eq!(follower.await.unwrap().status, 200);
    assert_eq!(first.provider.total(), 2);
}

/// A leader in a process of its own that is killed, and a follower that waits for it.
async fn killed(hold: Hold, stream: bool) -> (Answer, u64) {
    let redis = Redis::start().await;
    let provider = Arc::new(provider().await);
    let settings = redis.storage_with("timeout: 500ms, lease: 2s");
    let file = format!("providers: {{sim: {{url: \"{}\"}}}}\n{settings}", provider.url());
    let leader = Binary::start(&file).await;
    let follower = Pareto::before(provider.clone(), &settings);
    super::in_use(&follower, true).await;
    until("the leader's Redis", async || {
        redis.cli(&["PUBSUB", "CHANNELS", "pareto:sidecar:*"]).lines().count() >= 2
    })
    .await;
    provider.hold(hold);
    let mut body = chat("a");
    body["stream"] = stream.into();
    let url = format!("http://{}{CHAT}", leader.address);
    let call = reqwest::Client::new().post(url).bearer_auth("sk-alice").json(&body).send();
    let call = tokio::spawn(call);
    within("the leader's call", provider.received(1)).await;
    let ask = if stream { follower.chat("a").stream() } else { follower.chat("a") };
    let waiting = match hold {
        Hold::BeforeHead => {
            let waiting = ask.spawn();
            follower.counts("lock_attempts_total", &[], 1.0).await;
            drop(leader);
            provider.release();
            waiting.await.unwrap()
        }
        Hold::AfterEvents(_) => {
            let mut live = ask.open().await;
            live.events(2).await;
            drop(leader);
            provider.release();
            live.rest().await
        }
    };
    let _ = call.await;
    (waiting, provider.total())
}

#[tokio::test]
async fn a_leader_killed_before_the_head_is_replaced_by_a_follower() {
    for stream in [false, true] {
        let (answer, calls) = killed(Hold::BeforeHead, stream).await;
        assert!(answer.status == 200 && answer.whole && !answer.said().is_empty());
        assert_eq!(calls, 2);
    }
}

#[tokio::test]
async fn a_leader_killed_in_the_middle_breaks_its_followers_streams_honestly() {
    let (answer, calls) = killed(Hold::AfterEvents(2), true).await;
    answer.assert_broken_off();
    assert!(calls <= 2);
}

/// A stream that two sidecars share, cut off from Redis in the middle: what the leader's client, its
/// followers and the provider come to see.
async fn redis_lost_in_the_middle(comes_back: bool) {
    let mut redis = Redis::start().await;
    let [first, second] = sidecars_with(&redis.storage_with("timeout: 500ms, lease: 2s")).await;
    first.provider.hold(Hold::AfterEvents(3));
    let mut leader = first.chat("a").stream().open().await;
    let begun = leader.events(3).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut follower = second.chat("a").stream().open().await;
        assert_eq!(within("the events", follower.events(3)).await, begun);
        streams.push(follower);
    }
    let whole = second.chat("a").spawn();
    second.waiting(3).await;
    redis.kill();
    if comes_back {
        redis.restart().await;
    }
    first.provider.release();
    let leader = leader.rest().await;
    assert!(leader.whole && leader.status == 200, "{}", leader.text());
    for follower in streams {
        let follower = follower.rest().await;
        if !follower.whole {
            follower.assert_broken_off();
            continue;
        }
        assert_eq!(follower.text(), leader.text());
    }
    let whole = within("the follower's answer", whole).await.unwrap();
    match whole.status {
        200 => assert_eq!((whole.whole, whole.said()), (true, leader.said())),
        // It has heard a part of an answer that nobody can tell it the rest of.
        status => assert_eq!((status, whole.code()), (503, "pareto_unavailable".into())),
    }
    assert!(first.provider.total() <= 2);
    // What comes after it is served as ever.
    assert_eq!(second.chat("b").await.status, 200);
}

#[tokio::test]
async fn a_stream_shared_by_sidecars_outlives_the_end_of_redis_at_its_leader() {
    redis_lost_in_the_middle(false).await;
}

#[tokio::test]
async fn a_stream_shared_by_sidecars_outlives_a_redis_that_forgets_it() {
    redis_lost_in_the_middle(true).await;
}

#[tokio::test]
async fn nobody_waits_for_another_sidecars_call_beyond_the_deadline_of_their_own() {
    let redis = Redis::start().await;
    let provider = Arc::new(provider().await);
    let file = |total: &str| {
        format!(
            "providers: {{sim: {{url: \"{}\", timeouts: {{total: {total}}}}}}}\n{}",
            provider.url(),
            redis.storage()
        )
    };
    let patient = Pareto::before(provider.clone(), &file("10m"));
    let hasty = Pareto::before(provider.clone(), &file("1s"));
    for pareto in [&patient, &hasty] {
        super::in_use(pareto, true).await;
    }
    provider.hold(Hold::BeforeHead);
    let leader = patient.chat("a").spawn();
    within("the call", provider.received(1)).await;
    for ask in [hasty.chat("a"), hasty.chat("a").stream()] {
        let answer = ask.await;
        assert_eq!((answer.status, answer.code()), (504, "pareto_upstream_timeout".into()));
    }
    assert_eq!(provider.total(), 1, "no call of its own is begun when its time is over");
    provider.release();
    assert_eq!(leader.await.unwrap().status, 200);
}

#[tokio::test]
async fn leases_are_counted_and_so_are_those_not_to_be_had_or_lost() {
    let mut redis = Redis::start().await;
    let [first, second] = sidecars_with(&redis.storage_with("timeout: 500ms, lease: 2s")).await;
    let counted = async |pareto: &Pareto, attempts: u32, failures: u32| {
        pareto.counts("lock_attempts_total", &[], f64::from(attempts)).await;
        pareto.counts("lock_failures_total", &[], f64::from(failures)).await;
    };
    for text in ["a", "b", "c"] {
        assert_eq!(first.chat(text).await.status, 200);
    }
    counted(&first, 3, 0).await;
    // Lost: somebody else's is in its place.
    first.provider.hold(Hold::BeforeHead);
    let leader = first.chat("d").spawn();
    within("the call", first.provider.received(4)).await;
    let lease = redis
        .cli(&["KEYS", "*:lease"])
        .lines()
        .find(|key| redis.cli(&["GET", key]) != "landed")
        .unwrap()
        .to_owned();
    redis.cli(&["SET", &lease, "another", "PX", "100000"]);
    counted(&first, 4, 1).await;
    first.provider.release();
    assert_eq!(leader.await.unwrap().status, 200);
    // Not to be had: Redis refuses to write.
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(second.chat("e").await.status, 200);
    counted(&second, 1, 1).await;
    redis.cli(&["REPLICAOF", "NO", "ONE"]);
    // Nor is one asked for while Redis is not in use.
    redis.kill();
    super::in_use(&second, false).await;
    assert_eq!(second.chat("f").await.status, 200);
    counted(&second, 1, 1).await;
}
