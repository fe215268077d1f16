//! What was stopped before its end is never stored, whoever stopped it and in whose words it is told.

use serde_json::json;

use super::{CHATS, CLAUDE, GEMINI, GENERATE, STREAM, contents, message};
use crate::harness::{Answer, Ask, Pareto};

/// Gemini and Anthropic for their own clients.
const OWN: &str = "
providers:
  gemini: {url: \"{origin}\", dialect: gemini}
  claude: {url: \"{origin}\", dialect: anthropic}";

async fn never_stored(pareto: &Pareto, ask: impl Fn() -> Ask, stopped: &str) {
    let first: Answer = ask().await;
    assert!(first.status == 200 && first.text().contains(stopped), "{}", first.text());
    let before = pareto.provider.total();
    let again = ask().await;
    assert!(!again.is_hit(), "{}", again.text());
    assert_eq!(pareto.provider.total(), before + 1, "{stopped}");
    assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0);
}

#[tokio::test]
async fn an_answer_that_geminis_filter_stopped() {
    let pareto = Pareto::start(OWN).await;
    for path in [GENERATE, STREAM] {
        never_stored(&pareto, || pareto.ask(path, contents("sim:refuse")), "PROHIBITED_CONTENT").await;
    }
    let pareto = Pareto::start(GEMINI).await;
    never_stored(&pareto, || pareto.chat("sim:refuse"), "content_filter").await;
    never_stored(&pareto, || pareto.chat("sim:refuse").stream(), "content_filter").await;
    let pareto = Pareto::start(&GEMINI.replace("[gpt-4o]", "[\"*\"]")).await;
    let asked = json!({"model": "gpt-5", "input": "sim:refuse", "store": false});
    never_stored(&pareto, || pareto.ask("/v1/responses", asked.clone()), "content_filter").await;
    never_stored(&pareto, || pareto.ask("/v1/responses", asked.clone()).stream(), "content_filter").await;
}

#[tokio::test]
async fn an_answer_that_anthropic_refused() {
    let pareto = Pareto::start(OWN).await;
    never_stored(&pareto, || pareto.ask("/v1/messages", message("sim:refuse")), "\"refusal\"").await;
    never_stored(&pareto, || pareto.ask("/v1/messages", message("sim:refuse")).stream(), "\"refusal\"").await;
    let pareto = Pareto::start(CLAUDE).await;
    never_stored(&pareto, || pareto.chat("sim:refuse"), "content_filter").await;
    never_stored(&pareto, || pareto.chat("sim:refuse").stream(), "content_filter").await;
}

#[tokio::test]
async fn an_answer_that_its_provider_paused() {
    let own = Pareto::start(OWN).await;
    never_stored(&own, || own.ask(GENERATE, contents("sim:pause")), "CONTINUATION").await;
    never_stored(&own, || own.ask("/v1/messages", message("sim:pause")).stream(), "pause_turn").await;
    for config in [GEMINI, CLAUDE] {
        let pareto = Pareto::start(config).await;
        // OpenAI has no word for it.
        never_stored(&pareto, || pareto.chat("sim:pause"), "\"length\"").await;
        never_stored(&pareto, || pareto.chat("sim:pause").stream(), "\"length\"").await;
    }
}

#[tokio::test]
async fn an_answer_at_its_own_end_or_at_the_clients_limit_is() {
    let pareto = Pareto::start(GEMINI).await;
    for limit in [3, 500] {
        let ask = || pareto.chat("sim:words=50").set("max_completion_tokens", limit);
        assert_eq!(ask().await.status, 200);
        assert!(ask().await.is_hit(), "{limit}");
    }
    let pareto = Pareto::start(CHATS).await;
    let ask = || pareto.ask(GENERATE, contents("sim:words=50"));
    assert_eq!(ask().await.status, 200);
    assert!(ask().await.is_hit());
}
