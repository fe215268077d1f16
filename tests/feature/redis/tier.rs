//! Answers shared through Redis.

use reqwest::Method;

use super::{in_use, sidecars, sidecars_with};
use crate::harness::{Pareto, Redis, until};

/// The keys of entries in Redis.
pub(super) fn entries(redis: &Redis) -> Vec<String> {
    let keys = redis.cli(&["KEYS", "pareto:{*}"]);
    keys.lines().filter(|key| key.ends_with('}')).map(str::to_owned).collect()
}

/// Waits until some key holds an entry.
pub(super) async fn stored(redis: &Redis) -> String {
    until("an entry in Redis", async || !entries(redis).is_empty()).await;
    entries(redis).remove(0)
}

#[tokio::test]
async fn what_one_sidecar_fetched_another_has() {
    let redis = Redis::start().await;
    let [first, second] = sidecars(&redis).await;
    let fetched = first.chat("a").await;
    stored(&redis).await;
    let found = second.chat("a").await;
    assert!(
        found.cache().starts_with("hit; ") && found.cache().ends_with("detail=redis"),
        "{}",
        found.cache()
    );
    assert_eq!(found.body, fetched.body);
    assert!(second.chat("a").await.is_hit());
    assert_eq!(second.chat("a").by("sk-bob").await.cache(), "fwd=miss; stored");
}

#[tokio::test]
async fn a_purge_on_one_sidecar_is_one_on_all() {
    let redis = Redis::start().await;
    let [first, second, third] = sidecars(&redis).await;
    first.chat("a").await;
    stored(&redis).await;
    assert!(second.chat("a").await.cache().ends_with("detail=redis"));
    first.admin(Method::DELETE, "/cache?model=gpt-4o").await;
    second.becomes("cache_entries", &[], 0.0).await;
    // The entry is in Redis still, and served by nobody: not by one that starts only now either.
    let fourth = Pareto::before(first.provider.clone(), &redis.storage());
    in_use(&fourth, true).await;
    assert_eq!(third.chat("a").await.cache(), "fwd=miss; stored");
    assert_eq!(first.provider.total(), 2);
    assert!(fourth.chat("b").await.cache().starts_with("fwd=miss"));
}

#[tokio::test]
async fn keys_in_redis_show_nothing_and_sealed_entries_neither() {
    let redis = Redis::start().await;
    let provider = crate::harness::provider().await;
    let sealed = redis.storage().replacen(
        "storage: {",
        "storage: {encryption_key: \"0123456789abcdef0123456789abcdef\", ",
        1,
    );
    let pareto = Pareto::before(provider, &sealed);
    in_use(&pareto, true).await;
    let word = pareto.chat("geography").await.said();
    let word = word.split(' ').max_by_key(|word| word.len()).unwrap().to_owned();
    let key = stored(&redis).await;
    let entry = redis.cli(&["--no-raw", "GET", &key]);
    assert!(redis.cli(&["GET", "pareto:{all}:secret"]).is_empty());
    for secret in ["geography", "sk-alice", "gpt-4o", word.as_str()] {
        assert!(!key.contains(secret) && !entry.contains(secret), "{secret} shows");
    }
    // A changed byte is noticed, counted, and a miss.
    let changed = Pareto::before(pareto.provider.clone(), &sealed);
    in_use(&changed, true).await;
    redis.cli(&["SETRANGE", &key, "40", "xx"]);
    assert!(changed.chat("geography").await.cache().starts_with("fwd=miss"));
    assert!(changed.metric("cache_refused_total", &[("tier", "redis"), ("reason", "damaged")]).await >= 1.0);
    until("the new answer in Redis", async || redis.cli(&["GETRANGE", &key, "40", "41"]) != "xx").await;
    // An entry of a key that is still in the list opens.
    let listed = "[\"fedcba9876543210fedcba9876543210\", \"0123456789abcdef0123456789abcdef\"]";
    let rotated = sealed.replace("\"0123456789abcdef0123456789abcdef\"", listed);
    let other = Pareto::before(pareto.provider.clone(), &rotated);
    in_use(&other, true).await;
    assert!(other.chat("geography").await.cache().ends_with("detail=redis"));
}

#[tokio::test]
async fn another_version_of_an_entry_is_a_miss() {
    let redis = Redis::start().await;
    let [first, second] = sidecars(&redis).await;
    first.chat("a").await;
    let key = stored(&redis).await;
    redis.cli(&["SETRANGE", &key, "0", "\u{7}"]);
    assert!(second.chat("a").await.cache().starts_with("fwd=miss"));
    assert!(second.metric("cache_refused_total", &[("tier", "redis"), ("reason", "version")]).await >= 1.0);
}

#[tokio::test]
async fn a_purge_by_a_rules_tag_is_one_on_all_sidecars() {
    let redis = Redis::start().await;
    let rules = "rules: [{name: r, when: {endpoint: chat}, then: {tag: [a, b]}}]";
    let [first, second] = sidecars_with(&format!("{}\n{rules}", redis.storage())).await;
    first.chat("a").await;
    stored(&redis).await;
    assert!(second.chat("a").await.cache().ends_with("detail=redis"));
    second.admin(Method::DELETE, "/cache?tag=b").await;
    first.becomes("cache_entries", &[], 0.0).await;
    assert_eq!(first.chat("a").await.cache(), "fwd=miss; stored");
}
