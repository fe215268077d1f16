//! Many sidecars as one, through a real Redis.

mod arithmetic;
mod breakers;
mod cluster;
mod flights;
mod limits;
mod order;
mod outages;
mod round_trips;
mod rules;
mod slow;
mod tier;
mod tls;
mod vectors;

use crate::harness::{Pareto, Redis};
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

/// Waits until a sidecar uses Redis, or does not.
pub(super) async fn in_use(pareto: &Pareto, used: bool) {
    pareto.becomes("cache_tier_up", &[("tier", "redis")], f64::from(u8::from(used))).await;
}
