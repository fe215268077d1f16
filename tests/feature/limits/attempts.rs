//! Several attempts for one request: each is reserved before it is made and settled once.

use pareto::limits::estimate::Estimate;
use pareto::limits::tokens::Tokenizer;

use super::{ask, settled};
use crate::feature::routes::Two;
use crate::harness::{Answer, Fault, Hold, within};

const IN_TURN: &str = "targets: [{provider: sim}], fallbacks: [{provider: other}]";

/// A limit of so many tokens beyond one request's worst case: 100 of output and those of its input.
async fn two(route: &str, beyond: u64) -> (Two, u64) {
    let input = Estimate::of("gpt-4o", crate::harness::chat("hello").to_string().as_bytes()).input;
    let tokens = input + 100 + beyond;
    let two = Two::with(route, &format!("limits: [{{per: tenant, tokens: {tokens}/day}}]")).await;
    (two, input)
}

async fn hello(two: &Two) -> Answer {
    ask(&two.pareto, "acme", "hello").set("max_tokens", 100).await
}

async fn used(two: &Two) -> u64 {
    settled(&two.pareto, "acme", "tokens").await["used"].as_u64().unwrap()
}

#[tokio::test]
async fn a_second_attempt_after_one_that_may_be_billed_counts_beside_it() {
    let (two, input) = two(IN_TURN, 50).await;
    two.pareto.provider.next(Fault::ResetBeforeHead);
    let answer = hello(&two).await;
    assert_eq!((answer.status, answer.header("x-pareto-attempts")), (200, "2"));
    let answered = answer.json()["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(used(&two).await, input + answered);
    two.pareto.counts("limit_settlements_total", &[("basis", "estimated")], 1.0).await;
    two.pareto.counts("limit_settlements_total", &[("basis", "measured")], 1.0).await;
}

#[tokio::test]
async fn without_room_for_both_the_second_attempt_is_not_made() {
    let (two, input) = two(IN_TURN, 1).await;
    two.pareto.provider.next(Fault::ResetBeforeHead);
    let answer = hello(&two).await;
    assert_eq!((answer.status, answer.code()), (502, "pareto_upstream_failed".into()));
    assert_eq!(two.asked(), (1, 0));
    assert_eq!(used(&two).await, input, "what the first may have cost");
}

#[tokio::test]
async fn an_attempt_that_cost_nothing_leaves_its_room_to_the_next() {
    for fault in [Fault::Status(500), Fault::RateLimited] {
        let (two, _) = two(IN_TURN, 0).await;
        two.pareto.provider.next(fault);
        let answer = hello(&two).await;
        assert_eq!((answer.status, two.asked()), (200, (1, 1)), "{fault}");
        assert_eq!(used(&two).await, answer.json()["usage"]["total_tokens"].as_u64().unwrap(), "{fault}");
    }
}

#[tokio::test]
async fn a_dearer_model_needs_more_of_a_budget() {
    // 100 tokens of output are 0.00006 USD by gpt-4o-mini and 0.001 USD by gpt-4o.
    for (budget, asked) in [("0.0005", (1, 0)), ("0.005", (1, 1))] {
        let route = "targets: [{provider: sim}], fallbacks: [{provider: other, model: gpt-4o}]";
        let two = Two::with(route, &format!("limits: [{{per: tenant, usd: {budget}/day}}]")).await;
        two.pareto.provider.next(Fault::Status(500));
        let answer = ask(&two.pareto, "acme", "a").set("model", "gpt-4o-mini").set("max_tokens", 100).await;
        assert_eq!((answer.status == 200, two.asked()), (asked.1 == 1, asked), "{budget}");
        let spent = settled(&two.pareto, "acme", "usd").await;
        let cost = if asked.1 == 1 { answer.header("x-pareto-cost-usd").to_owned() } else { "0".to_owned() };
        let usd = |text: &str| text.parse::<f64>().unwrap();
        assert!((usd(spent["used"].as_str().unwrap()) - usd(&cost)).abs() < 1e-12, "{spent}");
    }
}

#[tokio::test]
async fn an_attempt_beside_a_slow_one_is_reserved_and_both_are_settled() {
    let hedged = "targets: [{provider: sim}, {provider: other}], balance: weighted, hedge: {after: 1ms}";
    // Room for both at once, or not.
    for (beyond, asked) in [(200, 2), (50, 1)] {
        let (two, input) = two(hedged, beyond).await;
        two.pareto.provider.hold(Hold::BeforeHead);
        let slow = ask(&two.pareto, "acme", "hello").set("max_tokens", 100).spawn();
        within("the slow call", two.pareto.provider.received(1)).await;
        if asked == 2 {
            within("the call beside it", two.other.received(1)).await;
        } else {
            // It would have gone long ago.
            for _ in 0..3 {
                two.pareto.metric("active_requests", &[]).await;
            }
            two.pareto.provider.release();
        }
        let answer = slow.await.unwrap();
        assert_eq!((answer.status, two.asked()), (200, (1, asked - 1)));
        let answered = answer.json()["usage"]["total_tokens"].as_u64().unwrap();
        let outrun = if asked == 2 { input } else { 0 };
        assert_eq!(used(&two).await, answered + outrun);
    }
}

#[tokio::test]
async fn each_half_of_an_answer_counts_once_although_nobody_could_end_it() {
    let route = "targets: [{provider: sim}], resume: true, \
                 fallbacks: [{provider: other, takes: {prefill: true}}]";
    let two = Two::with(route, "limits: [{per: tenant, output_tokens: 1M/day}]").await;
    two.pareto.provider.always(Some(Fault::ResetMidStream));
    two.other.always(Some(Fault::ResetMidStream));
    let words: Vec<_> = (0..200).map(|n| format!("word{n}")).collect();
    let heard = ask(&two.pareto, "acme", &format!("sim:say={}", words.join(" "))).stream().await;
    heard.assert_broken_off();
    let (first, rest) = two.asked();
    assert!(first == 1 && rest > 0, "{first} {rest}");
    let calls = first + rest;
    two.pareto.counts("limit_settlements_total", &[("basis", "estimated")], calls as f64).await;
    let said = Tokenizer::of("gpt-4o").count(&heard.said());
    let used = settled(&two.pareto, "acme", "output_tokens").await["used"].as_u64().unwrap();
    // A word that is cut may have a token more.
    assert!(said > 100 && (said..=said + calls).contains(&used), "{used} for the {said} that were said");
}
