//! Waiting instead of refusing, through real connections.

use futures_util::future::join_all;

use super::{ask, count};
use crate::harness::{Hold, Pareto, within};

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
    pareto.provider.hold(Hold::BeforeHead);
    let first = ask(&pareto, "acme", "first").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let waiting: Vec<_> = (0..5).map(|n| ask(&pareto, "acme", &format!("{n}")).spawn()).collect();
    pareto.becomes("limit_waiters", &[], 5.0).await;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    pareto.becomes("limit_waiters", &[], 0.0).await;
    pareto.provider.release();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(pareto.provider.total(), 1);
    assert_eq!(super::settled(&pareto, "acme", "requests").await["used"], 1);
}

#[tokio::test]
async fn the_urgent_requests_of_a_tenant_go_first() {
    let pareto = Pareto::start("limits: [{concurrent: 1, wait: 10m}]").await;
    pareto.provider.hold(Hold::BeforeHead);
    let first = ask(&pareto, "acme", "first").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let mut waiting = Vec::new();
    for (number, priority) in ["u=7", "u=3", "i, u=0"].into_iter().enumerate() {
        waiting.push(ask(&pareto, "acme", priority).with("priority", priority).spawn());
        pareto.becomes("limit_waiters", &[], f64::from(u32::try_from(number).unwrap() + 1)).await;
    }
    pareto.provider.release();
    join_all(waiting).await;
    first.await.unwrap();
    let order: Vec<_> = pareto
        .provider
        .calls()
        .iter()
        .map(|call| call.json()["messages"][0]["content"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(order, ["first", "i, u=0", "u=3", "u=7"]);
}
