//! Counts that several sidecars share, while the Redis they are in is away.

use http::Method;
use serde_json::Value;

use super::limits::{ask, counts, crowd, first, passed, shows, together};
use crate::harness::{Answer, Hold, Pareto, Redis, until, within};

/// What an answer tells of the one limit it falls under: how much there is, and what is left.
fn told(answer: &Answer) -> (u64, u64) {
    let member = |field: &str, name: &str| {
        let field = answer.header(field);
        let value =
            field.split(';').find_map(|part| part.strip_prefix(name)).unwrap_or_else(|| panic!("{field}"));
        value.parse().unwrap()
    };
    (member("ratelimit-policy", "q="), member("ratelimit", "r="))
}

#[tokio::test]
async fn while_counts_are_away_refuse_lets_nothing_pass() {
    let mut redis = Redis::start().await;
    let [pareto] = together(&counts(&redis, ", on_ledger_loss: refuse", "{requests: 100/day}")).await;
    assert_eq!(ask(&pareto, "a").await.status, 200);
    redis.kill();
    let refused = ask(&pareto, "b").await;
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (503, Some("pareto_unavailable")));
    assert_eq!(refused.header("ratelimit"), "", "nobody knows what is left");
    redis.restart().await;
    until("the counts to be back", async || ask(&pareto, "c").await.status == 200).await;
}

#[tokio::test]
async fn while_counts_are_away_admit_lets_all_pass_and_counts_them_later() {
    let mut redis = Redis::start().await;
    let [pareto] = together(&counts(&redis, ", on_ledger_loss: admit", "{requests: 3/day}")).await;
    assert_eq!(ask(&pareto, "a").await.status, 200);
    shows(&pareto, "used", 1).await;
    assert_eq!(pareto.admin(Method::GET, "/limits").await.json()["ledger"], "shared");
    redis.kill();
    let away = pareto.admin(Method::GET, "/limits").await.json();
    assert_eq!(away["ledger"], "away", "{away}");
    assert_eq!((&away["counts"][0]["quota"], &away["counts"][0]["used"]), (&3.into(), &1.into()), "{away}");
    // What passes counts, so that is what is told of it.
    for (number, left) in [1, 0, 0, 0, 0].into_iter().enumerate() {
        let answer = ask(&pareto, &format!("{number}")).await;
        assert_eq!((answer.status, told(&answer)), (200, (3, left)));
    }
    let away = first(&pareto).await;
    assert_eq!((&away["quota"], &away["left"]), (&3.into(), &0.into()), "{away}");
    assert!(pareto.metric("limit_ledger_losses_total", &[]).await >= 5.0);
    redis.restart().await;
    // It has forgotten the first; those after it were counted here.
    shows(&pareto, "used", 5).await;
    assert_eq!(ask(&pareto, "b").await.status, 429);
}

#[tokio::test]
async fn while_counts_are_away_each_sidecar_has_its_share_of_what_was_left() {
    let mut redis = Redis::start().await;
    let settings = counts(&redis, "", "{per: tenant, requests: 30/day}").replace("lease: 30s", "lease: 20s");
    let all: [Pareto; 3] = together(&settings).await;
    for pareto in &all {
        pareto.becomes("limit_ledger_sidecars", &[], 3.0).await;
    }
    for round in 0..2 {
        for pareto in &all {
            assert_eq!(ask(pareto, &format!("{round}")).await.status, 200);
        }
    }
    redis.kill();
    let mut passed = passed(&crowd(&all, 12).await);
    for pareto in &all {
        let mut last = None;
        loop {
            let answer = ask(pareto, "until none is left").await;
            let (quota, left) = told(&answer);
            assert_eq!(quota, 10);
            if answer.status != 200 {
                break;
            }
            assert!(last.is_none_or(|last| left + 1 == last), "{left} after {last:?}");
            last = Some(left);
            passed += 1;
        }
        assert_eq!((last, told(&ask(pareto, "one more").await)), (Some(0), (10, 0)));
    }
    // 30 less the 6 before; a sidecar may not have seen the two that came after its own last.
    assert!((24..=26).contains(&passed), "{passed}");
    for pareto in &all {
        let shown = pareto.admin(Method::GET, "/limits").await.json();
        assert_eq!(shown["ledger"], "away", "{shown}");
        let count = &shown["counts"][0];
        assert_eq!((&count["subject"]["tenant"], &count["quota"]), (&"acme".into(), &10.into()), "{shown}");
        assert_eq!((&count["left"], shown["counts"].as_array().unwrap().len()), (&0.into(), 1), "{shown}");
    }
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_learns_what_is_under_way() {
    let mut redis = Redis::start().await;
    let [one, other] = together(&counts(&redis, "", "{concurrent: 2}")).await;
    one.provider.hold(Hold::BeforeHead);
    let first = ask(&one, "a").spawn();
    within("the first call", one.provider.received(1)).await;
    redis.kill();
    redis.restart().await;
    shows(&other, "reserved", 1).await;
    one.provider.release();
    assert_eq!(first.await.unwrap().status, 200);
    shows(&other, "reserved", 0).await;
}

#[tokio::test]
async fn a_redis_that_stops_answering_costs_one_timeout_and_is_used_again() {
    let redis = Redis::start().await;
    let settings = counts(&redis, ", on_ledger_loss: admit", "{requests: 1000/day}")
        .replace("timeout: 5s", "timeout: 500ms");
    let [pareto] = together(&settings).await;
    redis.signal("STOP");
    assert_eq!(passed(&crowd(std::slice::from_ref(&pareto), 50).await), 50);
    pareto.becomes("limit_ledger_sidecars", &[], 0.0).await;
    let errors = pareto.metric("redis_errors_total", &[]).await;
    assert_eq!(passed(&crowd(std::slice::from_ref(&pareto), 50).await), 50);
    // Nobody has asked it since but the attempts to connect.
    assert!(pareto.metric("redis_errors_total", &[]).await - errors < 20.0);
    redis.signal("CONT");
    // What it had been asked before it stopped, and what passed without it: each counts once.
    shows(&pareto, "used", 100).await;
    shows(&pareto, "reserved", 0).await;
}

#[tokio::test]
async fn a_tenant_whose_counts_are_reset_leaves_what_is_known_of_others() {
    let mut redis = Redis::start().await;
    let [pareto] = together(&counts(&redis, "", "{per: tenant, requests: 10/day}")).await;
    for tenant in ["acme", "acme", "other", "other", "other"] {
        assert_eq!(pareto.chat("a").with("x-tenant-id", tenant).cache_control("no-store").await.status, 200);
    }
    let known = async || {
        let shown = pareto.admin(Method::GET, "/limits").await.json();
        let counts = shown["counts"].as_array().unwrap().iter();
        let of = |count: &Value| (count["subject"]["tenant"].to_string(), count["used"].as_u64().unwrap());
        let mut known: Vec<_> = counts.map(of).collect();
        known.sort_unstable();
        (shown["ledger"].to_string(), known)
    };
    let is = |ledger: &str, acme| {
        (format!("\"{ledger}\""), vec![("\"acme\"".to_owned(), acme), ("\"other\"".to_owned(), 3)])
    };
    until("all to be settled", async || known().await == is("shared", 2)).await;
    let reset = pareto.admin(Method::DELETE, "/limits/tenant-requests?tenant=acme").await;
    assert_eq!(reset.json()["reset"], 1);
    redis.kill();
    until("what is known here", async || known().await.0 == "\"away\"").await;
    assert_eq!(known().await, is("away", 0));
}
