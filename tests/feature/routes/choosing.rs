//! Which of several targets is asked first, and which are not blamed.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::Two;
use crate::harness::{Behaviour, Fault, Hold, Pareto, Provider, provider};

const BOTH: &str = "targets: [{provider: sim}, {provider: other}]";

async fn slow(first_byte: u64) -> Provider {
    let first_byte = Duration::from_millis(first_byte);
    Provider::start(Behaviour { first_byte, ..Behaviour::default() }).await.unwrap()
}

#[tokio::test]
async fn the_fastest_is_the_one_that_has_begun_soonest_lately() {
    let two = Two::before(slow(400).await, provider().await, &format!("{BOTH}, balance: fastest"), "");
    for text in 0..20 {
        two.pareto.chat(&text.to_string()).await;
    }
    let (sim, other) = two.asked();
    // Nothing was known of it once; what is slow is tried again when that has faded.
    assert!((1..=2).contains(&sim) && other >= 18, "{sim} {other}");
}

#[tokio::test]
async fn the_least_busy_has_the_fewest_calls_under_way_for_its_weight() {
    let two =
        Two::start("targets: [{provider: sim}, {provider: other, weight: 3}], balance: least_busy").await;
    two.pareto.provider.hold(Hold::BeforeHead);
    two.other.hold(Hold::BeforeHead);
    let mut held = Vec::new();
    for (number, expected) in [(0, 1), (1, 2)] {
        held.push(two.pareto.chat(&format!("held {number}")).spawn());
        two.other.received(expected).await;
    }
    // Two of three on one, none of one on the other: 3/3 against 1/1 goes by the order of the file.
    held.push(two.pareto.chat("third").spawn());
    two.pareto.provider.received(1).await;
    held.push(two.pareto.chat("fourth").spawn());
    two.other.received(3).await;
    two.pareto.provider.release();
    two.other.release();
    for answer in held {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    assert_eq!(two.asked(), (1, 3));
}

#[tokio::test]
async fn the_cheapest_is_asked_first_and_the_dearer_one_only_once_it_fails() {
    let two = Two::start(
        "targets: [{provider: sim, model: gpt-4o}, {provider: other, model: gpt-4.1-nano}], balance: cheapest",
    )
    .await;
    for text in ["a", "b", "c", "d"] {
        assert_eq!(two.pareto.chat(text).await.header("x-pareto-provider"), "other");
    }
    two.other.next(Fault::Status(503));
    assert_eq!(two.pareto.chat("e").await.header("x-pareto-provider"), "sim");
    assert_eq!(two.asked(), (1, 5));
}

/// The first target of the route at `/providers`: its breaker and recent failures.
async fn breaker(pareto: &Pareto) -> (String, Value) {
    let shown = pareto.admin(Method::GET, "/providers").await.json();
    let key = &shown["routes"][0]["targets"][0]["keys"][0];
    (key["breaker"].as_str().unwrap().to_owned(), key["recent_failures"].clone())
}

#[tokio::test]
async fn what_is_the_clients_fault_opens_no_breaker() {
    for fault in [Fault::Status(400), Fault::Status(422), Fault::ContextTooLong] {
        let two =
            Two::start("targets: [{provider: sim, takes: {context: 2000}}], fallbacks: [{provider: other, takes: {context: 1000}}]")
                .await;
        two.pareto.provider.always(Some(fault));
        for text in 0..12 {
            let answer = two.pareto.chat(&text.to_string()).await;
            assert!((400..423).contains(&answer.status), "{fault}: {}", answer.text());
        }
        assert_eq!(breaker(&two.pareto).await, ("closed".to_owned(), 0.into()), "{fault}");
        assert_eq!(two.asked(), (12, 0), "{fault}");
    }
}

#[tokio::test]
async fn a_breaker_stays_open_over_a_reload() {
    let route = "targets: [{provider: sim}], fallbacks: [{provider: other}]";
    let two = Two::start(route).await;
    two.pareto.provider.always(Some(Fault::Status(500)));
    for text in 0..5 {
        two.pareto.chat(&text.to_string()).await;
    }
    assert_eq!(breaker(&two.pareto).await.0, "open");
    two.pareto.write(&two.file(&format!("{route}, retries: {{attempts: 2}}"), ""));
    assert_eq!(two.pareto.admin(Method::POST, "/reload").await.status, 200);
    assert_eq!(breaker(&two.pareto).await.0, "open");
    two.pareto.chat("after").await;
    assert_eq!(two.asked(), (5, 6));
}

#[tokio::test]
async fn what_does_not_fit_goes_to_a_larger_window_or_nowhere() {
    let origin = |provider: &Provider| provider.origin();
    for dialect in ["openai", "anthropic", "gemini"] {
        for (window, asked) in [(2_000_000, 1), (1000, 0)] {
            let (sim, other, bigger) = (provider().await, provider().await, provider().await);
            let url = if dialect == "openai" { sim.url() } else { origin(&sim) };
            let file = format!(
                "providers: {{sim: {{url: \"{url}\", dialect: {dialect}, keys: [k]}}, other: {{url: \"{}\", keys: [k]}}, bigger: {{url: \"{}\", keys: [k]}}}}\n\
                 routes: [{{models: [\"*\"], targets: [{{provider: sim, takes: {{context: 200000}}}}], fallbacks: [{{provider: other, takes: {{context: 200000}}}}, \
                 {{provider: bigger, takes: {{context: {window}}}}}]}}]\n",
                other.url(),
                bigger.url()
            );
            let pareto = Pareto::before(sim, &file);
            pareto.provider.always(Some(Fault::ContextTooLong));
            for (number, stream) in [false, true].into_iter().enumerate() {
                let answer = pareto.chat("a").set("model", "some").set("stream", stream).await;
                if asked == 1 {
                    assert_eq!(
                        (answer.status, answer.header("x-pareto-provider")),
                        (200, "bigger"),
                        "{dialect}"
                    );
                    assert_eq!(answer.header("x-pareto-attempts"), if number == 0 { "2" } else { "" });
                } else {
                    assert_eq!(answer.status, 400, "{dialect}");
                    let said = answer.text();
                    assert!(
                        said.contains("maximum") || said.contains("exceeds"),
                        "the provider's own: {said}"
                    );
                }
            }
            assert_eq!((other.total(), bigger.total()), (0, asked), "{dialect}");
        }
    }
}
