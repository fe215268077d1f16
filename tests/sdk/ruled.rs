//! Answers that rules give, as the SDKs of each API parse them.

use pareto::demo::provider::{Behaviour, Provider};

use crate::library::Library;
use crate::sidecar;

/// A greeting is answered in every API, a word is refused, and searches find nothing.
fn file(provider: &Provider) -> String {
    let (url, origin) = (provider.url(), provider.origin());
    format!(
        "providers:
  openai: {{url: \"{url}\"}}
  anthropic: {{url: \"{origin}\", dialect: anthropic}}
  gemini: {{url: \"{origin}\", dialect: gemini}}
rules:
  - name: greeting
    when: {{endpoint: [chat, responses, messages, generate], last_message: {{one_of: [hello]}}}}
    then: {{answer: \"أهلا! How can I help?\"}}
  - name: forbidden
    when: {{last_message: {{one_of: [forbidden]}}}}
    then: {{deny: \"Not here.\"}}
  - name: nothing-to-find
    when: {{endpoint: vector_store_search}}
    then: {{answer: no_results}}
"
    )
}

/// Runs a library's scenarios: each checks what it got, and the provider hears of none.
async fn hears_the_rules(library: Library) {
    let provider = Provider::start(Behaviour::default()).await.unwrap();
    let pareto = sidecar(&file(&provider));
    let seen = library.run(&format!("http://{}/v1", pareto.running.address)).await;
    assert!(seen.len() >= 12, "only {} scenarios ran", seen.len());
    for (name, line) in &seen {
        let refused = name.contains("error_");
        assert_eq!(line["outcome"], if refused { "error" } else { "ok" }, "{name}: {line}");
        assert!(!refused || line["result"]["class"] == "PermissionDeniedError", "{name}: {line}");
    }
    assert_eq!(provider.total(), 0, "a rule answers without the provider");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_parses_what_rules_answer() {
    hears_the_rules(Library::python("openai-3", Some("--ruled"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_parses_what_rules_answer() {
    hears_the_rules(Library::node("openai-7", Some("--ruled"))).await;
}
