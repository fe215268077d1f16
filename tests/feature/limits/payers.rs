//! Who pays for a call that tenants share: `coalesce: {payer: shared}` divides it, to the last pico-dollar.

use futures_util::future::join_all;
use serde_json::Value;

use super::settled;
use crate::harness::{Ask, Fault, Hold, Pareto, within};

const SHARED: &str = "cache: {share: everyone}
coalesce: {payer: shared}
limits: [{name: each, per: tenant, tokens: 100k/day, usd: 5/day}]";

fn by(pareto: &Pareto, tenant: &str) -> Ask {
    pareto.chat("sim:words=60 same").with("x-tenant-id", tenant).set("max_tokens", 500)
}

/// An amount of USD in pico-USD.
fn pico(text: &str) -> u64 {
    let (usd, decimals) = text.split_once('.').unwrap_or((text, ""));
    format!("{usd}{decimals:0<12}").parse().unwrap()
}

async fn used(pareto: &Pareto, tenant: &str) -> (u64, u64) {
    let tokens = settled(pareto, tenant, "tokens").await;
    let usd = settled(pareto, tenant, "usd").await;
    assert_eq!(tokens["reserved"], 0);
    (tokens["used"].as_u64().unwrap(), pico(usd["used"].as_str().unwrap()))
}

/// Seven tenants at one call: a leader and f0 to f5.
async fn seven(pareto: &Pareto) -> Vec<crate::harness::Answer> {
    pareto.provider.hold(Hold::BeforeHead);
    let leader = by(pareto, "leader").spawn();
    within("the leader's call", pareto.provider.received(1)).await;
    let followers: Vec<_> = (0..6).map(|n| by(pareto, &format!("f{n}")).spawn()).collect();
    pareto.waiting(6).await;
    pareto.provider.release();
    let answers = join_all(std::iter::once(leader).chain(followers)).await;
    answers.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn all_who_share_a_call_pay_equal_parts_and_the_leader_the_remainder() {
    let pareto = Pareto::start(SHARED).await;
    let answers = seven(&pareto).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(pareto.provider.total(), 1);
    let usage = answers[0].json()["usage"].clone();
    let tokens = |kind: &str| usage[kind].as_u64().unwrap();
    let cost = pico(answers[0].header("x-pareto-cost-usd"));
    let part = (tokens("prompt_tokens") / 7 + tokens("completion_tokens") / 7, cost / 7);
    for n in 0..6 {
        assert_eq!(used(&pareto, &format!("f{n}")).await, part);
    }
    let own = (tokens("total_tokens") - 6 * part.0, cost - 6 * part.1);
    assert_eq!(used(&pareto, "leader").await, own);
    let paid = |pico: u64| pico as f64 / 1e12;
    pareto.counts("cost_usd_total", &[("tenant", "leader")], paid(own.1)).await;
    pareto.counts("cost_usd_total", &[("tenant", "f3")], paid(part.1)).await;
    pareto.counts("limit_settlements_total", &[], 1.0).await;
    let hit = by(&pareto, "late").await;
    assert!(hit.is_hit(), "who comes when it is paid for rides for nothing");
    assert!(super::count(&pareto, "late", "tokens").await.is_null());
}

#[tokio::test]
async fn who_hangs_up_pays_its_part_of_what_was_streamed() {
    let pareto = Pareto::start(SHARED).await;
    pareto.provider.hold(Hold::AfterEvents(8));
    let mut leader = by(&pareto, "leader").stream().open().await;
    let said: String = {
        let events = leader.events(8).await;
        events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
    };
    let mut follower = by(&pareto, "follower").stream().open().await;
    follower.events(8).await;
    drop(leader);
    pareto.becomes("active_requests", &[], 1.0).await;
    drop(follower);
    within("the call to be cut", pareto.provider.left(1)).await;
    let (leader, follower) = (used(&pareto, "leader").await, used(&pareto, "follower").await);
    let body = pareto.provider.calls().remove(0).body;
    let input = pareto::limits::estimate::Estimate::of("gpt-4o", &body).input;
    let output = pareto::limits::tokens::Tokenizer::of("gpt-4o").count(&said);
    assert!(output > 2);
    assert_eq!(follower.0, input / 2 + output / 2);
    assert_eq!(leader.0 + follower.0, input + output);
    // 2.50 and 10.00 USD for a million tokens.
    assert_eq!(leader.1 + follower.1, input * 2_500_000 + output * 10_000_000);
    pareto.counts("limit_settlements_total", &[("basis", "estimated")], 1.0).await;
}

#[tokio::test]
async fn a_call_that_failed_costs_nobody_anything() {
    let pareto = Pareto::start(SHARED).await;
    pareto.provider.next(Fault::Status(500));
    assert!(seven(&pareto).await.iter().all(|answer| answer.status == 500));
    for tenant in ["leader", "f0", "f5"] {
        assert_eq!(used(&pareto, tenant).await, (0, 0), "{tenant}");
    }
}

#[tokio::test]
async fn who_has_no_room_for_a_part_does_not_ride() {
    let limits =
        "limits: [{per: tenant, tokens: 100k/day}, {name: poor, when: {tenant: poor}, tokens: 10/day}]";
    for (payer, status) in [("shared", 429), ("leader", 200)] {
        let pareto =
            Pareto::start(&format!("cache: {{share: everyone}}\ncoalesce: {{payer: {payer}}}\n{limits}"))
                .await;
        pareto.provider.hold(Hold::BeforeHead);
        let leader = by(&pareto, "leader").spawn();
        within("the leader's call", pareto.provider.received(1)).await;
        let poor = by(&pareto, "poor").spawn();
        if payer == "leader" {
            pareto.waiting(1).await;
            pareto.provider.release();
        }
        assert_eq!(poor.await.unwrap().status, status, "{payer}");
        pareto.provider.release();
        let answer = leader.await.unwrap();
        assert_eq!(
            settled(&pareto, "leader", "tokens").await["used"],
            answer.json()["usage"]["total_tokens"]
        );
    }
}

#[tokio::test]
async fn costs_are_divided_in_the_books_without_any_limit() {
    let pareto = Pareto::start("cache: {share: everyone}\ncoalesce: {payer: shared}").await;
    let answers = seven(&pareto).await;
    let cost = pico(answers[0].header("x-pareto-cost-usd"));
    pareto.counts("cost_usd_total", &[("tenant", "f0")], (cost / 7) as f64 / 1e12).await;
    let all: Value = answers[6].json();
    assert_eq!(all["usage"], answers[0].json()["usage"]);
    let total = pareto.metric("cost_usd_total", &[]).await;
    assert!((total - cost as f64 / 1e12).abs() < 1e-15, "{total}");
}
