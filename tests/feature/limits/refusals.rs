//! What a client is told that is over a limit, and what everyone is told of what is left.

use http::Method;

use super::{ask, count};
use crate::harness::Pareto;

#[tokio::test]
async fn over_a_rate_a_request_is_refused_with_an_honest_wait() {
    let pareto = Pareto::start("limits: [{per: tenant, requests: 2/hour}]").await;
    for _ in 0..2 {
        assert_eq!(ask(&pareto, "acme", "a").await.status, 200);
    }
    let refused = ask(&pareto, "acme", "a").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limit_exceeded"));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1780..=1800).contains(&wait), "half an hour brings one more, not {wait} s");
    let precise: u64 = refused.header("retry-after-ms").parse().unwrap();
    assert_eq!(precise.div_ceil(1000), wait);
    assert_eq!(refused.header("x-should-retry"), "false", "no SDK waits that long");
    assert_eq!(refused.cache(), "detail=limited");
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("`tenant-requests`"));
    assert_eq!(pareto.provider.total(), 2);
    assert_eq!(ask(&pareto, "other", "a").await.status, 200, "each tenant has its own");
    pareto.counts("limit_rejections_total", &[("limit", "tenant-requests")], 1.0).await;
    pareto.counts("requests_total", &[("outcome", "limited")], 1.0).await;
}

#[tokio::test]
async fn a_short_wait_is_left_to_the_sdk() {
    let pareto = Pareto::start("limits: [{requests: 60/min burst 1}]").await;
    ask(&pareto, "a", "a").await;
    let refused = ask(&pareto, "a", "a").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert_eq!(refused.header("x-should-retry"), "true");
}

#[tokio::test]
async fn answers_say_what_is_left_of_every_limit() {
    let pareto = Pareto::start(
        "limits: [{name: rate, per: tenant, requests: 60/min, tokens: 200k/min, concurrent: 9}, {name: money, usd: 5/day}]",
    )
    .await;
    let answer = ask(&pareto, "acme", "a").set("max_tokens", 100).await;
    let (policy, left) = (answer.header("ratelimit-policy"), answer.header("ratelimit"));
    assert!(
        policy.starts_with("\"rate:requests\";q=60;w=60, \"rate:tokens\";q=200000;qu=\"tokens\";w=60"),
        "{policy}"
    );
    assert!(policy.ends_with("\"money\";q=5000000;qu=\"micro-usd\";w=86400"), "{policy}");
    assert!(left.starts_with("\"rate:requests\";r=59;t=1"), "{left}");
    assert!(left.contains("\"rate:concurrent\";r=8,"), "{left}");
    let plain = Pareto::start("").await;
    assert_eq!(ask(&plain, "acme", "a").await.header("ratelimit"), "");
}

#[tokio::test]
async fn several_limits_apply_at_once_all_or_nothing() {
    let pareto =
        Pareto::start("limits: [{name: one, per: tenant, requests: 10/day}, {name: all, requests: 1/day}]")
            .await;
    assert_eq!(ask(&pareto, "a", "a").await.status, 200);
    let refused = ask(&pareto, "b", "a").await;
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("`all`"));
    let standing = count(&pareto, "b", "requests").await;
    assert_eq!((&standing["used"], &standing["reserved"]), (&0.into(), &0.into()));
}

#[tokio::test]
async fn subjects_are_made_of_what_a_limit_names() {
    let pareto = Pareto::start(
        "limits: [{name: mixed, per: [tenant, model, endpoint, user, 'header:x-team'], requests: 1/day}]",
    )
    .await;
    let base = || ask(&pareto, "t", "a").with("x-team", "red").set("user", "u1");
    assert_eq!(base().await.status, 200);
    assert_eq!(base().await.status, 429);
    assert_eq!(base().set("user", "u2").await.status, 200);
    assert_eq!(base().set("model", "gpt-4o-mini").await.status, 200);
    assert_eq!(ask(&pareto, "t", "a").with("x-team", "blue").set("user", "u1").await.status, 200);
    let shown = pareto.admin(Method::GET, "/limits?name=mixed").await.json();
    let subjects: Vec<_> =
        shown["counts"].as_array().unwrap().iter().map(|count| count["subject"].clone()).collect();
    let expected = serde_json::json!(
        {"tenant": "t", "model": "gpt-4o", "endpoint": "chat", "user": "u2", "header:x-team": "red"}
    );
    assert!(subjects.contains(&expected), "{subjects:?}");
}

#[tokio::test]
async fn a_request_that_never_fits_is_told_so() {
    let pareto = Pareto::start("limits: [{tokens: 1000/min}]").await;
    let refused = ask(&pareto, "a", "a").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, ""));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("max_tokens"));
    assert_eq!(ask(&pareto, "a", "a").set("max_tokens", 500).await.status, 200);
}

#[tokio::test]
async fn what_is_only_observed_is_counted_and_lets_through() {
    let pareto = Pareto::start("limits: [{requests: 1/day}]\nfeatures: {limits: observe}").await;
    for _ in 0..3 {
        assert_eq!(ask(&pareto, "a", "a").await.status, 200);
    }
    pareto.counts("limit_observed_rejections_total", &[("limit", "requests")], 2.0).await;
    assert!(pareto.metric("limit_rejections_total", &[]).await < 1.0);
    let off = Pareto::start("limits: [{requests: 1/day}]\nfeatures: {limits: off}").await;
    for _ in 0..3 {
        assert_eq!(ask(&off, "a", "a").await.header("ratelimit"), "");
    }
}

#[tokio::test]
async fn a_share_of_tenants_is_limited() {
    let pareto = Pareto::start("limits: [{per: tenant, requests: 1/day}]\nfeatures: {limits: 50%}").await;
    let mut refused = 0;
    for number in 0..40 {
        let tenant = format!("t{number}");
        ask(&pareto, &tenant, "a").await;
        refused += usize::from(ask(&pareto, &tenant, "a").await.status == 429);
    }
    assert!((8..=32).contains(&refused), "{refused} of 40 are limited");
}
