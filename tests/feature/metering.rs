//! What answers consume and cost, whoever asked for the figures.

use crate::harness::{Answer, Pareto};

/// USD for an answer of gpt-4o: 2.50 and 10.00 per million tokens of input and output.
fn list_price(answer: &Answer) -> f64 {
    let usage = &answer.json()["usage"];
    let tokens = |kind: &str| usage[kind].as_f64().unwrap();
    (tokens("prompt_tokens") * 2.5 + tokens("completion_tokens") * 10.0) / 1e6
}

fn usd(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no amount"))
}

#[tokio::test]
async fn the_usage_frame_is_asked_for_and_hidden_from_who_did_not() {
    let pareto = Pareto::start("").await;
    let live = pareto.chat("a").stream().await;
    let asked = pareto.provider.calls().remove(0).json();
    assert_eq!(asked["stream_options"]["include_usage"], true);
    pareto.stored(1).await;
    let replayed = pareto.chat("a").stream().await;
    for heard in [&live, &replayed] {
        assert!(heard.whole && heard.text().ends_with("data: [DONE]\n\n"));
        assert!(!heard.text().contains("\"usage\""), "{}", heard.text());
    }
    pareto.counts("requests_total", &[("outcome", "hit")], 1.0).await;
    assert!(pareto.metric("tokens_total", &[("kind", "output")]).await > 0.0);
}

#[tokio::test]
async fn the_usage_frame_is_shown_to_who_asked() {
    let pareto = Pareto::start("").await;
    let live = pareto.chat("a").stream_with_usage().await;
    let usage = |answer: &Answer| {
        let events = answer.events();
        events[events.len() - 2]["usage"].clone()
    };
    assert!(usage(&live)["total_tokens"].as_u64().unwrap() > 0);
    pareto.stored(1).await;
    assert_eq!(usage(&pareto.chat("a").stream_with_usage().await), usage(&live));
}

#[tokio::test]
async fn other_stream_options_are_left_as_they_are() {
    let pareto = Pareto::start("").await;
    let options = serde_json::json!({"include_obfuscation": false});
    pareto.chat("a").stream().set("stream_options", options).await;
    let asked = pareto.provider.calls().remove(0).json();
    assert_eq!(
        asked["stream_options"],
        serde_json::json!({"include_obfuscation": false, "include_usage": true})
    );
}

#[tokio::test]
async fn tokens_and_money_are_counted_once_where_spent_and_once_where_saved() {
    let pareto = Pareto::start("").await;
    let miss = pareto.chat("a").await;
    let hit = pareto.chat("a").await;
    let cost = list_price(&miss);
    assert!((usd(miss.header("x-pareto-cost-usd")) - cost).abs() < 1e-12);
    assert!((usd(hit.header("x-pareto-saved-usd")) - cost).abs() < 1e-12);
    pareto.counts("requests_total", &[("outcome", "hit")], 1.0).await;
    pareto.counts("cost_usd_total", &[("provider", "sim"), ("model", "gpt-4o")], cost).await;
    pareto.counts("saved_usd_total", &[("by", "cache")], cost).await;
    let usage = &miss.json()["usage"];
    for (kind, member) in [("input", "prompt_tokens"), ("output", "completion_tokens")] {
        let labels = [("model", "gpt-4o"), ("kind", kind)];
        pareto.counts("tokens_total", &labels, usage[member].as_f64().unwrap()).await;
    }
    pareto.counts("saved_tokens_total", &[("by", "cache")], usage["total_tokens"].as_f64().unwrap()).await;
}

#[tokio::test]
async fn a_stream_costs_what_its_body_costs() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").stream().await;
    pareto.stored(1).await;
    let cost = list_price(&pareto.chat("a").await);
    pareto.counts("cost_usd_total", &[], cost).await;
}

#[tokio::test]
async fn a_price_in_the_file_counts_before_the_list_price() {
    let pareto = Pareto::start("prices: {gpt-4o: {input: 1.00, output: 2.00}}").await;
    let answer = pareto.chat("a").await;
    let usage = &answer.json()["usage"];
    let cost =
        (usage["prompt_tokens"].as_f64().unwrap() + 2.0 * usage["completion_tokens"].as_f64().unwrap()) / 1e6;
    assert!((usd(answer.header("x-pareto-cost-usd")) - cost).abs() < 1e-12);
}

#[tokio::test]
async fn a_model_without_a_price_has_no_cost() {
    let pareto = Pareto::start("").await;
    let answer = pareto.chat("a").set("model", "made-up").await;
    assert_eq!((answer.status, answer.header("x-pareto-cost-usd")), (200, ""));
    pareto.counts("attempts_total", &[("result", "ok")], 1.0).await;
    assert_eq!(pareto.metric("cost_usd_total", &[]).await, 0.0);
}

#[tokio::test]
async fn tenants_and_models_beyond_their_bound_are_counted_together() {
    let pareto = Pareto::start("metrics: {max_tenants: 2, max_models: 1}").await;
    for tenant in ["t1", "t2", "t3", "t4"] {
        pareto.chat("a").with("x-tenant-id", tenant).set("model", format!("gpt-4o{}", &tenant[1..])).await;
        pareto.chat("a").with("x-tenant-id", tenant).set("model", format!("gpt-4o{}", &tenant[1..])).await;
    }
    pareto.counts("saved_calls_total", &[("by", "cache"), ("tenant", "other")], 2.0).await;
    pareto.counts("saved_calls_total", &[("by", "cache"), ("tenant", "t1")], 1.0).await;
    assert!(pareto.metric("tokens_total", &[("model", "other")]).await > 0.0);
    assert_eq!(pareto.metric("tokens_total", &[("model", "gpt-4o2")]).await, 0.0);
}
