//! Waiting instead of refusing, through real connections.

use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::{ask, count};
use crate::harness::{Answer, Hold, Pareto, within};

/// Holds answers back, and sends the first request, behind which others wait.
async fn first(pareto: &Pareto, tenant: &str, text: &str) -> JoinHandle<Answer> {
    pareto.provider.hold(Hold::BeforeHead);
    let first = ask(pareto, tenant, text).spawn();
    within("the first call", pareto.provider.received(1)).await;
    first
}

#[tokio::test]
async fn concurrent_is_a_ceiling_and_who_is_above_it_waits() {
    let pareto = Pareto::start("limits: [{per: tenant, concurrent: 10, wait: 30s}]").await;
    pareto.provider.hold(Hold::BeforeHead);
    let asked: Vec<_> = (0..40).map(|n| ask(&pareto, "acme", &format!("{n}")).spawn()).collect();
    within("ten calls", pareto.provider.received(10)).await;
    pareto.becomes("limit_waiters", &[], 30.0).await;
    assert_eq!(count(&pareto, "acme", "concurrent").await["reserved"], 10);
    assert_eq!(pareto.provider.total(), 10);
    pareto.provider.release();
    for answer in join_all(asked).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert_eq!(super::settled(&pareto, "acme", "concurrent").await["reserved"], 0);
}

#[tokio::test]
async fn who_hangs_up_while_it_waits_leaves_at_once_and_costs_nothing() {
    let pareto = Pareto::start("limits: [{per: tenant, concurrent: 1, requests: 10/day, wait: 10m}]").await;
    let first = first(&pareto, "acme", "first").await;
    let waiting: Vec<_> = (0..5).map(|n| ask(&pareto, "acme", &format!("{n}")).spawn()).collect();
    pareto.becomes("limit_waiters", &[], 5.0).await;
    waiting.iter().for_each(JoinHandle::abort);
    pareto.becomes("limit_waiters", &[], 0.0).await;
    pareto.provider.release();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(pareto.provider.total(), 1);
    assert_eq!(super::settled(&pareto, "acme", "requests").await["used"], 1);
}

/// The prompts in the order in which the provider was asked.
fn prompts(pareto: &Pareto) -> Vec<String> {
    let prompt = |call: &pareto::demo::provider::Call| {
        call.json()["messages"][0]["content"].as_str().unwrap().to_owned()
    };
    pareto.provider.calls().iter().map(prompt).collect()
}

/// The tenants in that order, whose prompts begin with their names.
fn served(pareto: &Pareto) -> Vec<String> {
    prompts(pareto).iter().map(|prompt| prompt.split(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_thousand_of_one_tenant_do_not_keep_ninety_nine_others_waiting() {
    let pareto = Pareto::start("limits: [{concurrent: 1, wait: 10m, max_waiting: 2000}]").await;
    let by = |tenant: &str, number: usize| ask(&pareto, tenant, &format!("{tenant} {number}")).spawn();
    let mut asked = vec![first(&pareto, "greedy", "greedy 0").await];
    asked.extend((1..=1000).map(|number| by("greedy", number)));
    pareto.becomes("limit_waiters", &[], 1000.0).await;
    asked.extend((0..99).map(|number| by(&format!("modest{number}"), 0)));
    pareto.becomes("limit_waiters", &[], 1099.0).await;
    pareto.provider.release();
    for answer in join_all(asked).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    let served = served(&pareto);
    assert_eq!(served.len(), 1100);
    let last = served.iter().rposition(|tenant| tenant != "greedy").unwrap();
    assert!(last < 2 * 100, "each of the 99 within two turns of all, not as {last}");
}

#[tokio::test]
async fn a_tenant_of_more_weight_has_more_turns() {
    let pareto = Pareto::start("limits: [{concurrent: 1, wait: 10m, weights: {heavy: 3}}]").await;
    let by = |tenant: &str, number: usize| ask(&pareto, tenant, &format!("{tenant} {number}")).spawn();
    let mut asked = vec![first(&pareto, "first", "first 0").await];
    asked.extend((0..12).flat_map(|number| [by("light", number), by("heavy", number)]));
    pareto.becomes("limit_waiters", &[], 24.0).await;
    pareto.provider.release();
    join_all(asked).await;
    let heavy = served(&pareto)[1..=12].iter().filter(|tenant| *tenant == "heavy").count();
    assert!((8..=10).contains(&heavy), "{heavy} of the first twelve turns are its own");
}

#[tokio::test]
async fn a_full_line_refuses_at_once_and_first_who_has_most_in_it() {
    let pareto = Pareto::start("limits: [{concurrent: 1, wait: 10m, max_waiting: 2}]").await;
    let first = first(&pareto, "greedy", "first").await;
    let waiting: Vec<_> = ["a", "b"].map(|text| ask(&pareto, "greedy", text).spawn()).into();
    pareto.becomes("limit_waiters", &[], 2.0).await;
    let refused = ask(&pareto, "greedy", "c").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limit_exceeded"));
    let modest = ask(&pareto, "modest", "d").spawn();
    pareto.counts("limit_rejections_total", &[], 2.0).await;
    assert_eq!(pareto.metric("limit_waiters", &[]).await, 2.0);
    pareto.provider.release();
    let statuses = join_all(waiting).await.into_iter().map(|answer| answer.unwrap().status);
    assert_eq!(statuses.filter(|status| *status == 200).count(), 1);
    assert_eq!((first.await.unwrap().status, modest.await.unwrap().status), (200, 200));
}

#[tokio::test]
async fn the_urgent_requests_of_a_tenant_go_first() {
    let pareto = Pareto::start("limits: [{concurrent: 1, wait: 10m}]").await;
    let first = first(&pareto, "acme", "first").await;
    let mut waiting = Vec::new();
    for (number, priority) in ["u=7", "u=3", "i, u=0"].into_iter().enumerate() {
        waiting.push(ask(&pareto, "acme", priority).with("priority", priority).spawn());
        pareto.becomes("limit_waiters", &[], f64::from(u32::try_from(number).unwrap() + 1)).await;
    }
    pareto.provider.release();
    join_all(waiting).await;
    first.await.unwrap();
    assert_eq!(prompts(&pareto), ["first", "i, u=0", "u=3", "u=7"]);
}
