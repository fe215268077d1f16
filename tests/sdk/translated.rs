//! The SDKs of one API answered by a provider of another: what they parse, and what the provider got, held
//! against the SDKs' own types.

use std::process::Stdio;

use pareto::demo::provider::{Behaviour, Provider};
use pareto::sidecar::Sidecar;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::library::{Library, root};
use crate::sidecar;

/// `gpt-*` is served by Anthropic, `o4-*` by Gemini, all else by an OpenAI server that only chats.
fn before(provider: &Provider) -> Sidecar {
    let (url, origin) = (provider.url(), provider.origin());
    sidecar(&format!(
        "providers:
  claude: {{url: \"{origin}\", dialect: anthropic, keys: [sk-claude]}}
  gemini: {{url: \"{origin}\", dialect: gemini, keys: [g-key]}}
  local: {{url: \"{url}\", keys: [sk-local], responses: false, translate: true}}
routes:
  - {{models: [\"gpt-*\"], targets: [{{provider: claude, model: claude-sonnet-4-5}}]}}
  - {{models: [\"o4-*\"], targets: [{{provider: gemini, model: gemini-3.8-flash}}]}}
  - {{models: [\"*\"], targets: [{{provider: local, model: gpt-4o}}]}}
"
    ))
}

/// Runs a library's scenarios: all succeed, but for those that ask for what cannot be said. Then the
/// calls as the provider got them are held against the request types of the SDKs.
async fn speaks_both(library: Library, least: usize) {
    let provider = Provider::start(Behaviour::default()).await.unwrap();
    let pareto = before(&provider);
    let seen = library.run(&format!("http://{}/v1", pareto.running.address)).await;
    assert!(seen.len() >= least, "only {} scenarios ran", seen.len());
    for (name, line) in &seen {
        let refused = name.contains("error_");
        assert_eq!(line["outcome"], if refused { "error" } else { "ok" }, "{name}: {line}");
        if refused {
            let class = line["result"]["class"].as_str();
            // Google's SDKs have one class for all that is the client's fault.
            assert!(matches!(class, Some("BadRequestError" | "ClientError")), "{name}: {line}");
        }
    }
    let calls = provider.calls();
    assert!(calls.len() >= least, "{} calls", calls.len());
    let lines = calls.iter().map(|call| json!({"path": call.path(), "body": call.json()}).to_string());
    let wrong = validated(lines.collect::<Vec<_>>().join("\n")).await;
    assert_eq!(wrong, "", "the SDK's types do not have this");
}

async fn validated(calls: String) -> String {
    let mut command = Command::new(root().join(".venv-openai-3/bin/python"));
    command.arg(root().join("python/validate.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(calls.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn python_is_answered_by_another_api() {
    speaks_both(Library::python("openai-3", Some("--translated")), 28).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_is_answered_by_another_api() {
    speaks_both(Library::node("openai-7", Some("--translated")), 20).await;
}
