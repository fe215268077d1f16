//! From ready to gone.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;

use tempfile::TempDir;

use crate::harness::{Ask, Binary, Hold, PATIENCE, Provider, chat, provider};

fn behind(provider: &Provider) -> String {
    format!("providers: {{sim: {{url: \"{}\"}}}}", provider.url())
}

fn stream(binary: &Binary) -> Ask {
    let url = format!("http://{}/v1/chat/completions", binary.address);
    Ask::new(reqwest::Client::new().post(url), chat("a")).stream()
}

#[tokio::test]
async fn sigterm_lets_streams_finish() {
    let provider = provider().await;
    let mut binary = Binary::start(&behind(&provider)).await;
    provider.hold(Hold::AfterEvents(2));
    let mut live = stream(&binary).open().await;
    live.events(2).await;
    binary.signal("TERM");
    binary.logs("draining").await;
    let ready = reqwest::get(format!("http://{}/readyz", binary.admin)).await.unwrap();
    assert_eq!(ready.status(), 503);
    provider.release();
    let rest = live.rest().await;
    assert!(rest.whole && rest.text().ends_with("data: [DONE]\n\n"), "{}", rest.text());
    assert!(binary.exit().await.success());
}

#[tokio::test]
async fn after_the_grace_what_is_left_is_cut() {
    let provider = provider().await;
    let mut binary = Binary::start(&format!("{}\nshutdown: {{grace: 100ms}}", behind(&provider))).await;
    provider.hold(Hold::AfterEvents(2));
    let mut live = stream(&binary).open().await;
    live.events(2).await;
    binary.signal("TERM");
    binary.logs("the grace is over").await;
    let rest = live.rest().await;
    assert!(!rest.whole && !rest.text().contains("[DONE]"));
    assert!(binary.exit().await.success());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let provider = provider().await;
    let mut binary = Binary::start(&behind(&provider)).await;
    provider.hold(Hold::BeforeHead);
    let waiting = stream(&binary).request();
    let waiting = tokio::spawn(waiting.send());
    provider.received(1).await;
    binary.signal("TERM");
    binary.logs("draining").await;
    binary.end().await;
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn a_taken_port_is_an_error_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("pareto.yaml");
    std::fs::write(&file, format!("listen: {}\nadmin: {{listen: 127.0.0.1:0}}", taken.local_addr().unwrap()))
        .unwrap();
    let output = Binary::run(&["--config", file.to_str().unwrap()]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("listen: cannot listen on"), "{said}");
}

#[tokio::test]
async fn an_admin_listener_others_can_reach_needs_a_token() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("pareto.yaml");
    std::fs::write(&file, "listen: 127.0.0.1:0\nadmin: {listen: 0.0.0.0:0}").unwrap();
    let output = Binary::run(&["--config", file.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("admin.token"));
}

#[tokio::test]
async fn the_service_manager_is_told_when_it_is_ready() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let provider = provider().await;
    let binary = Binary::start_with(&behind(&provider), &[("NOTIFY_SOCKET", path.to_str().unwrap())]).await;
    let heard = || {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!(heard(), "READY=1");
    binary.signal("TERM");
    assert_eq!(heard(), "STOPPING=1");
    assert!(binary.exit().await.success());
}

#[tokio::test]
async fn the_log_has_one_line_per_exchange_and_no_prompt_or_key_in_it() {
    let provider = provider().await;
    let mut binary = Binary::start(&format!("{}\nlog: {{format: json}}", behind(&provider))).await;
    let secret = Ask::new(
        reqwest::Client::new().post(format!("http://{}/v1/chat/completions", binary.address)),
        chat("my deepest secret sim:say=answer"),
    );
    assert_eq!(secret.by("sk-confidential").await.said(), "answer");
    let line = binary.logs("\"outcome\"").await;
    let fields: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (fields["endpoint"].as_str(), fields["outcome"].as_str()),
        (Some("chat"), Some("miss")),
        "{line}"
    );
    for kept in ["deepest", "confidential", "answer\""] {
        assert!(!line.contains(kept), "{line}");
    }
}
