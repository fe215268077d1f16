//! Vectors shared through Redis.

use reqwest::Method;

use super::super::embeddings::{embed, sent, texts, truth, vectors};
use super::{in_use, sidecars, sidecars_with};
use crate::harness::{Pareto, Redis, provider, until};

/// The keys of vectors in Redis.
fn keys(redis: &Redis) -> Vec<String> {
    redis.cli(&["KEYS", "pareto:{many-*"]).lines().map(str::to_owned).collect()
}

/// Waits until there are so many.
pub(super) async fn stored(redis: &Redis, vectors: usize) -> Vec<String> {
    until("the vectors in Redis", async || keys(redis).len() == vectors).await;
    keys(redis)
}

/// Reads from sockets since the start: what pipelined commands share.
fn reads(redis: &Redis) -> u64 {
    let stats = redis.cli(&["INFO", "stats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn what_one_sidecar_embedded_another_has() {
    let redis = Redis::start().await;
    let ([first, second], direct) = (sidecars(&redis).await, provider().await);
    let all = texts(0..8);
    let fetched = embed(&first, all[..7].to_vec()).await;
    stored(&redis, 7).await;
    let found = embed(&second, all[..7].to_vec()).await;
    assert!(
        found.cache().starts_with("hit; ") && found.cache().ends_with("detail=redis"),
        "{}",
        found.cache()
    );
    assert_eq!(found.body, fetched.body);
    assert_eq!(first.provider.total(), 1);
    assert_eq!(embed(&second, all[0].clone()).await.cache().rsplit_once('=').unwrap().1, "memory");
    let mixed = [7, 3, 0, 3].map(|at| all[at].clone());
    let [third] = std::array::from_fn(|_| Pareto::before(first.provider.clone(), &redis.storage()));
    in_use(&third, true).await;
    let partial = embed(&third, mixed.to_vec()).await;
    assert_eq!(partial.cache(), "fwd=partial; detail=\"3/4\"");
    assert_eq!(vectors(&partial), truth(&direct, &mixed).await);
    assert_eq!(sent(&third).last().unwrap(), &[all[7].clone()]);
    assert_eq!(embed(&second, all[1].clone()).by("sk-bob").await.cache(), "fwd=miss; stored");
}

#[tokio::test]
async fn a_hundred_unknown_inputs_are_one_round_trip_there_and_one_back() {
    let redis = Redis::start().await;
    let [first, second] = sidecars(&redis).await;
    let (mgets, read) = (redis.calls("mget"), reads(&redis));
    let ask = |pareto: &Pareto| embed(pareto, texts(0..100)).set("dimensions", 8);
    assert_eq!(ask(&first).await.cache(), "fwd=miss; stored");
    assert_eq!(redis.calls("mget") - mgets, 1);
    stored(&redis, 100).await;
    assert_eq!((redis.calls("set") >= 100, redis.calls("get") < 10), (true, true));
    // A read takes 16 KB of what a connection sent, and waiting for the keys has cost some as well.
    assert!(reads(&redis) - read < 60, "{} reads", reads(&redis) - read);
    let key = &keys(&redis)[0];
    assert!(redis.cli(&["PTTL", key]).parse::<i64>().unwrap() > 86_000_000);
    let mgets = redis.calls("mget");
    assert!(ask(&second).await.cache().ends_with("detail=redis"));
    assert_eq!(redis.calls("mget") - mgets, 1);
    assert!(ask(&second).await.is_hit() && ask(&first).await.is_hit());
    assert_eq!(redis.calls("mget") - mgets, 1, "what is in memory is not looked for");
    assert_eq!(first.provider.total(), 1);
}

#[tokio::test]
async fn a_purge_on_one_sidecar_takes_the_vectors_of_all() {
    let redis = Redis::start().await;
    let [first, second, third] = sidecars(&redis).await;
    embed(&first, texts(0..2)).await;
    stored(&redis, 2).await;
    assert!(embed(&second, texts(0..2)).await.cache().ends_with("detail=redis"));
    first.admin(Method::DELETE, "/cache?model=text-embedding-3-small").await;
    second.becomes("cache_entries", &[], 0.0).await;
    let fourth = Pareto::before(first.provider.clone(), &redis.storage());
    in_use(&fourth, true).await;
    // They lie in Redis still, and are nobody's.
    assert_eq!(embed(&third, texts(0..1)).await.cache(), "fwd=miss; stored");
    assert_eq!(embed(&fourth, texts(1..2)).await.cache(), "fwd=miss; stored");
    assert_eq!(first.provider.total(), 3);
}

#[tokio::test]
async fn a_redis_that_dies_costs_nobody_a_vector() {
    let mut redis = Redis::start().await;
    let ([first, second], direct) =
        (sidecars_with(&redis.storage_with("timeout: 500ms")).await, provider().await);
    embed(&first, texts(0..3)).await;
    redis.kill();
    for at in 0..20 {
        let answer = embed(&second, texts(at..at + 3)).await;
        assert_eq!(vectors(&answer)[0], truth(&direct, &texts(at..=at)).await[0]);
    }
    assert!(embed(&first, texts(0..3)).await.is_hit());
    redis.restart().await;
    in_use(&second, true).await;
    assert_eq!(embed(&second, texts(100..103)).await.cache(), "fwd=miss; stored");
    stored(&redis, 3).await;
}

#[tokio::test]
async fn sealed_vectors_open_with_their_key_alone_and_whole() {
    let redis = Redis::start().await;
    let sealed = |key: &str| {
        let keyed = format!("storage: {{encryption_key: \"{key}\", ");
        redis.storage().replacen("storage: {", &keyed, 1)
    };
    let (old, new) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
    let [first, second] = sidecars_with(&sealed(old)).await;
    embed(&first, texts(0..1)).set("dimensions", 8).await;
    let key = stored(&redis, 1).await.remove(0);
    let other = Pareto::before(first.provider.clone(), &sealed(new));
    in_use(&other, true).await;
    assert_eq!(embed(&other, texts(0..1)).set("dimensions", 8).await.cache(), "fwd=miss; stored");
    redis.cli(&["SETRANGE", &key, "60", "xx"]);
    assert_eq!(embed(&second, texts(0..1)).set("dimensions", 8).await.cache(), "fwd=miss; stored");
    second.counts("cache_refused_total", &[("tier", "redis"), ("reason", "damaged")], 1.0).await;
}

#[tokio::test]
async fn in_a_cluster_the_inputs_of_a_request_lie_in_few_slots() {
    let nodes = super::cluster::cluster().await;
    let url = format!("redis+cluster://127.0.0.1:{}", nodes[0].port);
    let [first, second] =
        sidecars_with(&format!("storage: {{redis: {{url: \"{url}\", timeout: 5s, lease: 20s}}}}")).await;
    let inputs = texts(0..100);
    embed(&first, inputs.clone()).await;
    until("the vectors in Redis", async || nodes.iter().map(|node| keys(node).len()).sum::<usize>() >= 100)
        .await;
    assert!(nodes.iter().filter(|node| !keys(node).is_empty()).count() > 1, "they are not spread");
    let mgets = || nodes.iter().map(|node| node.calls("mget")).sum::<u64>();
    let before = mgets();
    let answer = embed(&second, inputs.clone()).await;
    assert!(answer.cache().ends_with("detail=redis"), "{}", answer.cache());
    assert!(mgets() - before <= 16, "{}", mgets() - before);
    assert_eq!(first.provider.total(), 1);
}
