//! Counts over reloads, resets and many subjects; what is told of budgets, once each.

use std::time::Duration;

use super::{Force, request};
use crate::config::limit::Measure;
use crate::limits::alert::Cause;
use crate::limits::ledger::Amounts;

/// Uses so many tokens as `tenant`.
async fn uses(force: &Force, tenant: &str, tokens: u64) {
    let admitted = force.limits.admit(&force.ask(tenant, request(tokens))).await;
    let mut permit = admitted.unwrap_or_else(|short| panic!("{short:?}"));
    permit.depart();
    permit.attempt().settle(&Amounts::consumed(tokens, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_counts_whose_window_is_unchanged() {
    let mut force = Force::of("  - {name: a, per: tenant, tokens: 1000/day, requests: 60/min}");
    uses(&force, "t", 400).await;
    force.adopt("  - {name: a, per: tenant, tokens: 500/day, requests: 30/min}");
    assert_eq!(force.standing("t", Measure::Tokens).left(), 100, "another amount, the same count");
    assert_eq!(force.standing("t", Measure::Requests).used, 1);
    force.adopt("  - {name: a, per: tenant, tokens: 500/week, requests: 30/min}");
    assert_eq!(force.standing("t", Measure::Tokens).used, 0, "another window, another count");
    force.adopt("  - {name: a, per: model, tokens: 500/week}");
    assert!(force.all().is_empty(), "other subjects, other counts");
}

#[tokio::test(start_paused = true)]
async fn what_was_admitted_before_a_reload_is_settled_after_it() {
    let mut force = Force::of("  - {name: a, tokens: 1000/day, concurrent: 2}");
    let mut permit = force.limits.admit(&force.ask("t", request(100))).await.ok().unwrap();
    let attempt = permit.attempt();
    force.adopt("  - {name: a, tokens: 1000/week, concurrent: 1}");
    assert_eq!(force.standing("", Measure::Tokens).reserved, 100);
    assert!(force.limits.admit(&force.ask("t", request(1))).await.is_err(), "one is under way");
    attempt.settle(&Amounts::consumed(60, 0, 0));
    drop(permit);
    let standing = force.standing("", Measure::Tokens);
    assert_eq!((standing.used, standing.reserved), (60, 0));
    force.adopt("  - {name: b, tokens: 1000/week}");
    assert_eq!(force.reserved(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reset_forgets_one_tenant_and_nothing_that_is_under_way() {
    let force = Force::of("  - {name: a, per: [tenant, model], tokens: 1000/day}");
    uses(&force, "t", 400).await;
    uses(&force, "u", 300).await;
    let mut permit = force.limits.admit(&force.ask("t", request(100))).await.ok().unwrap();
    assert_eq!(force.limits.reset("a", Some("t")).await, Ok(Some(1)));
    assert_eq!(force.limits.reset("nothing", None).await, Ok(None));
    let standing = force.standing("t", Measure::Tokens);
    assert_eq!((standing.used, standing.reserved), (0, 100));
    assert_eq!(force.standing("u", Measure::Tokens).used, 300);
    permit.attempt().settle(&Amounts::consumed(100, 0, 0));
    assert_eq!(force.standing("t", Measure::Tokens).used, 100);
}

#[tokio::test(start_paused = true)]
async fn subjects_beyond_the_bound_share_one_count_and_lose_none() {
    let force = Force::of("  - {per: tenant, tokens: 100/day, max_subjects: 2}");
    uses(&force, "a", 10).await;
    uses(&force, "b", 10).await;
    uses(&force, "c", 60).await;
    assert!(force.limits.admit(&force.ask("d", request(60))).await.is_err(), "c and d are one");
    assert_eq!(force.standing("other", Measure::Tokens).used, 60);
    assert_eq!(force.all().len(), 3);
    // The next day, counts that say nothing any more make room.
    tokio::time::advance(Duration::from_secs(86_400)).await;
    uses(&force, "e", 1).await;
    assert_eq!(force.standing("e", Measure::Tokens).used, 1);
}

#[tokio::test(start_paused = true)]
async fn each_share_is_told_once_in_a_window() {
    let mut force =
        Force::of("  - {per: tenant, tokens: 100/day, alert: {at: [50%, 80%, 100%], forecast: false}}");
    let told = |force: &mut Force| {
        let alarms = std::iter::from_fn(|| force.alarms.try_recv().ok());
        alarms.map(|alarm| (alarm.cause, alarm.used)).collect::<Vec<_>>()
    };
    uses(&force, "t", 40).await;
    assert_eq!(told(&mut force), []);
    uses(&force, "t", 45).await;
    assert_eq!(told(&mut force), [(Cause::Share(80), 85)], "of two passed at once, the higher");
    uses(&force, "t", 5).await;
    assert_eq!(told(&mut force), []);
    assert!(force.limits.admit(&force.ask("t", request(20))).await.is_err());
    assert_eq!(told(&mut force), [(Cause::Share(100), 90)], "it has no room: it is exhausted");
    assert!(force.limits.admit(&force.ask("t", request(20))).await.is_err());
    assert_eq!(told(&mut force), []);
    tokio::time::advance(Duration::from_secs(86_400)).await;
    uses(&force, "t", 60).await;
    assert_eq!(told(&mut force), [(Cause::Share(50), 60)], "another day");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_will_not_last_is_told_ahead() {
    // It is noon: half of the day has gone.
    let mut force = Force::of("  - {per: tenant, tokens: 100/day, alert: {at: [100%]}}");
    uses(&force, "t", 40).await;
    assert!(force.alarms.try_recv().is_err(), "at this pace it is 80 by midnight");
    uses(&force, "t", 20).await;
    let alarm = force.alarms.try_recv().unwrap();
    // 60 in 12 hours: 100 in 20 hours.
    assert_eq!(alarm.cause, Cause::Forecast(alarm.window.start + 20 * 3600));
    uses(&force, "t", 20).await;
    assert!(force.alarms.try_recv().is_err(), "once");
    assert_eq!(force.standing("t", Measure::Tokens).exhausted, Some(alarm.window.start + 15 * 3600));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_has_cost_nothing_and_one_cut_off_all_it_held() {
    let force = Force::of("  - {tokens: 100/day, requests: 10/day}");
    drop(force.limits.admit(&force.ask("t", request(50))).await.ok().unwrap());
    assert_eq!(force.standing("", Measure::Requests).used, 0);
    let mut permit = force.limits.admit(&force.ask("t", request(50))).await.ok().unwrap();
    let attempt = permit.attempt();
    permit.depart();
    attempt.sent();
    drop((attempt, permit));
    let used = [Measure::Tokens, Measure::Requests].map(|measure| force.standing("", measure).used);
    assert_eq!((used, force.reserved()), ([50, 1], 0));
}
