//! Many sidecars as one, through a real Redis.

mod arithmetic;
mod breakers;
mod breakers_topologies;
mod cluster;
mod finding;
mod flights;
mod limits;
mod limits_away;
mod order;
mod outages;
mod round_trips;
mod rules;
mod sentinels;
mod slow;
mod tier;
mod tls;
mod vectors;

use crate::harness::{Pareto, Redis, within};
use std::sync::Arc;

/// Sidecars before the same provider and on the same Redis, which they use.
pub(super) async fn sidecars<const N: usize>(redis: &Redis) -> [Pareto; N] {
    sidecars_with(&redis.storage()).await
}

/// The same with these settings.
pub(super) async fn sidecars_with<const N: usize>(storage: &str) -> [Pareto; N] {
    let provider = Arc::new(crate::harness::provider().await);
    let all = std::array::from_fn(|_| Pareto::before(provider.clone(), storage));
    for pareto in &all {
        in_use(pareto, true).await;
    }
    all
}

/// Waits until Redis is used, and really: an answer that one sidecar stores another finds.
pub(super) async fn shares_again([first, second]: [&Pareto; 2]) {
    in_use(first, true).await;
    in_use(second, true).await;
    within("an answer to be shared", async {
        let mut number = 0;
        loop {
            number += 1;
            let text = format!("again {number}");
            let fetched = first.chat(&text).await;
            assert!(fetched.status == 200 && fetched.whole, "{}", fetched.text());
            let found = second.chat(&text).await;
            if found.cache().ends_with("detail=redis") {
                assert_eq!(found.body, fetched.body);
                return;
            }
        }
    })
    .await;
}

/// Waits until a sidecar uses Redis, or does not.
pub(super) async fn in_use(pareto: &Pareto, used: bool) {
    pareto.becomes("cache_tier_up", &[("tier", "redis")], f64::from(u8::from(used))).await;
}
