//! Limits that several sidecars count together.

use std::process::Command;
use std::sync::Arc;

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;

use crate::harness::{
    Answer, Ask, Binary, Fault, Hold, Pareto, Provider, Redis, chat, provider, until, within,
};

/// Counts in `redis`, for sidecars that have nothing else in common.
pub(super) fn counts(redis: &Redis, more: &str, limits: &str) -> String {
    format!(
        "storage: {{counts: {{redis: \"redis://127.0.0.1:{}/1\", timeout: 5s, lease: 30s{more}}}}}\nlimits: [{limits}]\n",
        redis.port
    )
}

/// Sidecars that count together.
pub(super) async fn together<const N: usize>(settings: &str) -> [Pareto; N] {
    let provider = Arc::new(provider().await);
    let all = std::array::from_fn(|_| Pareto::before(provider.clone(), settings));
    joined(&all).await;
    all
}

/// Waits until all know of all.
pub(super) async fn joined(all: &[Pareto]) {
    // Each asks once, and thereby learns of those before it.
    for pareto in all.iter().chain(all) {
        pareto.admin(Method::GET, "/limits").await;
    }
    for pareto in all {
        until("the shared counts", async || pareto.metric("limit_ledger_sidecars", &[]).await >= 1.0).await;
    }
}

pub(super) fn ask(pareto: &Pareto, text: &str) -> Ask {
    pareto.chat(text).with("x-tenant-id", "acme").cache_control("no-store")
}

pub(super) fn passed(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status == 200).count()
}

/// The first count at `/limits`.
pub(super) async fn first(pareto: &Pareto) -> Value {
    pareto.admin(Method::GET, "/limits").await.json()["counts"][0].clone()
}

/// Waits until the first count shows this.
pub(super) async fn shows(pareto: &Pareto, member: &str, value: u64) {
    until(&format!("{member} to be {value}"), async || first(pareto).await[member] == value).await;
}

pub(super) async fn crowd(all: &[Pareto], requests: usize) -> Vec<Answer> {
    let asked = (0..requests).map(|number| ask(&all[number % all.len()], &format!("{number}")).spawn());
    join_all(asked.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_budget_of_a_hundred_lets_a_hundred_pass_on_three_sidecars() {
    let redis = Redis::start().await;
    let all: [Pareto; 3] = together(&counts(&redis, "", "{per: tenant, requests: 100/day}")).await;
    let answers = crowd(&all, 1000).await;
    assert_eq!(passed(&answers), 100);
    assert_eq!(all[0].provider.total(), 100);
    let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (429, Some("insufficient_quota")));
    for pareto in &all {
        shows(pareto, "used", 100).await;
    }
    // A reload keeps them, a reset on one sidecar forgets them for all.
    assert_eq!(all[1].admin(Method::POST, "/reload").await.status, 200);
    assert_eq!(ask(&all[1], "reloaded").await.status, 429);
    let reset = all[2].admin(Method::DELETE, "/limits/tenant-requests?tenant=acme").await;
    assert_eq!(reset.json()["reset"], 1);
    assert_eq!(ask(&all[0], "again").await.status, 200);
    shows(&all[1], "used", 1).await;
}

#[tokio::test]
async fn a_rate_is_that_of_all_together_and_says_when_to_come_again() {
    let redis = Redis::start().await;
    let all: [Pareto; 3] = together(&counts(&redis, "", "{requests: 60/hour burst 10}")).await;
    let answers = crowd(&all, 100).await;
    assert_eq!(passed(&answers), 10);
    let wait: u64 = answers
        .iter()
        .find_map(|answer| answer.headers.get("retry-after")?.to_str().ok()?.parse().ok())
        .unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_request_is_one_script_to_reserve_and_one_to_settle() {
    let redis = Redis::start().await;
    let limits = "{per: tenant, requests: 100/min, tokens: 1M/day, concurrent: 5}, {usd: 5/day}, {per: model, tokens: 1M/hour}";
    let [pareto] = together(&counts(&redis, "", limits)).await;
    ask(&pareto, "a").await;
    shows(&pareto, "reserved", 0).await;
    let before = redis.calls("evalsha");
    for number in 0..10 {
        assert_eq!(ask(&pareto, &format!("{number}")).await.status, 200);
    }
    until("the last to settle", async || redis.calls("evalsha") >= before + 20).await;
    // Beside them only that the sidecar is alive is told, once in ten seconds.
    assert!(redis.calls("evalsha") <= before + 22, "{}", redis.calls("evalsha") - before);
}

fn file(provider: &Provider, settings: &str) -> String {
    format!("providers: {{sim: {{url: \"{}\"}}}}\n{settings}", provider.url())
}

#[tokio::test]
async fn places_of_a_killed_sidecar_are_free_when_its_lease_ends() {
    let redis = Redis::start().await;
    let settings = counts(&redis, "", "{concurrent: 2, wait: 60s}")
        .replace("timeout: 5s, lease: 30s", "timeout: 500ms, lease: 2s");
    let provider = Arc::new(provider().await);
    let killed = Binary::start(&file(&provider, &settings)).await;
    let alive = Pareto::before(provider.clone(), &settings);
    joined(std::slice::from_ref(&alive)).await;
    provider.hold(Hold::BeforeHead);
    let url = format!("http://{}/v1/chat/completions", killed.address);
    let taken: Vec<_> = ["a", "b"]
        .map(|text| Ask::new(reqwest::Client::new().post(&url), chat(text)).spawn())
        .into_iter()
        .collect();
    within("both places to be taken", provider.received(2)).await;
    let waiting = ask(&alive, "c").spawn();
    alive.becomes("limit_waiters", &[], 1.0).await;
    killed.signal("KILL");
    within("the places to be free", provider.received(3)).await;
    provider.release();
    assert_eq!(waiting.await.unwrap().status, 200);
    taken.iter().for_each(tokio::task::JoinHandle::abort);
    shows(&alive, "reserved", 0).await;
}

#[tokio::test]
async fn what_becomes_free_on_one_sidecar_wakes_who_waits_on_another() {
    let redis = Redis::start().await;
    let [one, other] = together(&counts(&redis, "", "{concurrent: 1, wait: 60s}")).await;
    one.provider.hold(Hold::BeforeHead);
    let first = ask(&one, "a").spawn();
    within("the first call", one.provider.received(1)).await;
    let second = ask(&other, "b").spawn();
    other.becomes("limit_waiters", &[], 1.0).await;
    one.provider.release();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(second.await.unwrap().status, 200);
}

#[tokio::test]
async fn what_failed_calls_reserved_is_given_back() {
    let redis = Redis::start().await;
    let [one, other] = together(&counts(&redis, "", "{per: tenant, tokens: 1M/day, concurrent: 3}")).await;
    one.provider.next(Fault::Status(500));
    assert_eq!(ask(&one, "a").await.status, 500);
    within("all to be given back", async {
        loop {
            let shown = other.admin(Method::GET, "/limits").await.json();
            let counts = shown["counts"].as_array().unwrap().clone();
            if !counts.is_empty() && counts.iter().all(|count| count["reserved"] == 0 && count["used"] == 0) {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_alert_is_told_by_one_of_all() {
    let redis = Redis::start().await;
    let limits = "{name: day, requests: 100/day, alert: {at: [50%], forecast: false}}";
    let all: [Pareto; 3] = together(&counts(&redis, "", limits)).await;
    assert_eq!(passed(&crowd(&all, 90).await), 90);
    let told = async || {
        let mut told = 0.0;
        for pareto in &all {
            told += pareto.metric("limit_alerts_total", &[("limit", "day"), ("result", "logged")]).await;
        }
        told
    };
    until("the alert", async || told().await >= 1.0).await;
    for pareto in &all {
        ask(pareto, "more").await;
    }
    shows(&all[0], "used", 93).await;
    assert_eq!(told().await, 1.0);
}

#[tokio::test]
async fn a_redis_that_may_drop_counts_is_warned_of_at_the_start() {
    let redis = Redis::with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let provider = provider().await;
    let mut pareto = Binary::start(&file(&provider, &counts(&redis, "", "{requests: 10/day}"))).await;
    let warns = |line: &str| line.contains("may drop counts for want of room");
    let said = match pareto.opening.iter().find(|line| warns(line)).cloned() {
        Some(said) => said,
        None => pareto.logs("may drop counts for want of room").await,
    };
    assert!(said.contains("WARN") && said.contains("allkeys-lru") && said.contains("noeviction"), "{said}");
    // It is used all the same.
    assert_eq!(pareto.chat("a").await.status, 200);
}

#[tokio::test]
async fn a_budget_is_as_exact_in_a_cluster() {
    let nodes = super::cluster::cluster().await;
    let url = format!("redis+cluster://127.0.0.1:{}", nodes[1].port);
    let all: [Pareto; 3] = together(&format!(
        "storage: {{counts: {{redis: \"{url}\", timeout: 5s, lease: 30s}}}}\n\
         limits: [{{per: tenant, requests: 100/day, concurrent: 1000}}, {{tokens: 100M/day}}]\n"
    ))
    .await;
    let answers = crowd(&all, 400).await;
    assert_eq!(passed(&answers), 100);
    assert_eq!(all[0].provider.total(), 100);
    shows(&all[1], "reserved", 0).await;
    shows(&all[2], "used", 100).await;
}

/// Waits until so many seconds have passed by the clock of Redis, which is the one that counts.
async fn waits(redis: &Redis, seconds: u64) {
    let (port, seconds) = (redis.port.to_string(), seconds.to_string());
    let waiting = tokio::task::spawn_blocking(move || {
        let waited =
            Command::new("redis-cli").args(["-p", &port, "BLPOP", "what-never-comes", &seconds]).output();
        assert!(waited.unwrap().status.success());
    });
    within("Redis to have waited", waiting).await.unwrap();
}

/// Seconds that are left of the minute by the clock of Redis.
fn left(redis: &Redis) -> u64 {
    60 - redis.cli(&["TIME"]).lines().next().unwrap().parse::<u64>().unwrap() % 60
}

#[tokio::test]
async fn a_call_that_outlasts_its_window_counts_in_the_next_on_all_sidecars() {
    let redis = Redis::start().await;
    let [one, other] = together(&counts(&redis, "", "{per: tenant, usd: 10/min}")).await;
    if left(&redis) < 15 {
        waits(&redis, left(&redis)).await;
    }
    assert_eq!(ask(&one, "a").await.status, 200);
    let dollars =
        async |pareto: &Pareto, member: &str| first(pareto).await[member].as_str().unwrap().to_owned();
    let becomes = async |pareto: &Pareto, member: &str, value: &str| {
        until(&format!("{member} to be {value}"), async || dollars(pareto, member).await == value).await;
    };
    becomes(&other, "reserved", "0").await;
    let spent = dollars(&other, "used").await;
    assert_ne!(spent, "0");
    one.provider.hold(Hold::BeforeHead);
    let under_way = ask(&one, "a").spawn();
    within("the call", one.provider.received(2)).await;
    let reserved = dollars(&other, "reserved").await;
    assert_ne!(reserved, "0");
    waits(&redis, left(&redis)).await;
    // What was spent is the old window's; what is under way is still reserved.
    for pareto in [&one, &other] {
        becomes(pareto, "used", "0").await;
        becomes(pareto, "reserved", &reserved).await;
    }
    one.provider.release();
    assert_eq!(under_way.await.unwrap().status, 200);
    for pareto in [&one, &other] {
        becomes(pareto, "reserved", "0").await;
        becomes(pareto, "used", &spent).await;
    }
}
