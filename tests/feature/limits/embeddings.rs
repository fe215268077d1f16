//! Limits count the inputs that are sent, each with who sent it.

use pareto::limits::estimate::Estimate;
use serde_json::json;

use super::{count, settled};
use crate::feature::embeddings::{embed, texts};
use crate::feature::routes::Two;
use crate::harness::{Ask, Fault, Hold, Pareto, within};

const COUNTED: &str = "limits: [{per: tenant, input_tokens: 1000/day, requests: 100/day}]";

fn by(pareto: &Pareto, tenant: &str, inputs: impl Into<serde_json::Value>) -> Ask {
    embed(pareto, inputs).with("x-tenant-id", tenant)
}

#[tokio::test]
async fn only_what_is_sent_is_counted() {
    let pareto = Pareto::start(COUNTED).await;
    // Two tokens each.
    let all = texts(0..4);
    by(&pareto, "acme", all[..3].to_vec()).await;
    assert_eq!(settled(&pareto, "acme", "input_tokens").await["used"], 6);
    let partial = by(&pareto, "acme", all.clone()).await;
    assert!(partial.cache().starts_with("fwd=partial") && partial.header("ratelimit").contains("requests"));
    assert_eq!(settled(&pareto, "acme", "input_tokens").await["used"], 8);
    by(&pareto, "acme", all).await;
    assert_eq!(settled(&pareto, "acme", "input_tokens").await["used"], 8);
    assert_eq!(count(&pareto, "acme", "requests").await["used"], 2);
}

#[tokio::test]
async fn each_part_of_a_merged_call_and_all_calls_of_a_large_request_are_counted_once() {
    let gather = "batch: {embeddings: {parallel: 1, window: 1h, max_inputs: 16}}";
    let pareto = Pareto::start(&format!("{COUNTED}\n{gather}")).await;
    pareto.provider.hold(Hold::BeforeHead);
    let first = by(&pareto, "acme", "the first").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let merged: Vec<_> = texts(0..3).into_iter().map(|text| by(&pareto, "acme", text).spawn()).collect();
    pareto.becomes("batch_waiting", &[], 3.0).await;
    pareto.provider.release();
    for answer in merged.into_iter().chain([first]) {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    // "the first" has three.
    assert_eq!(settled(&pareto, "acme", "input_tokens").await["used"], 3 + 3 * 2);
    assert_eq!(by(&pareto, "other", texts(0..40)).await.status, 200);
    assert_eq!(pareto.provider.total(), 2 + 3);
    assert_eq!(settled(&pareto, "other", "requests").await["used"], 1);
    // Three of the forty were known by the same credential; each of the others has two.
    assert_eq!(settled(&pareto, "other", "input_tokens").await["used"], 37 * 2);
}

#[tokio::test]
async fn over_a_limit_nothing_is_sent_and_nothing_stays_reserved() {
    let pareto = Pareto::start("limits: [{per: tenant, requests: 1/day}]").await;
    by(&pareto, "acme", "a").await;
    let refused = by(&pareto, "acme", vec![json!("a"), json!("b")]).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
    assert!(by(&pareto, "acme", "a").await.is_hit(), "what is known needs no room");
    assert_eq!(pareto.provider.total(), 1);
    assert_eq!(by(&pareto, "other", "b").await.status, 200, "nobody waits for an input that was not sent");
}

#[tokio::test]
async fn vectors_that_cannot_be_read_cost_what_the_provider_says_or_else_an_estimate() {
    let pareto = Pareto::start(COUNTED).await;
    let faults =
        [(Fault::VectorsMissing, "measured"), (Fault::Malformed, "estimated"), (Fault::Empty, "estimated")];
    for (at, (fault, basis)) in faults.into_iter().enumerate() {
        pareto.provider.next(fault);
        let tenant = format!("t{at}");
        by(&pareto, &tenant, texts([format!("a{at}"), format!("b{at}")])).await;
        let used = settled(&pareto, &tenant, "input_tokens").await["used"].as_u64().unwrap();
        assert!(used > 0, "{fault:?}");
        let settlements = faults[..=at].iter().filter(|(_, one)| *one == basis).count();
        pareto.counts("limit_settlements_total", &[("basis", basis)], settlements as f64).await;
    }
}

/// Two inputs on a route of two providers, of which the first fails so, with room for `beyond` tokens more
/// than one attempt may consume. The status, who was asked, what was used and what one attempt may consume.
async fn failing(fault: Fault, beyond: u64) -> (u16, (u64, u64), u64, u64) {
    let inputs = texts(["some input", "another one"]);
    let body = json!({"model": "text-embedding-3-small", "input": inputs}).to_string();
    let most = Estimate::of("text-embedding-3-small", body.as_bytes()).input;
    let route =
        "{models: [\"text-embedding-*\"], targets: [{provider: sim}], fallbacks: [{provider: other}]}";
    let sections =
        format!("routes: [{route}]\nlimits: [{{per: tenant, input_tokens: {}/day}}]\n", most + beyond);
    let two = Two::with("", &sections).await;
    two.pareto.provider.next(fault);
    let answer = by(&two.pareto, "acme", inputs).await;
    let used = settled(&two.pareto, "acme", "input_tokens").await["used"].as_u64().unwrap();
    (answer.status, two.asked(), used, most)
}

#[tokio::test]
async fn a_second_attempt_is_reserved_beside_what_the_first_may_have_cost() {
    let (status, asked, alone, most) = failing(Fault::Status(500), 0).await;
    assert_eq!((status, asked), (200, (1, 1)), "an attempt that cost nothing leaves its room to the next");
    assert!(alone > 0 && alone <= most);
    let (status, asked, used, most) = failing(Fault::ResetBeforeHead, most).await;
    assert_eq!((status, asked, used), (200, (1, 1), most + alone), "both are counted");
    let (status, asked, used, most) = failing(Fault::ResetBeforeHead, most - 1).await;
    assert_eq!((status, asked, used), (502, (1, 0), most), "without room for both it is not made");
}
