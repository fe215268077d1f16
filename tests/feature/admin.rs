//! The operators' listener.

use http::Method;
use serde_json::json;

use crate::harness::{Answer, Hold, Pareto};

#[tokio::test]
async fn health_readiness_and_metrics_are_there() {
    let pareto = Pareto::start("").await;
    for path in ["/healthz", "/readyz", "/metrics", "/config", "/"] {
        assert_eq!(pareto.admin(Method::GET, path).await.status, 200, "{path}");
    }
    assert_eq!(pareto.admin(Method::GET, "/nothing").await.status, 404);
    assert_eq!(pareto.admin(Method::GET, "/reload").await.status, 405);
    let metrics = pareto.admin(Method::GET, "/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
}

#[tokio::test]
async fn with_a_token_only_its_bearer_gets_in() {
    let pareto = Pareto::start("admin: {listen: 127.0.0.1:0, token: open-sesame}").await;
    let client = reqwest::Client::new();
    let ask = async |path: &str, token: Option<&str>| {
        let request = client.get(format!("http://{}{path}", pareto.sidecar.running.admin));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Answer::of(request.send().await.unwrap()).await
    };
    for token in [None, Some("open-sesam"), Some("open-sesame2"), Some("")] {
        let refused = ask("/metrics", token).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"), "{token:?}");
    }
    assert_eq!(ask("/healthz", None).await.status, 200);
    assert_eq!(ask("/readyz", None).await.status, 200);
    let config = ask("/config", Some("open-sesame")).await;
    assert_eq!(config.status, 200);
    assert!(!config.text().contains("open-sesame"));
}

#[tokio::test]
async fn keys_are_hidden_in_the_shown_configuration() {
    let pareto = Pareto::start("providers: {p: {url: \"{provider}\", keys: [sk-very-secret]}}").await;
    assert!(!pareto.admin(Method::GET, "/config").await.text().contains("very-secret"));
}

#[tokio::test]
async fn a_page_in_the_operators_browser_does_not_get_in() {
    let pareto = Pareto::start("").await;
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{}{path}", pareto.sidecar.running.admin);
    let rebound = client.get(url("/config")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 403);
    let forged = client.delete(url("/cache")).header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(forged.status(), 403);
}

/// Two tenants ask two models each, and a third one searches: five answers.
async fn five_answers() -> Pareto {
    let pareto = Pareto::start("cache: {share: tenant}").await;
    for (tenant, model) in [("t1", "gpt-4o"), ("t1", "gpt-4.1"), ("t2", "gpt-4o"), ("t2", "gpt-4.1")] {
        pareto.chat("a").set("model", model).with("x-tenant-id", tenant).await;
    }
    pareto.ask("/v1/vector_stores/vs_1/search", json!({"query": "a"})).with("x-tenant-id", "t3").await;
    pareto.stored(5).await;
    pareto
}

#[tokio::test]
async fn a_purge_removes_what_it_describes_and_nothing_else() {
    for (query, removed) in [
        ("", 5),
        ("?tenant=t1", 2),
        ("?model=gpt-4o", 2),
        ("?tenant=t1&model=gpt-4o", 1),
        ("?tag=vector_store:vs_1", 1),
        ("?tag=vector_store%3Avs_1&tenant=t1", 0),
        ("?tenant=t9", 0),
    ] {
        let pareto = five_answers().await;
        let purged = pareto.admin(Method::DELETE, &format!("/cache{query}")).await;
        assert_eq!((purged.status, &purged.json()), (200, &json!({"removed": removed})), "{query}");
        pareto.stored(5 - removed).await;
    }
}

#[tokio::test]
async fn a_purge_by_key_takes_its_first_digits() {
    let pareto = five_answers().await;
    let mut removed = 0;
    for digit in "0123456789abcdef".chars() {
        let purged = pareto.admin(Method::DELETE, &format!("/cache?key={digit}")).await;
        removed += purged.json()["removed"].as_u64().unwrap();
    }
    assert_eq!(removed, 5);
}

#[tokio::test]
async fn a_purge_that_cannot_be_meant_removes_nothing() {
    let pareto = five_answers().await;
    for query in ["?tenant=", "?tennant=t1", "?model"] {
        assert_eq!(pareto.admin(Method::DELETE, &format!("/cache{query}")).await.status, 400, "{query}");
    }
    pareto.stored(5).await;
}

#[tokio::test]
async fn an_answer_that_was_under_way_during_a_purge_is_not_stored() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::BeforeHead);
    let (purged, spared) =
        (pareto.chat("a").by("sk-a").with("x-tenant-id", "t1").spawn(), pareto.chat("a").spawn());
    pareto.provider.received(2).await;
    pareto.admin(Method::DELETE, "/cache?tenant=t1").await;
    pareto.provider.release();
    assert_eq!(purged.await.unwrap().cache(), "fwd=miss");
    assert_eq!(spared.await.unwrap().cache(), "fwd=miss; stored");
    pareto.stored(1).await;
}

#[tokio::test]
async fn draining_is_seen_by_balancers() {
    let pareto = Pareto::start("").await;
    pareto.sidecar.running.stop_accepting();
    assert_eq!(pareto.admin(Method::GET, "/readyz").await.status, 503);
    assert_eq!(pareto.admin(Method::GET, "/healthz").await.status, 200);
}
