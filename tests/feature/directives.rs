//! What a client may ask of the cache: `Cache-Control` on requests (RFC 9111 section 5.2.1).

use crate::harness::Pareto;

#[tokio::test]
async fn no_store_neither_reads_nor_writes() {
    let pareto = Pareto::start("").await;
    assert_eq!(pareto.chat("a").cache_control("no-store").await.cache(), "fwd=bypass; detail=no-store");
    assert_eq!(pareto.chat("a").await.cache(), "fwd=miss; stored");
    assert_eq!(pareto.chat("a").cache_control("no-store").await.cache(), "fwd=bypass; detail=no-store");
    assert!(pareto.chat("a").await.is_hit());
    assert_eq!(pareto.provider.total(), 3);
}

#[tokio::test]
async fn no_cache_asks_anew_and_refreshes_what_is_stored() {
    let pareto = Pareto::start("").await;
    let old = pareto.chat("a").await;
    let new = pareto.chat("a").cache_control("no-cache").await;
    assert_eq!(new.cache(), "fwd=request; stored");
    assert_ne!(old.json()["id"], new.json()["id"]);
    let hit = pareto.chat("a").await;
    assert!(hit.is_hit());
    assert_eq!(hit.json()["id"], new.json()["id"]);
}

#[tokio::test]
async fn pragma_no_cache_means_the_same() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").await;
    assert_eq!(pareto.chat("a").with("pragma", "no-cache").await.cache(), "fwd=request; stored");
}

#[tokio::test]
async fn max_age_zero_asks_anew_and_a_large_one_does_not() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").await;
    assert!(pareto.chat("a").cache_control("max-age=600").await.is_hit());
    assert_eq!(pareto.chat("a").cache_control("max-age=0").await.cache(), "fwd=miss; stored");
    assert_eq!(pareto.provider.total(), 2);
}

#[tokio::test]
async fn max_stale_widens_what_max_age_allows() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").await;
    assert!(pareto.chat("a").cache_control("max-age=0, max-stale=600").await.is_hit());
    assert!(pareto.chat("a").cache_control("max-age=0, max-stale").await.is_hit());
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn min_fresh_refuses_what_is_about_to_expire() {
    let pareto = Pareto::start("cache: {exact: {ttl: 10m}}").await;
    pareto.chat("a").await;
    assert!(pareto.chat("a").cache_control("min-fresh=60").await.is_hit());
    assert_eq!(pareto.chat("a").cache_control("min-fresh=601").await.cache(), "fwd=miss; stored");
}

#[tokio::test]
async fn only_if_cached_never_asks_the_provider() {
    let pareto = Pareto::start("").await;
    for ask in [pareto.chat("a"), pareto.chat("a").stream()] {
        ask.cache_control("only-if-cached").await.assert_refused(504, "pareto_not_cached");
    }
    assert_eq!(pareto.provider.total(), 0);
    pareto.chat("a").await;
    assert!(pareto.chat("a").cache_control("only-if-cached").await.is_hit());
    assert!(pareto.chat("a").stream().cache_control("only-if-cached").await.is_hit());
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn what_a_client_asks_of_our_cache_does_not_reach_the_provider() {
    let pareto = Pareto::start("").await;
    let asked = pareto.chat("a").cache_control("no-cache").with("prefer", "wait=5").with("priority", "u=1");
    asked.with("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").await;
    let call = pareto.provider.calls().remove(0);
    for name in ["cache-control", "prefer", "priority"] {
        assert_eq!(call.header(name), None, "{name}");
    }
    assert!(call.header("traceparent").is_some());
}
