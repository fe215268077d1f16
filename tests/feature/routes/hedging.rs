//! A second call beside a slow one: when it goes, what becomes of the slower, and what both cost.

use super::Two;
use crate::harness::Hold;

const LIMITS: &str = "limits: [{per: tenant, usd: 100/day}]\n";

fn route(after: &str) -> String {
    format!("targets: [{{provider: sim}}], fallbacks: [{{provider: other}}], hedge: {{after: {after}}}")
}

#[tokio::test]
async fn the_loser_is_hung_up_on_and_both_are_settled() {
    for stream in [false, true] {
        let two = Two::with(&route("50ms"), LIMITS).await;
        two.pareto.provider.hold(Hold::BeforeHead);
        let answer = two.pareto.chat("a").set("stream", stream).await;
        assert_eq!((answer.status, answer.header("x-pareto-provider")), (200, "other"), "{}", answer.text());
        assert_eq!(answer.header("x-pareto-attempts"), "2");
        two.pareto.provider.left(1).await;
        assert_eq!(two.asked(), (1, 1));
        two.pareto.counts("attempts_total", &[("provider", "sim"), ("result", "outrun")], 1.0).await;
        two.pareto.counts("attempts_total", &[("provider", "other"), ("result", "ok")], 1.0).await;
        // What the loser had read may be charged for, and nobody says how much that is.
        two.pareto.counts("limit_settlements_total", &[("basis", "estimated")], 1.0).await;
        two.pareto.counts("limit_settlements_total", &[("basis", "measured")], 1.0).await;
        assert!(two.pareto.metric("cost_usd_total", &[("provider", "sim")]).await > 0.0);
        assert!(two.pareto.metric("cost_usd_total", &[("provider", "other")]).await > 0.0);
    }
}

#[tokio::test]
async fn what_is_slower_than_95_of_100_gets_a_second_call_once_enough_is_known() {
    let two = Two::start(&route("p95")).await;
    for text in 0..5 {
        two.pareto.chat(&text.to_string()).await;
    }
    two.pareto.provider.hold(Hold::BeforeHead);
    let asked = two.pareto.chat("too little is known").spawn();
    two.pareto.provider.received(6).await;
    two.pareto.provider.release();
    assert_eq!(asked.await.unwrap().header("x-pareto-provider"), "sim");
    assert_eq!(two.asked(), (6, 0));
    for text in 5..40 {
        two.pareto.chat(&text.to_string()).await;
    }
    two.pareto.provider.hold(Hold::BeforeHead);
    let answer = two.pareto.chat("now it is slow").await;
    assert_eq!((answer.header("x-pareto-provider"), answer.header("x-pareto-attempts")), ("other", "2"));
}

#[tokio::test]
async fn observing_it_counts_the_second_call_and_sends_none() {
    let two = Two::with(&route("20ms"), "features: {hedge: observe}\n").await;
    two.pareto.provider.hold(Hold::BeforeHead);
    let asked = two.pareto.chat("a").spawn();
    two.pareto.counts("observed_calls_total", &[("by", "hedge")], 1.0).await;
    two.pareto.provider.release();
    let answer = asked.await.unwrap();
    assert_eq!((answer.header("x-pareto-provider"), answer.header("x-pareto-attempts")), ("sim", "1"));
    assert_eq!(two.asked(), (1, 0));
}
