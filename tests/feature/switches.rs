//! `features:` switches what is configured off, to observation, or on for some.

use crate::harness::{Hold, Pareto, within};

#[tokio::test]
async fn a_cache_that_is_off_neither_answers_nor_stores() {
    let pareto = Pareto::start("features: {cache: off}").await;
    for _ in 0..2 {
        let answer = pareto.chat("a").await;
        assert!(answer.status == 200 && !answer.is_hit() && !answer.cache().contains("stored"));
    }
    assert_eq!(pareto.provider.total(), 2);
    assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0);
}

#[tokio::test]
async fn a_cache_that_observes_counts_what_it_would_have_saved() {
    let pareto = Pareto::start("features: {cache: observe}").await;
    for _ in 0..3 {
        assert!(!pareto.chat("a").await.is_hit());
    }
    assert_eq!(pareto.provider.total(), 3);
    pareto.counts("observed_calls_total", &[("by", "cache")], 2.0).await;
    pareto.counts("requests_total", &[("outcome", "miss")], 3.0).await;
    assert_eq!(pareto.metric("saved_calls_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_cache_for_half_of_the_tenants_acts_for_the_same_half_every_time() {
    let pareto = Pareto::start("features: {cache: 50%}").await;
    let mut acting = Vec::new();
    for round in ["a", "b"] {
        for tenant in 0..40 {
            let ask = || pareto.chat(round).with("x-tenant-id", &format!("tenant-{tenant}"));
            ask().await;
            acting.push(ask().await.is_hit());
        }
    }
    let (first, second) = acting.split_at(40);
    assert_eq!(first, second);
    let hits = first.iter().filter(|hit| **hit).count();
    assert!((8..=32).contains(&hits), "{hits} of 40");
}

#[tokio::test]
async fn without_coalescing_everybody_calls() {
    let pareto = Pareto::start("features: {coalesce: off}").await;
    pareto.provider.hold(Hold::BeforeHead);
    let asked = [pareto.chat("a").spawn(), pareto.chat("a").spawn()];
    within("two calls", pareto.provider.received(2)).await;
    pareto.provider.release();
    for answer in asked {
        assert!(!answer.await.unwrap().cache().contains("collapsed"));
    }
}

#[tokio::test]
async fn coalescing_that_observes_counts_what_it_would_have_saved() {
    let pareto = Pareto::start("features: {coalesce: observe}").await;
    pareto.provider.hold(Hold::BeforeHead);
    let first = pareto.chat("a").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let second = pareto.chat("a").spawn();
    within("a second call", pareto.provider.received(2)).await;
    pareto.provider.release();
    for answer in [first, second] {
        assert!(!answer.await.unwrap().cache().contains("collapsed"));
    }
    pareto.counts("observed_calls_total", &[("by", "coalesce")], 1.0).await;
}
