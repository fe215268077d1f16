//! What a translated answer consumed is counted as its provider reported it, and a wait that its provider
//! named is told where the client looks for it.

use serde_json::{Value, json};

use super::{CHATS, CLAUDE, GEMINI, GENERATE, contents, message};
use crate::harness::{Fault, Pareto};

/// A provider whose prices are easy to tell apart.
const PRICED: &str = "
prices: {claude-sonnet-4-5: {input: 1, cached_input: 1, cache_write: 1, output: 0}}";

#[tokio::test]
async fn what_anthropic_keeps_for_an_hour_costs_what_it_costs() {
    let config = format!("{CLAUDE}{PRICED}");
    let cost = |answer: &crate::harness::Answer, name: &str| answer.header(name).parse::<f64>().unwrap();
    // The text is as long; an hour's million tokens cost 2 dollars, which only Anthropic's own words tell.
    let (plain, kept) = ("sim:words=5 sim:keep=0000000", "sim:words=5 sim:keep=1000000");
    let pareto = Pareto::start(&config).await;
    let base = cost(&pareto.chat(plain).await, "x-pareto-cost-usd");
    let answer = pareto.chat(kept).await;
    assert_eq!(answer.json()["usage"]["prompt_tokens_details"]["cache_write_tokens"], 1_000_000);
    assert!((cost(&answer, "x-pareto-cost-usd") - base - 2.0).abs() < 1e-9, "{}", answer.text());
    let pareto = Pareto::start(&config).await;
    pareto.chat(kept).stream().await;
    pareto.stored(1).await;
    let saved = cost(&pareto.chat(kept).await, "x-pareto-saved-usd");
    assert!((saved - base - 2.0).abs() < 1e-9, "{saved}");
    let responses = Pareto::start(&config.replace("[gpt-4o]", "[\"*\"]")).await;
    let asked = json!({"model": "gpt-5", "input": kept, "store": false});
    let answer = responses.ask("/v1/responses", asked).await;
    assert!((cost(&answer, "x-pareto-cost-usd") - base - 2.0).abs() < 1e-6, "{}", answer.text());
}

#[tokio::test]
async fn a_wait_that_only_geminis_body_names_is_told_in_a_header() {
    let pareto = Pareto::start(
        &GEMINI.replace("[gpt-4o]", "[\"*\"]").replace("dialect: gemini", "dialect: gemini, translate: true"),
    )
    .await;
    pareto.provider.always(Some(Fault::Status(429)));
    for answer in [pareto.chat("a").await, pareto.ask("/v1/messages", message("a")).await] {
        assert_eq!((answer.status, answer.header("retry-after")), (429, "1"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_client_of_geminis_finds_a_wait_where_gemini_says_it() {
    let wait = |answer: &Value| answer["error"]["details"][0]["retryDelay"].clone();
    let own = Pareto::start("providers: {gemini: {url: \"{origin}\", dialect: gemini}}").await;
    own.provider.always(Some(Fault::Status(429)));
    let answer = own.ask(GENERATE, contents("a")).await;
    assert_eq!((answer.status, wait(&answer.json())), (429, json!("1s")), "{}", answer.text());
    let openais = Pareto::start(CHATS).await;
    openais.provider.always(Some(Fault::RateLimited));
    let answer = openais.ask(GENERATE, contents("a")).await;
    assert_eq!((answer.status, wait(&answer.json())), (429, json!("1s")), "{}", answer.text());
    assert_eq!(answer.header("retry-after"), "1");
}
