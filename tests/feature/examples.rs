//! The example files are right, and do what their comments say.

use std::path::PathBuf;

use http::Method;
use pareto::config::{Config, Environment};
use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Pareto};

fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conf/examples")
}

#[test]
fn every_example_is_a_file_that_pareto_takes() {
    let keys = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"].map(|name| (name, "a-key"));
    for file in std::fs::read_dir(examples()).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let taken = Config::load(&text, &Environment::fixed(&keys, &[]));
        assert!(taken.is_ok(), "{}: {:#?}", path.display(), taken.err());
    }
}

async fn assistant() -> Pareto {
    Pareto::start(&std::fs::read_to_string(examples().join("assistant.yaml")).unwrap()).await
}

#[tokio::test]
async fn the_assistant_answers_what_needs_no_model() {
    let pareto = assistant().await;
    for (text, rule) in [
        ("السَّلامُ عليكم 👋", "greeting"),
        ("Good morning!", "greeting"),
        ("شكراً جزيلاً", "thanks"),
        ("👍👍", "reaction"),
    ] {
        let answer = pareto.chat(text).await;
        assert_eq!((answer.status, answer.header("x-pareto-rule")), (200, rule), "{text}");
    }
    let denied =
        pareto.request(Method::DELETE, "/v1/files/file-1").bearer_auth("sk-alice").send().await.unwrap();
    assert_eq!(Answer::of(denied).await.header("x-pareto-rule"), "no-deletes");
    assert_eq!(pareto.provider.total(), 0);
}

#[tokio::test]
async fn the_assistant_marks_searches_far_from_what_the_shop_knows_and_makes_them_all() {
    let pareto = assistant().await;
    let search =
        |query: &str| -> Ask { pareto.ask("/v1/vector_stores/vs_1/search", json!({"query": query})) };
    assert_eq!(search("👍!").await.header("x-pareto-rule"), "nothing-to-search");
    // Each search finds three texts; with so many the store is known.
    for at in 0..10 {
        assert_eq!(search(&format!("anything {at}")).await.status, 200);
    }
    let known = async {
        while pareto.metric("rule_score_count", &[("rule", "off-topic")]).await < 1.0 {
            search("quantum chromodynamics lattice").cache_control("no-store").await;
        }
    };
    crate::harness::within("the store to be known", known).await;
    let far = search("neutrino flavour oscillation").await;
    assert_eq!((far.status, far.header("x-pareto-rule")), (200, "off-topic"));
    assert_ne!(far.json()["data"], json!([]), "it is marked, and searched for all the same");
    let sent: Value =
        pareto.provider.calls().iter().rev().find(|call| call.path().ends_with("/search")).unwrap().json();
    assert_eq!(sent["ranking_options"]["score_threshold"], 0.3);
    for (question, reason) in [
        ("где находится мой заказ", "script"),
        ("Wo ist der nächste Bahnhof, und wann öffnet er morgens seine Türen?", "language"),
    ] {
        assert_eq!(search(question).await.header("x-pareto-rule"), "search-threshold", "{question}");
        pareto.counts("rule_unscored_total", &[("rule", "off-topic"), ("reason", reason)], 1.0).await;
    }
    // An Arabic question is scored like an English one.
    let before = pareto.metric("rule_score_count", &[("rule", "off-topic")]).await;
    search("أين تقع أقرب محطة قطار؟").await;
    pareto.counts("rule_score_count", &[("rule", "off-topic")], before + 1.0).await;
}
