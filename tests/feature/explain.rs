//! What would happen to a request is told without sending it.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Binary, CHAT, Hold, Pareto, chat, within};

fn described(body: Value) -> Value {
    json!({"endpoint": "chat", "headers": {"authorization": "Bearer sk-alice", "x-tenant-id": "acme"}, "body": body})
}

#[tokio::test]
async fn everything_that_is_decided_is_told_and_nothing_is_sent() {
    let pareto = Pareto::start("cache: {exact: {ttl: 5m, normalize: [case]}, share: tenant}").await;
    let said = pareto.explain(described(chat("Hi"))).await.json();
    for (section, fact, value) in [
        ("request", "endpoint", json!("chat")),
        ("request", "model", json!("gpt-4o")),
        ("request", "stream", json!(false)),
        ("request", "tenant", json!("acme")),
        ("request", "scope", json!("tenant")),
        ("cache", "policy", json!("on")),
        ("cache", "ttl", json!("5m")),
        ("cache", "normalize", json!(["case"])),
        ("cache", "in memory", json!(false)),
        ("coalesce", "policy", json!("on")),
        ("route", "provider", json!("sim")),
        ("route", "url", json!(format!("{}/chat/completions", pareto.provider.url()))),
        ("route", "key", json!("the caller's own")),
    ] {
        assert_eq!(said[section][fact]["value"], value, "{section}.{fact} in {said:#}");
    }
    assert_eq!(pareto.provider.total(), 0);
    assert!(pareto.metric("requests_total", &[]).await < 0.5, "explained requests are not counted");
}

#[tokio::test]
async fn the_key_it_tells_is_the_one_an_answer_is_stored_under() {
    let pareto = Pareto::start("").await;
    pareto.chat("Hi").with("x-tenant-id", "acme").await;
    let said = pareto.explain(described(chat("Hi"))).await.json();
    assert_eq!(said["cache"]["in memory"]["value"], true, "{said:#}");
    let other = pareto
        .explain(json!({"body": chat("Hi"), "headers": {"authorization": "Bearer sk-bob"}}))
        .await
        .json();
    assert_eq!(other["cache"]["in memory"]["value"], false, "{other:#}");
    let key = said["request"]["key"]["value"].as_str().unwrap();
    let purged = pareto.admin(Method::DELETE, &format!("/cache?key={key}")).await;
    assert_eq!(purged.json()["removed"], 1);
}

#[tokio::test]
async fn why_a_request_is_not_cached_is_told() {
    let pareto = Pareto::start("features: {coalesce: off}").await;
    let stored = pareto
        .explain(described(
            chat("Hi")
                .as_object()
                .map(|body| {
                    let mut body = body.clone();
                    body.insert("store".to_owned(), true.into());
                    Value::Object(body)
                })
                .unwrap(),
        ))
        .await
        .json();
    assert_eq!(stored["cache"]["policy"], json!({"value": "bypass", "why": "stored"}));
    assert_eq!(stored["request"]["key"], json!({"value": null, "why": "stored"}));
    let plain = pareto.explain(described(chat("Hi"))).await.json();
    assert_eq!(plain["coalesce"]["policy"], json!({"value": "off", "why": "features.coalesce is off"}));
    let passing = pareto.explain(json!({"endpoint": "/v1/files", "body": {}})).await.json();
    assert_eq!(passing["request"]["endpoint"]["value"], Value::Null);
    assert_eq!(passing["route"]["provider"]["value"], "sim");
}

/// Three providers of three dialects.
const THREE: &str = "
providers:
  openai: {url: \"{provider}\"}
  claude: {url: \"{origin}\", dialect: anthropic, keys: [k]}
  gemini: {url: \"{origin}\", dialect: gemini, keys: [k]}
routes:
  - models: [gpt-4o]
    targets: [{provider: openai, weight: 1}, {provider: claude, model: claude-sonnet-4-5, weight: 3}]
    fallbacks: [{provider: gemini, model: gemini-2.5-flash}]";

#[tokio::test]
async fn the_whole_course_of_a_route_is_told_and_in_whose_words() {
    let pareto = Pareto::start(THREE).await;
    for _ in 0..2 {
        // Whose turn it is stays as it is.
        let said = pareto.explain(described(chat("Hi"))).await.json();
        assert_eq!(said["route"]["attempts"]["value"], 3, "{said:#}");
        assert_eq!(said["route"]["provider"]["value"], "claude");
        assert_eq!(said["route"]["model"]["value"], "claude-sonnet-4-5");
        assert_eq!(said["route"]["url"]["value"], format!("{}/v1/messages", pareto.provider.origin()));
        assert_eq!(said["route"]["translated"]["value"], true);
        let targets: Vec<_> = said["targets"].as_object().unwrap().iter().collect();
        let names: Vec<_> = targets.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["claude/claude-sonnet-4-5", "openai", "gemini/gemini-2.5-flash"]);
        let values: Vec<_> = targets.iter().map(|(_, said)| said["value"].as_str().unwrap()).collect();
        assert_eq!(values, ["first", "next", "fallback"]);
        let why = |name: &str| said["targets"][name]["why"].as_str().unwrap().to_owned();
        assert!(why("claude/claude-sonnet-4-5").contains("Anthropic's Messages"), "{said:#}");
        assert!(!why("openai").contains("translated"), "{said:#}");
        assert!(why("gemini/gemini-2.5-flash").contains("Gemini's generateContent"), "{said:#}");
    }
    let asked = pareto.chat("Hi").await;
    assert_eq!(asked.header("x-pareto-provider"), "claude", "as it was told");
}

#[tokio::test]
async fn every_target_that_is_skipped_has_its_reason() {
    let pareto = Pareto::start(THREE).await;
    let mut asked = chat("Hi");
    asked["logit_bias"] = json!({"1": 2});
    let said = pareto.explain(described(asked.clone())).await.json();
    assert_eq!(said["route"]["provider"]["value"], "openai", "{said:#}");
    for name in ["claude/claude-sonnet-4-5", "gemini/gemini-2.5-flash"] {
        assert_eq!(said["targets"][name]["value"], "skipped", "{said:#}");
        assert!(said["targets"][name]["why"].as_str().unwrap().contains("`logit_bias`"), "{said:#}");
    }
    let pareto = Pareto::start(&THREE.replace("[{provider: openai, weight: 1}, ", "[")).await;
    let said = pareto.explain(described(asked.clone())).await.json();
    let refused = &said["route"]["refused"];
    assert!(refused["value"] == 400 && refused["why"].as_str().unwrap().contains("`logit_bias`"), "{said:#}");
    assert_eq!(pareto.ask(CHAT, asked).await.status, 400, "as it was told");
    let unwritten =
        Pareto::start("providers: {claude: {url: \"{origin}\", dialect: anthropic, keys: [k]}}").await;
    let said = unwritten.explain(described(chat("Hi"))).await.json();
    assert_eq!(said["route"]["translated"]["value"], true, "{said:#}");
}

#[tokio::test]
async fn people_get_lines() {
    let pareto = Pareto::start("").await;
    let url = format!("http://{}/explain", pareto.sidecar.running.admin);
    let asked = reqwest::Client::new().post(url).header("accept", "text/plain").json(&described(chat("Hi")));
    let said = Answer::of(asked.send().await.unwrap()).await;
    assert!(said.header("content-type").starts_with("text/plain"));
    let text = said.text();
    for line in ["request\n  endpoint  chat: POST /v1/chat/completions\n", "  tenant    acme\n", "\nroute\n"]
    {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    assert!(!text.contains("sk-alice"), "no credential is shown");
}

#[tokio::test]
async fn a_description_that_is_none_is_refused_with_what_would_be_right() {
    let pareto = Pareto::start("max_body: 1KiB").await;
    for (asked, says) in [
        (json!({"endpoint": "chats", "body": {}}), "vector_store_search"),
        (json!({"endpoint": "vector_store_search", "body": {}}), "/v1/vector_stores/vs_1/search"),
        (json!({"endpoint": "generate", "body": {}}), ":generateContent"),
        (json!({"endpoint": "/v1/a b", "body": {}}), "/v1/a b"),
        (json!({"headers": {"a b": "c"}, "body": {}}), "`a b`"),
        (json!({"headers": {"a": "c\nd"}, "body": {}}), "`a`"),
        (json!({"endpoint": "chat"}), "body"),
        (json!([]), "endpoint"),
    ] {
        let refused = pareto.explain(asked.clone()).await;
        assert_eq!(refused.status, 400, "{asked}");
        assert!(refused.text().contains(says), "{asked}: {}", refused.text());
    }
    let large = pareto.explain(described(chat(&"a".repeat(2000)))).await.json();
    assert_eq!(large["request"]["refused"]["value"], 413);
    assert_eq!(pareto.explain(json!({"body": "a".repeat(100_000)})).await.status, 413);
}

#[tokio::test]
async fn it_is_told_to_operators_only() {
    let pareto = Pareto::start("admin: {listen: 127.0.0.1:0, token: t}").await;
    assert_eq!(pareto.explain(described(chat("Hi"))).await.status, 401);
}

#[test]
fn the_command_explains_a_file_to_people_and_programs() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("request.json"), chat("Hi").to_string()).unwrap();
    std::fs::write(
        path("pareto.yaml"),
        "providers: {mine: {url: https://llm.example/api}}\nlimits: [{name: daily, requests: 5/day}]",
    )
    .unwrap();
    let said = Binary::run(&[
        "explain",
        &path("request.json"),
        "--header",
        "x-tenant-id: acme",
        "--config",
        &path("pareto.yaml"),
    ]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success());
    assert!(
        text.contains("tenant    acme\n") && text.contains("https://llm.example/api/chat/completions"),
        "{text}"
    );
    assert!(text.contains("\n  daily requests  1: of 5\n") && !text.contains("passes"), "no counts: {text}");
    let said = Binary::run(&["explain", &path("request.json"), "--endpoint", "messages", "--json"]);
    let json: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(json["request"]["endpoint"]["value"], "messages");
    for wrong in [
        vec!["explain", "/no/such/file"],
        vec!["explain", &path("request.json"), "--endpoint", "chats"],
        vec!["explain", &path("request.json"), "--header", "nothing"],
    ] {
        let said = Binary::run(&wrong);
        assert!(!said.status.success() && !said.stderr.is_empty(), "{wrong:?}");
    }
}

#[tokio::test]
async fn of_an_embedding_request_each_inputs_fate_is_told() {
    use super::embeddings::{EMBEDDINGS, embed, texts};
    let pareto = Pareto::start("").await;
    embed(&pareto, texts(0..2)).await;
    pareto.provider.hold(Hold::BeforeHead);
    let fetching = embed(&pareto, texts(2..3)).spawn();
    within("the call", pareto.provider.received(2)).await;
    let mut inputs = texts([1, 2, 3, 3, 0]);
    inputs.push(json!([1, 2]));
    let asked = json!({"model": "text-embedding-3-small", "input": inputs});
    let describe = |key: &str| json!({"endpoint": EMBEDDINGS, "headers": {"authorization": format!("Bearer {key}")}, "body": asked});
    let said = pareto.explain(describe("sk-alice")).await.json();
    for (fact, value) in [
        ("asked", json!(6)),
        ("distinct", json!(5)),
        ("known", json!(2)),
        ("being fetched", json!(1)),
        ("sent", json!(2)),
        ("input 0", json!("known")),
        ("input 1", json!("being fetched")),
        ("input 2", json!("sent")),
        ("input 3", json!("as an equal one before it")),
        ("input 4", json!("known")),
        ("input 5", json!("sent")),
    ] {
        assert_eq!(said["inputs"][fact]["value"], value, "{fact} in {said:#}");
    }
    let other = pareto.explain(describe("sk-bob")).await.json();
    assert_eq!(other["inputs"]["sent"]["value"], 5, "{other:#}");
    assert_eq!(pareto.provider.total(), 2);
    pareto.provider.release();
    fetching.await.unwrap();
    // The key that is told is the one to purge by.
    let why = said["inputs"]["input 0"]["why"].as_str().unwrap();
    let key = why.rsplit(' ').next().unwrap();
    assert_eq!(pareto.admin(Method::DELETE, &format!("/cache?key={key}")).await.json()["removed"], 1);
}
