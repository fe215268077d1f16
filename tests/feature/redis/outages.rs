//! Whatever happens to Redis, no client notices more than a moment.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::sentinels::replicated;
use super::{in_use, shares_again, sidecars_with};
use crate::harness::{Hold, Pareto, Redis, free_port, until, within};

/// Asks something new, which must be answered, and says how long that took.
async fn asked(pareto: &Pareto, text: &str) -> Duration {
    let start = Instant::now();
    let answer = pareto.chat(text).await;
    assert!(answer.status == 200 && answer.whole, "{}", answer.text());
    start.elapsed()
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_the_start_is_used_once_it_is() {
    let port = free_port();
    let settings = format!("storage: {{redis: {{url: \"redis://127.0.0.1:{port}\"}}}}");
    let pareto = Pareto::start(&settings).await;
    asked(&pareto, "a").await;
    assert!(pareto.chat("a").await.is_hit());
    let _redis = Redis::on(port, &[]).await;
    in_use(&pareto, true).await;
    asked(&pareto, "b").await;
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_empty_is_used_again() {
    let mut redis = Redis::start().await;
    let [first, second] = sidecars_with(&redis.storage_with("timeout: 500ms")).await;
    asked(&first, "a").await;
    redis.kill();
    asked(&first, "b").await;
    asked(&second, "b").await;
    assert!(first.chat("a").await.is_hit());
    redis.restart().await;
    in_use(&first, true).await;
    in_use(&second, true).await;
    // Both still agree on what keys entries.
    asked(&first, "c").await;
    shares_again([&first, &second]).await;
}

#[tokio::test]
async fn a_redis_that_stops_answering_costs_one_timeout_in_all() {
    let redis = Redis::start().await;
    let [pareto] = sidecars_with(&redis.storage_with("timeout: 500ms")).await;
    redis.signal("STOP");
    let load = (0..100).map(|number| asked(&pareto, if number % 2 == 0 { "x" } else { "y" }));
    let slowest = join_all(load).await.into_iter().max().unwrap();
    // 500 ms is the timeout here; without a bound this would never end.
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
    in_use(&pareto, false).await;
    let errors = pareto.metric("redis_errors_total", &[]).await;
    for number in 0..20 {
        asked(&pareto, &format!("while it is away {number}")).await;
    }
    // Nobody has waited for it since: only the attempts to connect failed.
    assert!(pareto.metric("redis_errors_total", &[]).await - errors < 20.0);
    redis.signal("CONT");
    in_use(&pareto, true).await;
}

#[tokio::test]
async fn a_redis_out_of_memory_takes_nothing_and_disturbs_nobody() {
    let redis = Redis::with(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]).await;
    let [pareto] = sidecars_with(&redis.storage_with("timeout: 500ms")).await;
    asked(&pareto, "a").await;
    assert!(pareto.chat("a").await.is_hit());
    until("a refused write", async || pareto.metric("redis_errors_total", &[]).await != 0.0).await;
    asked(&pareto, "b").await;
}

#[tokio::test]
async fn a_read_only_replica_disturbs_nobody() {
    let master = Redis::start().await;
    let port = master.port.to_string();
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &port]).await;
    let pareto = Pareto::start(&replica.storage_with("timeout: 500ms")).await;
    for text in ["a", "b"] {
        asked(&pareto, text).await;
        assert!(pareto.chat(text).await.is_hit());
    }
}

#[tokio::test]
async fn a_flight_whose_redis_is_lost_ends_with_own_calls() {
    let mut redis = Redis::start().await;
    let [first, second] = sidecars_with(&redis.storage_with("timeout: 500ms")).await;
    first.provider.hold(Hold::BeforeHead);
    let leader = first.chat("a").spawn();
    within("the call", first.provider.received(1)).await;
    let follower = second.chat("a").spawn();
    second.counts("lock_attempts_total", &[], 1.0).await;
    redis.kill();
    first.provider.release();
    for answer in [leader, follower] {
        let answer = answer.await.unwrap();
        assert!(answer.status == 200 && answer.whole);
    }
    assert!(first.provider.total() <= 2);
}

#[tokio::test]
async fn a_failover_by_sentinel_is_followed() {
    let ([master, replica], sentinel) = replicated().await;
    let settings = format!("storage: {{redis: {{url: \"{}\", timeout: 500ms}}}}", sentinel.url());
    let pareto = Pareto::start(&settings).await;
    in_use(&pareto, true).await;
    asked(&pareto, "a").await;
    drop(master);
    asked(&pareto, "b").await;
    within("the new master", async {
        let mut number = 0;
        while !replica.cli(&["KEYS", "pareto:*"]).contains("}") || replica.cli(&["ROLE"]).starts_with("slave")
        {
            number += 1;
            asked(&pareto, &format!("c {number}")).await;
        }
    })
    .await;
    in_use(&pareto, true).await;
}
