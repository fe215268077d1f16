//! Small requests go in one call, large ones in several at the same time.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::embeddings::{embed, sent, texts, truth, vectors};
use crate::harness::{Ask, Fault, Hold, Pareto, provider, within};

/// Gathers while one call is under way, and for longer than any test takes.
const GATHER: &str = "batch: {embeddings: {parallel: 1, window: 1h}}";

/// A first call is held; `asks` gather behind it, and are answered together once it is released.
async fn gathered(pareto: &Pareto, asks: Vec<Ask>) -> Vec<crate::harness::Answer> {
    pareto.provider.hold(Hold::BeforeHead);
    let first = embed(pareto, "the first").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let count = asks.len();
    let asks: Vec<_> = asks.into_iter().map(Ask::spawn).collect();
    pareto.becomes("active_requests", &[], (count + 1) as f64).await;
    pareto.becomes("batch_waiting", &[], count as f64).await;
    pareto.provider.release();
    assert_eq!(first.await.unwrap().status, 200);
    join_all(asks).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn requests_that_come_together_are_one_call() {
    let (pareto, direct) = (Pareto::start(GATHER).await, provider().await);
    let inputs = texts(0..20);
    let answers = gathered(&pareto, inputs.iter().map(|text| embed(&pareto, text.clone())).collect()).await;
    let mut tokens = 0;
    for (answer, text) in answers.iter().zip(&inputs) {
        assert_eq!(vectors(answer), truth(&direct, std::slice::from_ref(text)).await);
        assert_eq!(answer.cache(), "fwd=miss; stored");
        tokens += answer.json()["usage"]["prompt_tokens"].as_u64().unwrap();
    }
    let calls = sent(&pareto);
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [1, 20]);
    // Each of these texts has two tokens ("text 0" is 6 bytes), and the parts add up to the whole.
    assert_eq!(tokens, 40);
    let headed =
        answers.iter().filter(|answer| answer.headers.contains_key("x-ratelimit-remaining-requests"));
    assert_eq!(headed.count(), 1, "what belongs to the call is for the one who made it");
    pareto.counts("saved_calls_total", &[("by", "batch")], 19.0).await;
    pareto.counts("batch_inputs_sum", &[], 21.0).await;
}

#[tokio::test]
async fn one_bad_input_fails_only_its_owner() {
    let (pareto, direct) = (Pareto::start(GATHER).await, provider().await);
    let inputs: Vec<Value> = texts(0..5).into_iter().chain([json!("")]).collect();
    let answers = gathered(&pareto, inputs.iter().map(|text| embed(&pareto, text.clone())).collect()).await;
    for (answer, text) in answers.iter().zip(&inputs) {
        if *text == json!("") {
            assert_eq!((answer.status, &*answer.json()["error"]["param"].to_string()), (400, "\"input\""));
        } else {
            assert_eq!(vectors(answer), truth(&direct, std::slice::from_ref(text)).await);
        }
    }
    assert_eq!(sent(&pareto).len(), 1 + 1 + 6, "the first, all together, and each alone");
}

#[tokio::test]
async fn a_merged_answer_that_leaves_doubt_is_an_error_for_all() {
    for fault in [Fault::VectorsSwapped, Fault::VectorsMissing, Fault::VectorsTwice] {
        let pareto = Pareto::start(GATHER).await;
        pareto.provider.hold(Hold::BeforeHead);
        let first = embed(&pareto, "the first").spawn();
        within("the first call", pareto.provider.received(1)).await;
        pareto.provider.next(fault);
        let both = [embed(&pareto, "a").spawn(), embed(&pareto, "b").spawn()];
        pareto.becomes("batch_waiting", &[], 2.0).await;
        pareto.provider.release();
        first.await.unwrap();
        for answer in both {
            answer.await.unwrap().assert_refused(502, "pareto_upstream_failed");
        }
        assert_eq!(pareto.provider.total(), 2);
    }
}

#[tokio::test]
async fn who_leaves_a_batch_takes_only_its_own_input() {
    let pareto = Pareto::start(GATHER).await;
    pareto.provider.hold(Hold::BeforeHead);
    let first = embed(&pareto, "the first").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let leaver = embed(&pareto, "a").spawn();
    pareto.becomes("batch_waiting", &[], 1.0).await;
    let stays = embed(&pareto, "b").spawn();
    pareto.becomes("batch_waiting", &[], 2.0).await;
    leaver.abort();
    pareto.becomes("active_requests", &[], 2.0).await;
    pareto.provider.release();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(stays.await.unwrap().status, 200);
    assert_eq!(sent(&pareto)[1], [json!("b")], "what nobody waits for is not sent");
}

#[tokio::test]
async fn who_may_not_share_a_call_has_one_of_its_own() {
    let pareto = Pareto::start(GATHER).await;
    let asks = vec![
        embed(&pareto, "a"),
        embed(&pareto, "b").by("sk-bob"),
        embed(&pareto, "c").set("dimensions", 256),
        embed(&pareto, "d").set("user", "u"),
        embed(&pareto, "e").with("x-tenant-id", "t"),
        embed(&pareto, "f").set("encoding_format", "base64"),
    ];
    pareto.provider.hold(Hold::BeforeHead);
    let asked: Vec<_> = asks.into_iter().map(Ask::spawn).collect();
    within("a call for each", pareto.provider.received(6)).await;
    pareto.provider.release();
    for answer in asked {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    let bob = pareto.provider.calls().into_iter().find(|call| call.json()["input"] == json!("b")).unwrap();
    assert_eq!(bob.header("authorization"), Some("Bearer sk-bob"));
}

#[tokio::test]
async fn a_full_call_waits_for_nothing() {
    let pareto = Pareto::start("batch: {embeddings: {parallel: 1, window: 1h, max_inputs: 4}}").await;
    pareto.provider.hold(Hold::BeforeHead);
    let first = embed(&pareto, "the first").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let four: Vec<_> = texts(0..4).into_iter().map(|text| embed(&pareto, text).spawn()).collect();
    within("a full call", pareto.provider.received(2)).await;
    pareto.provider.release();
    for answer in four.into_iter().chain([first]) {
        assert_eq!(answer.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn the_window_ends_a_wait_that_nothing_else_ends() {
    let pareto = Pareto::start("batch: {embeddings: {parallel: 1, window: 1ms}}").await;
    pareto.provider.hold(Hold::BeforeHead);
    let first = embed(&pareto, "the first").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let second = embed(&pareto, "the second").spawn();
    within("the second, although the first is not back", pareto.provider.received(2)).await;
    pareto.provider.release();
    assert_eq!((first.await.unwrap().status, second.await.unwrap().status), (200, 200));
}

#[tokio::test]
async fn alone_nobody_waits() {
    // With a window of an hour, a wait would show.
    let pareto = Pareto::start(GATHER).await;
    for text in texts(0..3) {
        assert_eq!(within("an answer", embed(&pareto, text).into_future()).await.status, 200);
    }
}

#[tokio::test]
async fn more_inputs_than_a_call_takes_go_in_several_at_a_time() {
    let (pareto, direct) = (Pareto::start("").await, provider().await);
    let inputs = texts(0..2049);
    let answer = embed(&pareto, inputs.clone()).set("encoding_format", "base64").await;
    let found = vectors(&answer);
    assert_eq!(found.len(), 2049);
    for at in [0, 409, 410, 1024, 2047, 2048] {
        assert_eq!(found[at], truth(&direct, &inputs[at..=at]).await[0], "{at}");
    }
    let mut sizes: Vec<_> = sent(&pareto).iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [409, 410, 410, 410, 410]);
    assert_eq!(answer.header("x-pareto-attempts"), "5");
    let tokens: u64 = inputs.iter().map(|text| (text.as_str().unwrap().len() as u64).div_ceil(4)).sum();
    assert_eq!(answer.json()["usage"]["prompt_tokens"], tokens);
}

#[tokio::test]
async fn the_calls_of_a_large_request_keep_to_their_bound() {
    let pareto = Pareto::start("batch: {embeddings: {parallel: 2, max_inputs: 1}}").await;
    pareto.provider.hold(Hold::BeforeHead);
    let large = embed(&pareto, texts(0..5)).spawn();
    within("two calls", pareto.provider.received(2)).await;
    assert_eq!(pareto.provider.total(), 2);
    pareto.provider.release();
    assert_eq!(vectors(&large.await.unwrap()).len(), 5);
    assert_eq!(pareto.provider.total(), 5);
}

#[tokio::test]
async fn long_inputs_are_cut_by_their_tokens_too() {
    let pareto = Pareto::start("").await;
    let long = "word ".repeat(6000);
    let inputs: Vec<_> = (0..40).map(|at| json!(format!("{at} {long}"))).collect();
    assert_eq!(vectors(&embed(&pareto, inputs).await).len(), 40);
    assert!(sent(&pareto).len() > 1, "300,000 tokens are more than a call takes");
}

#[tokio::test]
async fn gathering_that_is_off_or_observed_sends_everybody_at_once() {
    for (mode, observed) in [("off", 0.0), ("observe", 2.0)] {
        let config = format!("{GATHER}\nfeatures: {{batch: {mode}}}");
        let pareto = Pareto::start(&config).await;
        pareto.provider.hold(Hold::BeforeHead);
        let first = embed(&pareto, "the first").spawn();
        within("the first call", pareto.provider.received(1)).await;
        let others: Vec<_> = texts(0..3).into_iter().map(|text| embed(&pareto, text).spawn()).collect();
        within("a call for each", pareto.provider.received(4)).await;
        pareto.provider.release();
        for answer in others.into_iter().chain([first]) {
            assert_eq!(answer.await.unwrap().status, 200);
        }
        // The first of the three would have waited, and the other two joined it.
        pareto.counts("observed_calls_total", &[("by", "batch")], observed).await;
        assert_eq!(pareto.metric("saved_calls_total", &[("by", "batch")]).await, 0.0);
    }
}

#[tokio::test]
async fn who_leaves_a_call_under_way_takes_nothing_from_those_in_it() {
    let pareto = Pareto::start("batch: {embeddings: {parallel: 1, window: 1h, max_inputs: 2}}").await;
    let direct = provider().await;
    pareto.provider.hold(Hold::BeforeHead);
    let first = embed(&pareto, "the first").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let leaver = embed(&pareto, "a").spawn();
    pareto.becomes("batch_waiting", &[], 1.0).await;
    let stays = embed(&pareto, "b").spawn();
    within("the merged call", pareto.provider.received(2)).await;
    assert_eq!(sent(&pareto)[1].len(), 2);
    leaver.abort();
    pareto.becomes("active_requests", &[], 2.0).await;
    pareto.provider.release();
    assert_eq!(vectors(&stays.await.unwrap()), truth(&direct, &[json!("b")]).await);
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!((pareto.provider.total(), pareto.provider.hung_up()), (2, 0));
    assert!(embed(&pareto, "a").await.is_hit(), "what the one who left had asked was fetched all the same");
}

#[tokio::test]
async fn the_parts_of_a_merged_call_add_up_to_its_tokens_and_its_price() {
    let pareto = Pareto::start(&format!("{GATHER}\nprices: {{text-embedding-3-small: {{input: 1}}}}")).await;
    let known = embed(&pareto, "known from before").await.json()["usage"]["prompt_tokens"].as_u64().unwrap();
    // Lengths whose tokens by the provider's count and by the estimate are not in proportion.
    let inputs: Vec<Vec<Value>> = (1..12)
        .map(|at| {
            let own = json!("x".repeat(at * 7 % 23 + 1));
            if at % 3 == 0 { vec![json!("known from before"), own] } else { vec![own, json!([at, 2, 3])] }
        })
        .collect();
    let answers =
        gathered(&pareto, inputs.iter().map(|inputs| embed(&pareto, inputs.clone())).collect()).await;
    let call = pareto.provider.calls().pop().unwrap().json();
    let tokens = |input: &Value| match input {
        Value::String(text) => (text.len() as u64).div_ceil(4),
        tokens => tokens.as_array().unwrap().len() as u64,
    };
    let sent: u64 = call["input"].as_array().unwrap().iter().map(tokens).sum();
    // At a dollar for a million tokens, a token costs a million picodollars.
    let pico = |header: &str| (header.parse::<f64>().unwrap() * 1e12).round() as u64;
    let (mut usage, mut cost, mut spared) = (0, 0, 0);
    for (answer, inputs) in answers.iter().zip(&inputs) {
        let told = answer.json()["usage"]["prompt_tokens"].as_u64().unwrap();
        let paid = pico(answer.header("x-pareto-cost-usd"));
        let knew = if inputs[0] == json!("known from before") { known } else { 0 };
        // Each part is less than one from its exact share, of the tokens as of the price.
        assert!(paid.abs_diff((told - knew) * 1_000_000) < 2_000_000, "{told} tokens, {knew} known, {paid}");
        (usage, cost, spared) = (usage + told, cost + paid, spared + knew);
    }
    assert_eq!((usage, cost), (sent + spared, sent * 1_000_000));
    let first = 3;
    pareto.counts("cost_usd_total", &[], (sent + known + first) as f64 / 1e6).await;
}

#[tokio::test]
async fn gathering_for_half_of_the_tenants_acts_for_the_same_half_every_time() {
    let pareto = Pareto::start(&format!("{GATHER}\nfeatures: {{batch: 50%}}")).await;
    let mut halves = Vec::new();
    for round in ["a", "b"] {
        pareto.provider.hold(Hold::BeforeHead);
        let before = pareto.provider.total();
        let ask = |tenant: usize, text: String| {
            embed(&pareto, text).with("x-tenant-id", &format!("tenant-{tenant}")).spawn()
        };
        let first: Vec<_> = (0..40).map(|tenant| ask(tenant, format!("{round} {tenant} first"))).collect();
        within("a call for each", pareto.provider.received(before + 40)).await;
        let second: Vec<_> = (0..40).map(|tenant| ask(tenant, format!("{round} {tenant} second"))).collect();
        pareto.becomes("active_requests", &[], 80.0).await;
        let gathered = async {
            loop {
                let waiting = pareto.metric("batch_waiting", &[]).await as u64;
                if pareto.provider.total() - before + waiting == 80 {
                    return waiting;
                }
                tokio::task::yield_now().await;
            }
        };
        let waiting = within("everybody to be sent or to wait", gathered).await;
        assert!((8..=32).contains(&waiting), "{waiting} of 40");
        let texts: Vec<_> = pareto.provider.calls().iter().map(|call| call.json()["input"].clone()).collect();
        let waits = |tenant: &usize| !texts.contains(&json!(format!("{round} {tenant} second")));
        halves.push((0..40).filter(waits).collect::<Vec<_>>());
        pareto.provider.release();
        for answer in first.into_iter().chain(second) {
            assert_eq!(answer.await.unwrap().status, 200);
        }
    }
    assert_eq!(halves[0], halves[1]);
}
