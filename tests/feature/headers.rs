//! What pareto says of itself in headers: section 4 of the contract.

use crate::harness::{Answer, Fault, Pareto};

/// `pareto;dur=0.11, upstream;dur=812` as names and milliseconds.
fn timings(answer: &Answer) -> Vec<(String, f64)> {
    let metric = |part: &str| {
        let (name, duration) = part.trim().split_once(";dur=").unwrap();
        (name.to_owned(), duration.parse().unwrap())
    };
    answer.header("server-timing").split(',').map(metric).collect()
}

#[tokio::test]
async fn a_miss_says_where_it_was_answered_and_what_it_cost() {
    let pareto = Pareto::start("").await;
    let miss = pareto.chat("hello").await;
    assert_eq!(miss.header("cache-status"), "pareto; fwd=miss; stored");
    assert_eq!(miss.header("x-pareto-provider"), "sim");
    assert_eq!(miss.header("x-pareto-model"), "gpt-4o");
    assert_eq!(miss.header("x-pareto-attempts"), "1");
    assert!(miss.header("x-pareto-cost-usd").parse::<f64>().unwrap() > 0.0);
    assert_eq!((miss.header("age"), miss.header("x-pareto-saved-usd")), ("", ""));
    let timings = timings(&miss);
    assert_eq!([&*timings[0].0, &*timings[1].0], ["pareto", "upstream"]);
}

#[tokio::test]
async fn a_hit_says_its_age_and_what_it_saved() {
    let pareto = Pareto::start("cache: {exact: {ttl: 1h}}").await;
    let miss = pareto.chat("hello").await;
    let hit = pareto.chat("hello").await;
    let ttl = hit.cache().strip_prefix("hit; ttl=").unwrap().strip_suffix("; detail=memory").unwrap();
    let (ttl, age): (u64, u64) = (ttl.parse().unwrap(), hit.header("age").parse().unwrap());
    assert_eq!(ttl + age, 3600);
    assert_eq!(hit.header("x-pareto-saved-usd"), miss.header("x-pareto-cost-usd"));
    assert_eq!(hit.header("x-pareto-cost-usd"), "");
    assert_eq!(timings(&hit).len(), 1);
    assert_eq!(hit.header("x-pareto-provider"), "sim");
}

#[tokio::test]
async fn what_belongs_to_one_call_is_told_to_its_caller_and_to_nobody_else() {
    let pareto = Pareto::start("").await;
    let miss = pareto.chat("hello").await;
    let hit = pareto.chat("hello").await;
    for name in [
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-tokens",
        "openai-organization",
        "openai-processing-ms",
        "set-cookie",
    ] {
        assert!(miss.headers.contains_key(name), "{name} is lost on a miss");
        assert!(!hit.headers.contains_key(name), "{name} is replayed");
    }
    assert!(miss.header("x-request-id").starts_with("req_0"));
    assert!(!hit.header("x-request-id").is_empty());
    assert_ne!(hit.header("x-request-id"), miss.header("x-request-id"));
    assert_eq!(hit.header("openai-version"), "2020-10-01");
}

#[tokio::test]
async fn a_live_stream_has_no_cost_header_and_a_replayed_one_has() {
    let pareto = Pareto::start("").await;
    let live = pareto.chat("hello").stream().await;
    assert_eq!((live.header("cache-status"), live.header("x-pareto-cost-usd")), ("pareto; fwd=miss", ""));
    assert_eq!(live.header("content-encoding"), "");
    pareto.stored(1).await;
    let replayed = pareto.chat("hello").stream().await;
    assert!(replayed.is_hit() && replayed.header("x-pareto-saved-usd").parse::<f64>().unwrap() > 0.0);
}

#[tokio::test]
async fn a_private_request_says_why_it_goes_past_the_cache() {
    let pareto = Pareto::start("").await;
    let answer = pareto.chat("hello").set("store", true).await;
    assert_eq!(answer.cache(), "fwd=bypass; detail=stored");
    pareto.counts("requests_total", &[("outcome", "bypass")], 1.0).await;
}

#[tokio::test]
async fn a_providers_refusal_keeps_its_headers() {
    let pareto = Pareto::start("").await;
    pareto.provider.next(Fault::RateLimited);
    let refused = pareto.chat("hello").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert_eq!(refused.cache(), "fwd=miss");
    assert_eq!(refused.header("x-pareto-attempts"), "1");
    assert!(refused.headers.contains_key("server-timing"));
}
