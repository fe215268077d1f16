//! What a request costs Redis, counted at Redis: every look-up, store and script is one command that is
//! sent alone, so its commands are its round trips.

use futures_util::future::join_all;

use super::super::embeddings::{embed, texts};
use super::tier::stored;
use super::{sidecars, sidecars_with};
use crate::harness::{Pareto, Redis, within};

/// Waits until `pareto` has made so many of its answers known to the others.
pub(super) async fn landed(redis: &Redis, flights: u64) {
    within("the flights' landing", async {
        while redis.cli(&["KEYS", "pareto:{*}:lease"]).lines().count() > 0 || redis.calls("publish") < flights
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The part of an entry's key that all keys of its request have.
fn digest(key: &str) -> String {
    key.trim_start_matches("pareto:{").trim_end_matches('}').to_owned()
}

#[tokio::test]
async fn a_look_up_is_one_round_trip_and_a_memory_hit_none() {
    let redis = Redis::start().await;
    let [first, second] = sidecars(&redis).await;
    first.chat("a").await;
    let digest = digest(&stored(&redis).await);
    landed(&redis, 1).await;
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
    within("the store", async {
        while redis.cli(&["KEYS", "pareto:{*}"]).lines().filter(|key| key.ends_with('}')).count() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(watch.names("").await, ["GET", "SET"]);
}

#[tokio::test]
async fn a_hot_key_is_looked_up_once() {
    let redis = Redis::start().await;
    let [first, second] = sidecars(&redis).await;
    first.chat("a").await;
    let digest = digest(&stored(&redis).await);
    landed(&redis, 1).await;
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
    within("the vectors in Redis", async {
        while redis.cli(&["KEYS", "pareto:{many-*"]).lines().count() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
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
        within("the entry", async {
            while redis.cli(&["KEYS", "pareto:{*}"]).lines().filter(|key| key.ends_with('}')).count() <= round
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let mut watch = redis.watch().await;
        let asked: Vec<_> = (0..50).map(|_| second.chat(&text).spawn()).collect();
        for answer in join_all(asked).await {
            assert!(answer.unwrap().cache().starts_with("hit; "));
        }
        let names = watch.names("").await;
        assert_eq!(names.iter().filter(|name| *name == "GET").count(), 1, "{names:?}");
    }
}
