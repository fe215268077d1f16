//! The order of the tiers, and what never gets below the memory.

use std::path::Path;

use http::Method;
use tempfile::TempDir;

use super::tier::{entries, stored};
use super::{in_use, sidecars};
use crate::harness::{Fault, Pareto, Redis, until, within};

/// The setting of a sidecar with a disk and Redis.
fn both(redis: &Redis, disk: &Path) -> String {
    let disk = format!("storage: {{disk: {{path: \"{}\", size: 256MiB}}, ", disk.display());
    redis.storage().replacen("storage: {", &disk, 1)
}

#[tokio::test]
async fn what_is_found_in_redis_is_on_disk_and_in_memory_from_then_on() {
    let (mut redis, directory) = (Redis::start().await, TempDir::new().unwrap());
    let [first] = sidecars(&redis).await;
    let fetched = first.chat("a").await;
    stored(&redis).await;
    let second = Pareto::before(first.provider.clone(), &both(&redis, directory.path()));
    in_use(&second, true).await;
    second.becomes("cache_tier_up", &[("tier", "disk")], 1.0).await;
    assert!(second.chat("a").await.cache().ends_with("detail=redis"));
    assert!(second.chat("a").await.cache().ends_with("detail=memory"));
    until("the copy on disk", async || second.metric("cache_bytes", &[("tier", "disk")]).await != 0.0).await;
    second.stop().await;
    // Redis has lost it, and is asked for nothing that is on disk.
    redis.restart().await;
    let third = Pareto::before(first.provider.clone(), &both(&redis, directory.path()));
    third.becomes("cache_tier_up", &[("tier", "disk")], 1.0).await;
    in_use(&third, true).await;
    let mut watch = redis.watch().await;
    let found = third.chat("a").await;
    assert!(found.cache().ends_with("detail=disk"), "{}", found.cache());
    assert_eq!(found.body, fetched.body);
    assert!(third.chat("a").await.cache().ends_with("detail=memory"));
    assert_eq!(watch.seen("").await, [""; 0]);
    assert_eq!(first.provider.total(), 1);
}

#[tokio::test]
async fn what_went_wrong_is_never_below_the_memory() {
    let (redis, directory) = (Redis::start().await, TempDir::new().unwrap());
    let rules =
        "rules: [{name: r, when: {endpoint: chat, last_message: {one_of: [hello]}}, then: {answer: hi}}]\n";
    let pareto = Pareto::start(&(both(&redis, directory.path()) + rules)).await;
    in_use(&pareto, true).await;
    pareto.becomes("cache_tier_up", &[("tier", "disk")], 1.0).await;
    for (fault, stream) in [
        (Fault::Status(500), false),
        (Fault::RateLimited, false),
        (Fault::Quota, false),
        (Fault::ContextTooLong, false),
        (Fault::Malformed, true),
        (Fault::FinMidStream, true),
        (Fault::ResetMidStream, true),
        (Fault::NoFinish, true),
    ] {
        pareto.provider.next(fault);
        let ask = pareto.chat(&format!("{fault:?}"));
        let answer = if stream { ask.stream().await } else { ask.await };
        assert!(!answer.is_hit());
    }
    assert_eq!(pareto.chat("hello").await.said(), "hi");
    pareto.chat("private").cache_control("no-store").await;
    // Writes are in order: once this one is there, all before it would be.
    assert_eq!(pareto.chat("good").await.cache(), "fwd=miss; stored");
    stored(&redis).await;
    let keys = entries(&redis);
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(pareto.metric("cache_entries", &[]).await, 1.0);
}

#[tokio::test]
async fn a_purge_by_tenant_or_key_is_one_on_all_sidecars_and_spares_the_rest() {
    let redis = Redis::start().await;
    let [first, second] = sidecars(&redis).await;
    let ask =
        |pareto: &Pareto, tenant: &str| pareto.chat("a").by(if tenant == "acme" { "sk-a" } else { "sk-b" });
    for tenant in ["acme", "other"] {
        ask(&first, tenant).with("x-tenant-id", tenant).await;
        within("the entry", async {
            while !ask(&second, tenant).with("x-tenant-id", tenant).await.cache().starts_with("hit") {}
        })
        .await;
    }
    second.stored(2).await;
    first.admin(Method::DELETE, "/cache?tenant=acme").await;
    second.becomes("cache_entries", &[], 1.0).await;
    assert!(ask(&second, "other").with("x-tenant-id", "other").await.is_hit());
    let calls = first.provider.total();
    assert_eq!(ask(&second, "acme").with("x-tenant-id", "acme").await.cache(), "fwd=miss; stored");
    assert_eq!(first.provider.total(), calls + 1);
    let described = serde_json::json!({
        "endpoint": "chat",
        "headers": {"authorization": "Bearer sk-b", "x-tenant-id": "other"},
        "body": crate::harness::chat("a"),
    });
    let told = first.explain(described).await.json();
    let key = told["request"]["key"]["value"].as_str().unwrap_or_else(|| panic!("{told}"));
    first.admin(Method::DELETE, &format!("/cache?key={key}")).await;
    within("the purge to be heard", async {
        while ask(&second, "other").with("x-tenant-id", "other").await.is_hit() {}
    })
    .await;
    assert!(ask(&second, "acme").with("x-tenant-id", "acme").await.is_hit());
}

/// A sidecar of another version shares Redis with ours: what one writes the other does not read.
#[tokio::test]
async fn two_versions_of_entries_live_side_by_side_and_cost_each_sidecar_one_call() {
    for version in ["\u{1}", "\u{3}"] {
        let redis = Redis::start().await;
        let all: [Pareto; 3] = sidecars(&redis).await;
        let fetched = all[0].chat("a").await;
        let key = stored(&redis).await;
        for (calls, pareto) in all.iter().enumerate().skip(1) {
            // The other version has put its own in place of ours.
            redis.cli(&["SETRANGE", &key, "0", version]);
            assert_eq!(pareto.chat("a").await.cache(), "fwd=miss; stored");
            // Looked at once more where another sidecar's call has just landed.
            let refused =
                pareto.metric("cache_refused_total", &[("tier", "redis"), ("reason", "version")]).await;
            assert!((1.0..=2.0).contains(&refused), "{refused}");
            assert_eq!(pareto.provider.total(), calls as u64 + 1);
            until("ours in its place", async || {
                redis.cli(&["--no-raw", "GETRANGE", &key, "0", "0"]) == "\"\\x02\""
            })
            .await;
        }
        // Whatever becomes of it in Redis then, each has its own and asks nobody.
        redis.cli(&["SETRANGE", &key, "0", version]);
        let mut watch = redis.watch().await;
        for pareto in &all {
            for _ in 0..3 {
                let again = pareto.chat("a").await;
                assert!(again.is_hit() && again.said() == fetched.said());
            }
        }
        assert_eq!(all[0].provider.total(), 3);
        assert_eq!(watch.seen("").await, [""; 0]);
    }
}
