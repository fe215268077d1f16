//! Limits per provider count each attempt where it is made, and send on to another one.

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::ask;
use crate::feature::embeddings::embed;
use crate::feature::routes::Two;
use crate::harness::{Answer, Fault, Hold, Pareto, within};

const TWICE: &str = "limits: [{name: each, per: provider, requests: 2/day}]";
const IN_TURN: &str = "targets: [{provider: sim}], fallbacks: [{provider: other}]";

/// How one measure of the limit stands at a provider.
async fn at(pareto: &Pareto, provider: &str, measure: &str) -> Value {
    let shown = pareto.admin(Method::GET, "/limits").await.json();
    let counts = shown["counts"].as_array().unwrap().clone();
    let of = |count: &&Value| count["subject"]["provider"] == provider && count["measure"] == measure;
    counts.iter().find(of).cloned().unwrap_or_else(|| panic!("{provider} {measure} in {shown:#}"))
}

#[tokio::test]
async fn who_has_no_room_is_passed_by_and_only_then_is_refused() {
    let two = Two::with(IN_TURN, TWICE).await;
    for (number, provider) in ["sim", "sim", "other", "other"].into_iter().enumerate() {
        let answer = ask(&two.pareto, "t", &number.to_string()).await;
        assert_eq!((answer.status, answer.header("x-pareto-provider")), (200, provider));
        assert_eq!(answer.header("x-pareto-attempts"), "1");
    }
    let refused = ask(&two.pareto, "t", "5").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
    assert_eq!(two.asked(), (2, 2));
    for provider in ["sim", "other"] {
        let count = at(&two.pareto, provider, "requests").await;
        assert_eq!((&count["used"], &count["reserved"]), (&2.into(), &0.into()));
    }
    two.pareto.counts("limit_rejections_total", &[("limit", "each")], 1.0).await;
    two.pareto.counts("requests_total", &[("outcome", "limited")], 1.0).await;
}

#[tokio::test]
async fn each_attempt_counts_where_it_was_made() {
    let two =
        Two::with(IN_TURN, "limits: [{per: [tenant, provider], requests: 9/day, tokens: 9k/day}]").await;
    two.pareto.provider.next(Fault::Status(500));
    let answer = ask(&two.pareto, "t", "a").set("max_tokens", 100).await;
    assert_eq!((answer.status, answer.header("x-pareto-attempts")), (200, "2"));
    for (provider, tokens) in
        [("sim", 0), ("other", answer.json()["usage"]["total_tokens"].as_u64().unwrap())]
    {
        assert_eq!(at(&two.pareto, provider, "requests").await["used"], 1, "{provider}");
        let counted = async {
            loop {
                let count = at(&two.pareto, provider, "tokens").await;
                if count["reserved"] == 0 {
                    return count["used"].clone();
                }
            }
        };
        assert_eq!(within("the attempt to settle", counted).await, tokens, "{provider}");
    }
}

#[tokio::test]
async fn where_nobody_has_room_requests_wait_and_leave_when_they_hang_up() {
    let pareto = Pareto::start("limits: [{per: provider, concurrent: 1, wait: 1m}]").await;
    pareto.provider.hold(Hold::BeforeHead);
    let asked: Vec<_> = (0..4).map(|n| ask(&pareto, "t", &n.to_string()).spawn()).collect();
    within("one call", pareto.provider.received(1)).await;
    pareto.becomes("limit_waiters", &[], 3.0).await;
    let leaver = ask(&pareto, "t", "leaves").spawn();
    pareto.becomes("limit_waiters", &[], 4.0).await;
    leaver.abort();
    pareto.becomes("limit_waiters", &[], 3.0).await;
    assert_eq!(pareto.provider.total(), 1);
    pareto.provider.release();
    for answer in join_all(asked).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert_eq!(pareto.provider.total(), 4);
}

#[tokio::test]
async fn embeddings_count_each_call_and_observing_refuses_nobody() {
    let pareto =
        Pareto::start("limits: [{name: each, per: provider, requests: 1/day, tokens: 1k/day}]").await;
    assert_eq!(embed(&pareto, json!(["one", "two"])).await.status, 200);
    let refused = embed(&pareto, json!(["three"])).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
    assert_eq!(at(&pareto, "sim", "requests").await["used"], 1);
    assert!(at(&pareto, "sim", "tokens").await["used"].as_u64().unwrap() > 0);
    let observed = Pareto::start(&format!("{TWICE}\nfeatures: {{limits: observe}}")).await;
    for number in 0..3 {
        assert_eq!(ask(&observed, "t", &number.to_string()).await.status, 200);
    }
    observed.counts("limit_observed_rejections_total", &[("limit", "each")], 1.0).await;
}

#[tokio::test]
async fn a_limit_that_refuses_the_leader_of_a_call_does_not_refuse_who_rides_on_it() {
    let pareto = Pareto::start(
        "cache: {share: everyone}
limits: [{per: [tenant, provider], when: {tenant: poor}, concurrent: 1, wait: 3s}]",
    )
    .await;
    let same = |tenant: &str| pareto.chat("same").with("x-tenant-id", tenant);
    pareto.provider.hold(Hold::BeforeHead);
    let first = ask(&pareto, "poor", "another").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let leader = same("poor").spawn();
    pareto.becomes("limit_waiters", &[], 1.0).await;
    let follower = same("rich").spawn();
    pareto.waiting(1).await;
    assert_eq!(leader.await.unwrap().code(), "rate_limit_exceeded", "it has waited its time");
    within("the follower's own call", pareto.provider.received(2)).await;
    pareto.provider.release();
    assert_eq!((follower.await.unwrap().status, first.await.unwrap().status), (200, 200));
}

#[tokio::test]
async fn the_head_tells_whoever_made_the_call_how_the_limits_of_its_provider_stand() {
    let limits = "cache: {share: everyone}
limits: [{name: own, per: tenant, requests: 9/day}, {name: each, per: provider, requests: 2/day}]";
    let two = Two::with(IN_TURN, limits).await;
    let tells = |answer: &Answer, own: &str, each: &str| {
        let (policy, limit) = (answer.header("ratelimit-policy"), answer.header("ratelimit"));
        assert_eq!(policy, "\"own\";q=9;w=86400, \"each\";q=2;w=86400", "{limit}");
        assert!(limit.starts_with(&format!("\"own\";r={own};t=")), "{limit}");
        assert!(limit.contains(&format!(", \"each\";r={each};t=")), "{limit}");
    };
    two.pareto.provider.next(Fault::Status(500));
    let other = ask(&two.pareto, "t", "1").await;
    assert_eq!(other.header("x-pareto-provider"), "other");
    tells(&other, "8", "1");
    tells(&ask(&two.pareto, "t", "2").stream().await, "7", "0");
    tells(&ask(&two.pareto, "t", "3").await, "6", "0");
    let refused = ask(&two.pareto, "t", "4").await;
    assert_eq!(refused.status, 429);
    tells(&refused, "5", "0");

    // Who takes part in another's call is not told of the counts it is made by.
    let pareto = Pareto::start(limits).await;
    let same = |tenant: &str| pareto.chat("same").with("x-tenant-id", tenant);
    pareto.provider.hold(Hold::BeforeHead);
    let leader = same("leader").spawn();
    within("the leader's call", pareto.provider.received(1)).await;
    let follower = same("follower").spawn();
    pareto.waiting(1).await;
    pareto.provider.release();
    tells(&leader.await.unwrap(), "8", "1");
    assert_eq!(follower.await.unwrap().header("ratelimit"), "");
    tells(&embed(&pareto, json!(["one", "two"])).await, "8", "0");
}
