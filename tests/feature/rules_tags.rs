//! Tags of rules: in the log, on stored answers, and to purge by.

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Binary, Pareto, chat, provider, within};

const TAGS: &str = "rules:
  - {name: prices, when: {last_message: {matches: '(?i)price'}}, then: {tag: [prices, 'team:shop']}}
  - {name: searches, when: {endpoint: vector_store_search}, then: {tag: faq}}\n";

async fn purged(pareto: &Pareto, tag: &str) -> Value {
    pareto.admin(Method::DELETE, &format!("/cache?tag={tag}")).await.json()["removed"].clone()
}

#[tokio::test]
async fn answers_are_purged_by_any_tag_that_a_rule_gave_them() {
    let pareto = Pareto::start(TAGS).await;
    let search = || pareto.ask("/v1/vector_stores/vs_1/search", json!({"query": "a"}));
    for (tag, removed) in
        [("prices", 1), ("team:shop", 1), ("faq", 1), ("vector_store:vs_1", 1), ("price", 0)]
    {
        assert_eq!(pareto.chat("what price?").await.status, 200);
        assert_eq!(pareto.chat("what size?").await.status, 200);
        search().await;
        pareto.stored(3).await;
        assert_eq!(purged(&pareto, tag).await, removed, "{tag}");
    }
    let streamed = pareto.chat("the price of it?").stream().await;
    assert!(streamed.whole);
    pareto.stored(4).await;
    assert_eq!(purged(&pareto, "prices").await, 2);
}

#[tokio::test]
async fn what_was_purged_by_its_tag_is_not_found_on_disk_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let file = format!("{TAGS}storage: {{memory: 8MiB, disk: {{path: \"{}\"}}}}", directory.path().display());
    let pareto = Pareto::start(&file).await;
    pareto.chat("what price?").await;
    pareto.chat("what size?").await;
    pareto.stored(2).await;
    let pareto = Pareto::before(pareto.stop().await, &file);
    pareto.becomes("cache_tier_up", &[("tier", "disk")], 1.0).await;
    assert!(pareto.chat("what size?").await.cache().ends_with("detail=disk"));
    // Its tags came back with it.
    assert!(pareto.chat("what price?").await.cache().ends_with("detail=disk"));
    assert_eq!(purged(&pareto, "team:shop").await, 1);
    let pareto = Pareto::before(pareto.stop().await, &file);
    pareto.becomes("cache_tier_up", &[("tier", "disk")], 1.0).await;
    assert_eq!(pareto.chat("what price?").await.cache(), "fwd=miss; stored");
    assert!(pareto.chat("what size?").await.cache().ends_with("detail=disk"));
}

#[tokio::test]
async fn the_log_line_names_the_rule_and_its_tags() {
    let provider = provider().await;
    let file = format!("providers: {{sim: {{url: \"{}\"}}}}\n{TAGS}", provider.url());
    for (format, wanted) in [
        ("json", &["\"rule\":\"prices\"", "\"tags\":[\"prices\",\"team:shop\"]"][..]),
        ("text", &["rule=\"prices\"", "tag=\"prices\"", "tag=\"team:shop\""]),
    ] {
        let mut binary = Binary::start(&format!("{file}log: {{format: {format}}}")).await;
        let url = format!("http://{}/v1/chat/completions", binary.address);
        let sent = reqwest::Client::new().post(url).bearer_auth("sk-alice").json(&chat("what price?"));
        assert_eq!(within("the answer", sent.send()).await.unwrap().status(), 200);
        let line = binary.logs("exchange").await;
        for part in wanted {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}
