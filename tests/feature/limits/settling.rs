//! What was reserved is settled at the truth, once, whatever became of the call.

use futures_util::future::join_all;

use super::{ask, settled};
use crate::harness::{Fault, Hold, Pareto, within};

#[tokio::test]
async fn what_an_answer_consumed_is_counted_and_the_rest_returned() {
    let pareto = Pareto::start("limits: [{per: tenant, tokens: 100k/day, usd: 5/day}]").await;
    let answer = ask(&pareto, "acme", "hello").set("max_tokens", 5000).await;
    let tokens = answer.json()["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(settled(&pareto, "acme", "tokens").await["used"], tokens);
    let spent = settled(&pareto, "acme", "usd").await;
    assert_eq!(spent["used"].as_str().unwrap(), answer.header("x-pareto-cost-usd"));
    let stream = ask(&pareto, "acme", "hello again").set("max_tokens", 5000).stream_with_usage().await;
    let events = stream.events();
    let streamed = events[events.len() - 2]["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(settled(&pareto, "acme", "tokens").await["used"], tokens + streamed);
    pareto.counts("limit_settlements_total", &[("basis", "measured")], 2.0).await;
    pareto.counts("token_estimate_ratio_count", &[("tokenizer", "o200k")], 2.0).await;
}

#[tokio::test]
async fn five_hundred_at_once_on_a_budget_for_a_hundred() {
    let pareto = Pareto::start("limits: [{name: hundred, requests: 100/day}]").await;
    pareto.provider.hold(Hold::BeforeHead);
    let asked: Vec<_> =
        (0..500).map(|n| ask(&pareto, &format!("t{}", n % 7), &format!("{n}")).spawn()).collect();
    within("a hundred calls", pareto.provider.received(100)).await;
    pareto.counts("limit_rejections_total", &[("limit", "hundred")], 400.0).await;
    pareto.provider.release();
    let answers = join_all(asked).await;
    let passed = answers.iter().filter(|answer| answer.as_ref().unwrap().status == 200).count();
    assert_eq!((passed, pareto.provider.total()), (100, 100));
    assert_eq!(settled(&pareto, "", "requests").await["used"], 100);
}

#[tokio::test]
async fn where_the_worst_case_forbids_it_fewer_pass_and_none_is_over() {
    // Each may take 100 output tokens and about 10 of input: of 1,000 nine fit at once.
    let pareto = Pareto::start("limits: [{tokens: 1000/day}]").await;
    pareto.provider.hold(Hold::BeforeHead);
    let asked: Vec<_> =
        (0..50).map(|n| ask(&pareto, "t", &format!("n{n}")).set("max_tokens", 100).spawn()).collect();
    pareto.counts("limit_rejections_total", &[], 41.0).await;
    pareto.provider.release();
    let answers = join_all(asked).await;
    let passed = answers.iter().filter(|answer| answer.as_ref().unwrap().status == 200).count();
    assert_eq!((passed, pareto.provider.total()), (9, 9));
    assert!(settled(&pareto, "", "tokens").await["used"].as_u64().unwrap() <= 1000);
}

#[tokio::test]
async fn a_stream_cut_half_way_counts_what_was_streamed_and_says_that_it_is_an_estimate() {
    let pareto = Pareto::start("limits: [{per: tenant, tokens: 1M/day, output_tokens: 1M/day}]").await;
    pareto.provider.hold(Hold::AfterEvents(8));
    let mut streams = Vec::new();
    for number in 0..500 {
        let text = format!("sim:words=60 number {number}");
        streams.push(ask(&pareto, "acme", &text).set("max_tokens", 1000).stream().open().await);
    }
    let mut said = Vec::new();
    for stream in &mut streams {
        let events = stream.events(8).await;
        let text = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
        said.push(text.collect::<String>());
    }
    drop(streams);
    within("the calls to be cut", pareto.provider.left(500)).await;
    let used = settled(&pareto, "acme", "output_tokens").await["used"].as_u64().unwrap();
    let streamed: u64 =
        said.iter().map(|text| pareto::limits::tokens::Tokenizer::of("gpt-4o").count(text)).sum();
    assert!(streamed > 500);
    assert_eq!(used, streamed);
    pareto.counts("limit_settlements_total", &[("basis", "estimated")], 500.0).await;
    assert_eq!(settled(&pareto, "acme", "tokens").await["reserved"], 0);
}

#[tokio::test]
async fn a_call_that_was_refused_or_never_made_costs_nothing() {
    let pareto = Pareto::start("limits: [{per: tenant, tokens: 100k/day, concurrent: 1}]").await;
    for fault in [Fault::Status(500), Fault::RateLimited] {
        pareto.provider.next(fault);
        let answer = ask(&pareto, "acme", "a").set("max_tokens", 1000).await;
        assert!(answer.status >= 429, "{fault:?} {}", answer.status);
        let tokens = settled(&pareto, "acme", "tokens").await;
        assert_eq!(tokens["used"], 0, "{fault:?}");
    }
    pareto.provider.stop().await;
    assert_eq!(ask(&pareto, "acme", "a").set("max_tokens", 1000).await.status, 502);
    assert_eq!(settled(&pareto, "acme", "tokens").await["used"], 0);
    pareto.provider.restart().await.unwrap();
    assert_eq!(ask(&pareto, "acme", "a").set("max_tokens", 1000).await.status, 200, "no permit is lost");
}

#[tokio::test]
async fn a_call_that_broke_after_it_was_sent_may_be_billed_and_counts_its_input() {
    let pareto =
        Pareto::start("limits: [{per: tenant, input_tokens: 100k/day, output_tokens: 100k/day}]").await;
    pareto.provider.next(Fault::ResetBeforeHead);
    let answer = ask(&pareto, "acme", "hello").set("max_tokens", 1000).await;
    assert_eq!(answer.status, 502);
    assert!(settled(&pareto, "acme", "input_tokens").await["used"].as_u64().unwrap() > 0);
    assert_eq!(settled(&pareto, "acme", "output_tokens").await["used"], 0);
}

#[tokio::test]
async fn a_success_that_nobody_can_read_is_billed_all_the_same_and_counts_as_an_estimate() {
    let pareto =
        Pareto::start("limits: [{per: tenant, input_tokens: 100k/day, output_tokens: 100k/day, usd: 5/day}]")
            .await;
    let mut counted = [0.0; 3];
    for (fault, wrote) in [(Fault::Malformed, true), (Fault::Empty, false)] {
        pareto.provider.next(fault);
        let answer = ask(&pareto, "acme", "sim:words=60 hello").set("max_tokens", 1000).await;
        assert_eq!(answer.status, 200, "{fault:?}");
        for (counted, (measure, grows)) in
            counted.iter_mut().zip([("input_tokens", true), ("output_tokens", wrote), ("usd", true)])
        {
            let used = settled(&pareto, "acme", measure).await["used"].to_string();
            let used = used.trim_matches('"').parse().unwrap();
            assert_eq!(used > *counted, grows, "{fault:?} {measure}: {used} after {counted}");
            *counted = used;
        }
    }
    pareto.counts("limit_settlements_total", &[("basis", "estimated")], 2.0).await;
}

#[tokio::test]
async fn a_server_that_never_says_what_it_consumed_counts_by_the_estimate() {
    let pareto =
        Pareto::start("limits: [{per: tenant, input_tokens: 100k/day, output_tokens: 100k/day}]").await;
    let said = "one two three four five six";
    let tokens = pareto::limits::tokens::Tokenizer::of("gpt-4o").count(said);
    for (calls, stream) in [(1, false), (2, true)] {
        pareto.provider.next(Fault::NoUsage);
        let ask = ask(&pareto, "acme", &format!("sim:say={said}")).set("max_tokens", 1000);
        assert_eq!(if stream { ask.stream().await } else { ask.await }.status, 200);
        assert_eq!(settled(&pareto, "acme", "output_tokens").await["used"], calls * tokens, "{stream}");
        assert!(settled(&pareto, "acme", "input_tokens").await["used"].as_u64().unwrap() > 0);
        pareto.counts("limit_settlements_total", &[("basis", "estimated")], calls as f64).await;
    }
}

#[tokio::test]
async fn what_is_not_charged_by_tokens_counts_none() {
    let pareto = Pareto::start("limits: [{per: tenant, tokens: 100k/day}]").await;
    let ask = pareto.ask("/v1/moderations", serde_json::json!({"input": "hello"}));
    assert_eq!(ask.with("x-tenant-id", "acme").await.status, 200);
    assert_eq!(settled(&pareto, "acme", "tokens").await["used"], 0);
    pareto.counts("limit_settlements_total", &[("basis", "unbilled")], 1.0).await;
}

#[tokio::test]
async fn hits_cost_nothing_unless_they_count() {
    let pareto = Pareto::start("limits: [{per: tenant, requests: 1/day}]").await;
    let same = |pareto: &Pareto| pareto.chat("same").with("x-tenant-id", "acme");
    assert_eq!(same(&pareto).await.status, 200);
    for _ in 0..3 {
        assert!(same(&pareto).await.is_hit());
    }
    assert_eq!(settled(&pareto, "acme", "requests").await["used"], 1);

    let counting =
        Pareto::start("limits: [{per: tenant, requests: 2/day, tokens: 1M/day, hits: count}]").await;
    let first = same(&counting).await;
    let hit = same(&counting).await;
    assert!(hit.is_hit() && hit.header("ratelimit").contains("r=0"), "{}", hit.header("ratelimit"));
    assert_eq!(same(&counting).await.status, 429);
    let tokens = first.json()["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(settled(&counting, "acme", "tokens").await["used"], 2 * tokens);
}

#[tokio::test]
async fn of_those_that_share_a_call_the_leader_pays() {
    let pareto =
        Pareto::start("cache: {share: everyone}\nlimits: [{per: tenant, requests: 1/day, tokens: 100k/day}]")
            .await;
    pareto.provider.hold(Hold::BeforeHead);
    let by = |tenant: &str| pareto.chat("same").with("x-tenant-id", tenant).set("max_tokens", 500);
    let leader = by("leader").spawn();
    within("the leader's call", pareto.provider.received(1)).await;
    let followers: Vec<_> = (0..30).map(|_| by("follower").spawn()).collect();
    pareto.waiting(30).await;
    pareto.provider.release();
    let answer = leader.await.unwrap();
    for follower in join_all(followers).await {
        assert_eq!(follower.unwrap().status, 200);
    }
    let tokens = answer.json()["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(settled(&pareto, "leader", "tokens").await["used"], tokens);
    assert!(super::count(&pareto, "follower", "tokens").await.is_null(), "followers were asked for nothing");
}
