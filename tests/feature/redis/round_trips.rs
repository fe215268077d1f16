//! What a request costs Redis, counted at Redis: every look-up, store and script is one command that is
//! sent alone, so its commands are its round trips.

use futures_util::future::join_all;

use super::super::embeddings::{embed, texts};
use super::tier::{entries, stored};
use super::{sidecars, sidecars_with, vectors};
use crate::harness::{Pareto, Redis, until};

/// Waits until so many answers were made known to other sidecars.
pub(super) async fn landed(redis: &Redis, flights: u64) {
    let leases = || redis.cli(&["KEYS", "pareto:{*}:lease"]).lines().count();
    until("the flights' landing", async || leases() == 0 && redis.calls("publish") >= flights).await;
}

/// Two sidecars, the first of which has stored its answer to `a`, and what all keys of that have in common.
async fn one_has_it(redis: &Redis) -> ([Pareto; 2], String) {
    let all: [Pareto; 2] = sidecars(redis).await;
    all[0].chat("a").await;
    let key = stored(redis).await;
    landed(redis, 1).await;
    (all, key.trim_start_matches("pareto:{").trim_end_matches('}').to_owned())
}

#[tokio::test]
async fn a_look_up_is_one_round_trip_and_a_memory_hit_none() {
    let redis = Redis::start().await;
    let ([_first, second], digest) = one_has_it(&redis).await;
    let mut watch = redis.watch().await;
    let gets = redis.calls("get");
    assert!(second.chat("a").await.cache().ends_with("detail=redis"));
    assert_eq!(watch.names(&digest).await, ["GET"]);
    assert!(redis.calls("get") > gets);
    for _ in 0..10 {
        assert!(second.chat("a").await.is_hit());
    }
    assert_eq!(watch.seen("").await, [""; 0]);
    assert!(redis.cli(&["PTTL", &format!("pareto:{{{digest}}}")]).parse::<i64>().unwrap() > 3_500_000);
}

#[tokio::test]
async fn a_miss_is_one_round_trip_to_look_one_to_store_and_two_for_the_flight() {
    let redis = Redis::start().await;
    let [pareto] = sidecars(&redis).await;
    // The first of all teaches Redis the scripts.
    pareto.chat("scripts").await;
    stored(&redis).await;
    landed(&redis, 1).await;
    let mut watch = redis.watch().await;
    assert_eq!(pareto.chat("a").await.cache(), "fwd=miss; stored");
    landed(&redis, 2).await;
    assert_eq!(watch.names("").await, ["GET", "EVALSHA", "SET", "EVALSHA"]);
    // Without sharing of flights only the first and the third are left.
    let [alone] = sidecars_with(&format!("{}\nfeatures: {{coalesce: off}}", redis.storage())).await;
    let mut watch = redis.watch().await;
    assert_eq!(alone.chat("b").await.cache(), "fwd=miss; stored");
    alone.stop().await;
    until("the store", async || entries(&redis).len() >= 3).await;
    assert_eq!(watch.names("").await, ["GET", "SET"]);
}

#[tokio::test]
async fn a_hot_key_is_looked_up_once() {
    let redis = Redis::start().await;
    let ([_first, second], digest) = one_has_it(&redis).await;
    let mut watch = redis.watch().await;
    let asked: Vec<_> = (0..200).map(|_| second.chat("a").spawn()).collect();
    for answer in asked {
        assert!(answer.await.unwrap().cache().starts_with("hit; "));
    }
    assert_eq!(watch.names(&digest).await, ["GET"]);
    assert_eq!(watch.seen("").await, [""; 0]);
}

#[tokio::test]
async fn an_input_that_many_miss_at_once_is_looked_for_once() {
    let redis = Redis::start().await;
    let [first, second] = sidecars(&redis).await;
    embed(&first, texts(0..3)).await;
    vectors::stored(&redis, 3).await;
    let mut watch = redis.watch().await;
    let asked: Vec<_> = (0..100).map(|_| embed(&second, texts(0..3)).spawn()).collect();
    for answer in join_all(asked).await {
        assert!(answer.unwrap().cache().starts_with("hit; "));
    }
    assert_eq!(watch.names("").await, ["MGET"]);
    assert_eq!(first.provider.total(), 1);
}

/// Sidecars of one process each, with threads of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hot_key_is_looked_up_once_whatever_thread_asks() {
    let redis = Redis::start().await;
    for round in 0..20 {
        let [first, second]: [Pareto; 2] = sidecars(&redis).await;
        let text = format!("{round}");
        first.chat(&text).await;
        until("the entry", async || entries(&redis).len() > round).await;
        let mut watch = redis.watch().await;
        let asked: Vec<_> = (0..50).map(|_| second.chat(&text).spawn()).collect();
        for answer in join_all(asked).await {
            assert!(answer.unwrap().cache().starts_with("hit; "));
        }
        let names = watch.names("").await;
        assert_eq!(names.iter().filter(|name| *name == "GET").count(), 1, "{names:?}");
    }
}
