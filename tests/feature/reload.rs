//! A new configuration, live: all of it or nothing.

use http::Method;
use serde_json::json;

use crate::harness::{Answer, Binary, Hold, Pareto, provider};

async fn reload(pareto: &Pareto) -> Answer {
    pareto.admin(Method::POST, "/reload").await
}

#[tokio::test]
async fn a_reload_is_in_force_for_the_next_request() {
    let pareto = Pareto::start("").await;
    pareto.write("max_body: 1KiB");
    let reloaded = reload(&pareto).await;
    assert_eq!((reloaded.status, reloaded.json()["result"].as_str()), (200, Some("applied")));
    pareto.chat(&"a".repeat(2000)).await.assert_refused(413, "pareto_body_too_large");
    let shown = pareto.admin(Method::GET, "/config").await.json();
    assert_eq!(shown["config"]["max_body"], "1KiB");
    pareto.counts("config_generation", &[], 2.0).await;
    pareto.counts("config_reloads_total", &[("result", "applied")], 1.0).await;
}

#[tokio::test]
async fn a_rejected_file_changes_nothing_and_is_shown() {
    let pareto = Pareto::start("max_body: 1MiB").await;
    pareto.write("max_body: lots\ncashe: {}");
    let rejected = reload(&pareto).await;
    assert_eq!((rejected.status, rejected.json()["result"].as_str()), (422, Some("rejected")));
    assert_eq!(rejected.json()["problems"].as_array().unwrap().len(), 2);
    let shown = pareto.admin(Method::GET, "/config").await.json();
    assert_eq!(shown["config"]["max_body"], "1MiB");
    assert!(shown["rejected"][0].as_str().unwrap().contains("max_body"), "{shown}");
    assert_eq!(pareto.chat("a").await.status, 200);
    pareto.counts("config_reloads_total", &[("result", "rejected")], 1.0).await;
    pareto.counts("config_generation", &[], 1.0).await;
    pareto.write("max_body: 2MiB");
    reload(&pareto).await;
    assert!(pareto.admin(Method::GET, "/config").await.json()["rejected"].is_null());
}

#[tokio::test]
async fn requests_under_way_finish_on_the_old_configuration() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::AfterEvents(2));
    let mut stream = pareto.chat("a").stream().open().await;
    stream.events(2).await;
    pareto.write("providers: {elsewhere: {url: \"http://127.0.0.1:1/v1\"}}");
    assert_eq!(reload(&pareto).await.status, 200);
    pareto.chat("b").await.assert_refused(502, "pareto_upstream_failed");
    pareto.provider.release();
    let rest = stream.rest().await;
    assert!(rest.whole && rest.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn stored_answers_and_counts_live_on() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").await;
    pareto.counts("requests_total", &[("outcome", "miss")], 1.0).await;
    pareto.write("max_body: 1MiB");
    reload(&pareto).await;
    assert!(pareto.chat("a").await.is_hit());
    pareto.counts("requests_total", &[("outcome", "miss")], 1.0).await;
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_stays() {
    let pareto = Pareto::start("storage: {memory: 64MiB}").await;
    pareto.write("storage: {memory: 32MiB}\nthreads: 7");
    assert_eq!(reload(&pareto).await.json()["needs_restart"], json!(["threads", "storage"]));
    let shown = pareto.admin(Method::GET, "/config").await.json();
    assert_eq!(shown["config"]["storage"]["memory"], "64MiB");
}

#[tokio::test]
async fn a_changed_file_is_taken_up_and_a_bad_one_is_not() {
    let provider = provider().await;
    let yaml = format!("providers: {{sim: {{url: \"{}\"}}}}", provider.url());
    let mut binary = Binary::start(&yaml).await;
    binary.write(&format!("{yaml}\nmax_body: 1MiB"));
    binary.logs("configuration reloaded").await;
    binary.write(&format!("{yaml}\nmax_body: none at all"));
    assert!(binary.logs("configuration rejected").await.contains("max_body"));
    binary.write(&yaml);
    assert!(binary.logs("configuration reloaded").await.contains("generation=3"));
}

#[tokio::test]
async fn sighup_reloads() {
    let provider = provider().await;
    let mut binary = Binary::start(&format!("providers: {{sim: {{url: \"{}\"}}}}", provider.url())).await;
    binary.signal("HUP");
    assert!(binary.logs("configuration reloaded").await.contains("generation=2"));
}
