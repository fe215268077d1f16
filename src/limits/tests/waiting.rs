//! Those that wait: in fair order, no longer than they may, and gone when they hang up.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Force, request};
use crate::limits::ledger::{Amounts, Refused};
use crate::limits::{Ask, Limits};

/// The same ask, free of its lifetime: for tasks.
fn asking(force: &Force, tenant: &'static str) -> Ask<'static> {
    force.ask(tenant, request(1))
}

/// Lets all tasks run as far as they get.
async fn settle_down(limits: &Arc<Limits>, waiting: usize) {
    for _ in 0..10_000 {
        if limits.waiting() == waiting {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} wait instead of {waiting}", limits.waiting());
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_until_the_rate_lets_it_pass() {
    let force = Force::of("  - {requests: 60/min burst 1, wait: 5s}");
    let start = Instant::now();
    for second in 0..4 {
        let permit = force.limits.admit(&asking(&force, "a")).await.ok().unwrap();
        permit.depart();
        assert_eq!(start.elapsed().as_secs(), second);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_would_wait_too_long_is_refused_at_once() {
    let force = Force::of("  - {requests: 1/min, wait: 5s}");
    force.limits.admit(&asking(&force, "a")).await.ok().unwrap().depart();
    let start = Instant::now();
    let Err(Refused::Short(short)) = force.limits.admit(&asking(&force, "a")).await else {
        panic!("it passed")
    };
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(short.likely.as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_waited_its_time_is_refused() {
    let force = Force::of("  - {concurrent: 1, wait: 5s}");
    let first = force.limits.admit(&asking(&force, "a")).await.ok().unwrap();
    let start = Instant::now();
    assert!(force.limits.admit(&asking(&force, "a")).await.is_err());
    assert_eq!((start.elapsed().as_secs(), force.limits.waiting()), (5, 0));
    drop(first);
    assert_eq!(force.reserved(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_leaves_the_line_at_once() {
    let force = Force::of("  - {concurrent: 1, wait: 60s}");
    let first = force.limits.admit(&asking(&force, "a")).await.ok().unwrap();
    let (limits, ask) = (force.limits.clone(), asking(&force, "a"));
    let waiter = tokio::spawn(async move { limits.admit(&ask).await.map(drop).is_ok() });
    settle_down(&force.limits, 1).await;
    waiter.abort();
    settle_down(&force.limits, 0).await;
    drop(first);
    tokio::task::yield_now().await;
    assert_eq!(force.reserved(), 0);
    assert!(force.limits.admit(&asking(&force, "a")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_of_one_do_not_keep_ninety_nine_others_waiting() {
    let force = Force::of("  - {concurrent: 1, wait: 1h, max_waiting: 2000}");
    let first = force.limits.admit(&asking(&force, "greedy")).await.ok().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    let mut enter = |tenant: &'static str| {
        let (limits, order, ask) = (force.limits.clone(), order.clone(), asking(&force, tenant));
        tasks.spawn(async move {
            let permit = limits.admit(&ask).await.ok().unwrap();
            order.lock().push(tenant);
            drop(permit);
        });
    };
    for _ in 0..1000 {
        enter("greedy");
    }
    for number in 0..99 {
        enter(Box::leak(format!("modest{number}").into_boxed_str()));
    }
    settle_down(&force.limits, 1099).await;
    drop(first);
    tasks.join_all().await;
    let order = order.lock().clone();
    assert_eq!(order.len(), 1099);
    let last = order.iter().rposition(|tenant| *tenant != "greedy").unwrap();
    assert!(last < 200, "each of the 99 within two turns of all, not as {last}");
    assert_eq!(force.reserved(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_does_not_pass_by_who_waits() {
    let force = Force::of("  - {tokens: 60/min burst 10, wait: 1m}");
    let mut first = force.limits.admit(&force.ask("a", request(10))).await.ok().unwrap();
    first.attempt().settle(&Amounts::consumed(10, 0, 0));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for (waiting, (tenant, tokens)) in [("a", 10), ("b", 1)].into_iter().enumerate() {
        let (limits, order, ask) = (force.limits.clone(), order.clone(), force.ask(tenant, request(tokens)));
        tasks.spawn(async move {
            let mut permit = limits.admit(&ask).await.ok().unwrap();
            permit.attempt().settle(&Amounts::consumed(tokens, 0, 0));
            order.lock().push(tenant);
        });
        settle_down(&force.limits, waiting + 1).await;
    }
    tasks.join_all().await;
    assert_eq!(*order.lock(), ["a", "b"], "the large one is not starved by small ones");
}

#[tokio::test(start_paused = true)]
async fn a_full_line_turns_away_the_last_of_who_has_most() {
    let force = Force::of("  - {concurrent: 1, wait: 1h, max_waiting: 3}");
    let first = force.limits.admit(&asking(&force, "greedy")).await.ok().unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..3 {
        let (limits, ask) = (force.limits.clone(), asking(&force, "greedy"));
        tasks.spawn(async move { (number, limits.admit(&ask).await.is_ok()) });
        settle_down(&force.limits, number + 1).await;
    }
    assert!(force.limits.admit(&asking(&force, "greedy")).await.is_err(), "it has the most itself");
    let (limits, ask) = (force.limits.clone(), asking(&force, "modest"));
    tasks.spawn(async move { (9, limits.admit(&ask).await.is_ok()) });
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), (2, false));
    drop(first);
    let mut served = tasks.join_all().await;
    served.sort_unstable();
    assert_eq!(served, [(0, true), (1, true), (9, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_room_in_one_limit_holds_nothing_of_another() {
    let force = Force::of(
        "
  - {name: one, per: tenant, requests: 10/day}
  - {name: two, concurrent: 1, wait: 10s}
",
    );
    let first = force.limits.admit(&asking(&force, "a")).await.ok().unwrap();
    let (limits, ask) = (force.limits.clone(), asking(&force, "b"));
    let waiter = tokio::spawn(async move { limits.admit(&ask).await.is_ok() });
    settle_down(&force.limits, 1).await;
    let standing = force.standing("b", crate::config::limit::Measure::Requests);
    assert_eq!((standing.used, standing.reserved), (0, 0));
    drop(first);
    assert!(waiter.await.unwrap());
}
