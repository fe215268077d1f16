//! Streams that break off and go on elsewhere, as the SDKs of each API parse them.

use pareto::demo::provider::{Behaviour, Fault, Provider};

use crate::library::Library;
use crate::sidecar;

/// Each API's own provider breaks off in the middle; a server of one's own goes on, for `o4-*` and Gemini's
/// clients Anthropic.
fn file(breaking: &Provider, rest: &Provider) -> String {
    let route = |models: &str, first: &str, second: &str| {
        format!(
            "  - {{models: [\"{models}\"], targets: [{{provider: {first}}}], fallbacks: [{{{second}}}], resume: true}}\n"
        )
    };
    let (own, claude) = (
        "provider: own, model: llama, takes: {prefill: true}",
        "provider: claude-rest, model: claude-sonnet-4-5",
    );
    format!(
        "providers:
  openai: {{url: \"{}\", keys: [k]}}
  claude: {{url: \"{origin}\", dialect: anthropic, keys: [k], translate: true}}
  gemini: {{url: \"{origin}\", dialect: gemini, keys: [k], translate: true}}
  own: {{url: \"{}\", keys: [k], translate: true}}
  claude-rest: {{url: \"{}\", dialect: anthropic, keys: [k], translate: true}}
routes:
{}{}{}{}",
        breaking.url(),
        rest.url(),
        rest.origin(),
        route("gpt-*", "openai", own),
        route("o4-*", "openai", claude),
        route("claude-*", "claude", own),
        route("gemini-*", "gemini", claude),
        origin = breaking.origin(),
    )
}

/// Runs a library's scenarios: each checks that it got one whole answer, though every one broke off.
async fn sees_one_answer(library: Library) {
    let (breaking, rest) = (provider().await, provider().await);
    breaking.always(Some(Fault::ResetMidStream));
    let pareto = sidecar(&file(&breaking, &rest));
    let seen = library.run(&format!("http://{}/v1", pareto.running.address)).await;
    assert_eq!(seen.len(), 6);
    for (name, line) in &seen {
        assert_eq!(line["outcome"], "ok", "{name}: {line}");
    }
    assert_eq!((breaking.total(), rest.total()), (6, 6), "each broke off once and went on once");
}

async fn provider() -> Provider {
    Provider::start(Behaviour::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn python_parses_a_stream_that_went_on_elsewhere() {
    sees_one_answer(Library::python("openai-3", Some("--resumed"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_parses_a_stream_that_went_on_elsewhere() {
    sees_one_answer(Library::node("openai-7", Some("--resumed"))).await;
}
