//! A provider's own limits: what its answers say is left to a key decides who is called, and when.

use std::time::{Duration, Instant};

use http::Method;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::ask;
use crate::harness::{Ask, Fault, Pareto};

const TWO_KEYS: &str = "providers: {p: {url: \"{provider}\", keys: [sk-a, sk-b]}}";

/// The keys of all calls so far, in order.
fn keys(pareto: &Pareto, header: &str) -> Vec<String> {
    let key = |call: &pareto::demo::provider::Call| {
        call.header(header).unwrap().trim_start_matches("Bearer ").to_owned()
    };
    pareto.provider.calls().iter().map(key).collect()
}

/// What operators see of the keys of the only provider.
async fn shown(pareto: &Pareto) -> Vec<Value> {
    let shown = pareto.admin(Method::GET, "/providers").await.json();
    shown["without_route"][0]["targets"][0]["keys"].as_array().unwrap().clone()
}

/// Tells of a key that it has nothing left, and checks that it is the other one that is called from then on.
async fn the_other_key_is_called(pareto: &Pareto, header: &str, left: &str, next: impl Fn(usize) -> Ask) {
    assert_eq!(next(0).with("x-sim-left", left).await.status, 200);
    for number in 1..5 {
        assert_eq!(next(number).await.status, 200);
    }
    let keys = keys(pareto, header);
    assert!(keys[1..].iter().all(|key| *key != keys[0] && *key == keys[1]), "{keys:?}");
    let rooms: Vec<f64> = shown(pareto).await.iter().map(|key| key["room"].as_f64().unwrap()).collect();
    let (spent, fresh) = if keys[0] == "sk-a" { (rooms[0], rooms[1]) } else { (rooms[1], rooms[0]) };
    assert!(spent == 0.0 && fresh > 0.9, "{rooms:?}");
}

#[tokio::test]
async fn openais_headers_send_requests_to_the_key_with_room() {
    let pareto = Pareto::start(TWO_KEYS).await;
    let next = |number: usize| ask(&pareto, "t", &number.to_string());
    the_other_key_is_called(&pareto, "authorization", "0 100 1h", next).await;
}

#[tokio::test]
async fn anthropics_headers_do_as_well() {
    let pareto =
        Pareto::start("providers: {p: {url: \"{origin}\", dialect: anthropic, keys: [sk-a, sk-b]}}").await;
    let next = |number: usize| {
        let messages = json!([{"role": "user", "content": number.to_string()}]);
        let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": messages});
        pareto.ask("/v1/messages", body).with("anthropic-version", "2023-06-01").cache_control("no-store")
    };
    let reset = Timestamp::now().checked_add(1.hour()).unwrap();
    the_other_key_is_called(&pareto, "x-api-key", &format!("0 100 {reset}"), next).await;
}

#[tokio::test]
async fn a_429_rests_the_key_that_got_it() {
    let pareto = Pareto::start(TWO_KEYS).await;
    pareto.provider.next(Fault::RateLimited);
    let statuses = [ask(&pareto, "t", "1").await.status, ask(&pareto, "t", "2").await.status];
    assert!(statuses[1] == 200, "{statuses:?}");
    let keys = keys(&pareto, "authorization");
    assert_ne!(keys[0], keys[1]);
    let shown = shown(&pareto).await;
    let rested = &shown[usize::from(keys[0] == "sk-b")];
    assert_eq!(rested["because"], "rate limited", "{shown:?}");
}

#[tokio::test]
async fn where_no_key_has_room_the_call_waits_for_it() {
    let pareto = Pareto::start(
        "providers: {p: {url: \"{provider}\", keys: [sk-a]}}
routes: [{models: [\"*\"], targets: [{provider: p}]}]",
    )
    .await;
    let began = Instant::now();
    assert_eq!(ask(&pareto, "t", "1").with("x-sim-left", "0 100 700ms").await.status, 200);
    assert_eq!(ask(&pareto, "t", "2").await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(700), "it was called before it had room");
    assert_eq!(pareto.provider.total(), 2, "and not refused once");
}
