//! Spellings of one question share an answer where the operator says so, and nothing else does.

use serde_json::{Value, json};

use crate::harness::{CHAT, Hold, Pareto};

const ALL: &str = "cache: {exact: {normalize: [whitespace, case, punctuation, digits, arabic, emoji]}}";

#[tokio::test]
async fn spellings_of_a_question_share_its_answer() {
    let pareto = Pareto::start(ALL).await;
    let first = pareto.chat("Where is my order, please?").await;
    let second = pareto.chat("  where is my ORDER please 🙏").await;
    assert!(second.is_hit(), "{}", second.cache());
    assert_eq!(first.said(), second.said());
    pareto.chat("أين طلبي رقم ١٢؟").await;
    assert!(pareto.chat("اين طلبى رقم 12").stream().await.is_hit());
    assert_eq!(pareto.provider.total(), 2);
    let sent = pareto.provider.calls()[0].json();
    assert_eq!(sent["messages"][0]["content"], "Where is my order, please?");
}

#[tokio::test]
async fn without_the_setting_every_spelling_is_another_question() {
    let pareto = Pareto::start("").await;
    pareto.chat("hello").await;
    assert!(!pareto.chat("Hello").await.is_hit());
}

#[tokio::test]
async fn code_and_the_values_of_numbers_always_count() {
    let pareto = Pareto::start(ALL).await;
    for (one, other) in [("pay 1.5?", "pay 15?"), ("is `A  B` ok", "is `a b` ok"), ("👍", "👎")] {
        pareto.chat(one).await;
        assert!(!pareto.chat(other).await.is_hit(), "{one} / {other}");
    }
}

#[tokio::test]
async fn only_the_text_of_the_last_message_of_the_user_is_folded() {
    let pareto = Pareto::start(ALL).await;
    let turns = |system: &str, first: &str, last: Value| {
        json!([{"role": "system", "content": system}, {"role": "user", "content": first},
               {"role": "assistant", "content": "Yes."}, {"role": "user", "content": last}])
    };
    let ask = |messages: Value| pareto.ask(CHAT, json!({"model": "gpt-4o", "messages": messages}));
    ask(turns("Be brief", "Hi", json!("Why?"))).await;
    assert!(ask(turns("Be brief", "Hi", json!("why"))).await.is_hit());
    assert!(!ask(turns("be brief", "Hi", json!("Why?"))).await.is_hit());
    assert!(!ask(turns("Be brief", "hi", json!("Why?"))).await.is_hit());
    let parts = |text: &str, url: &str| json!([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]);
    ask(turns("Be brief", "Hi", parts("What is it?", "https://a.example/A"))).await;
    assert!(ask(turns("Be brief", "Hi", parts("what is it", "https://a.example/A"))).await.is_hit());
    assert!(!ask(turns("Be brief", "Hi", parts("What is it?", "https://a.example/a"))).await.is_hit());
}

#[tokio::test]
async fn every_api_of_conversations_is_meant() {
    let pareto = Pareto::start(ALL).await;
    for (path, body) in [
        ("/v1/responses", |text: &str| json!({"model": "gpt-4o", "store": false, "input": text})),
        (
            "/v1/responses",
            |text: &str| json!({"model": "gpt-4o", "store": false, "input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]}),
        ),
        (
            "/v1/messages",
            |text: &str| json!({"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": [{"role": "user", "content": text}]}),
        ),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            |text: &str| json!({"contents": [{"parts": [{"text": text}]}]}),
        ),
    ] as [(&str, fn(&str) -> Value); 4]
    {
        let first = pareto.ask(path, body("Hello, THERE!")).await;
        assert_eq!(first.status, 200, "{path}: {}", first.text());
        assert!(pareto.ask(path, body("hello there")).await.is_hit(), "{path}");
        assert!(!pareto.ask(path, body("hello here")).await.is_hit(), "{path}");
    }
}

#[tokio::test]
async fn who_wants_the_exact_text_does_not_meet_the_answer_to_another_spelling() {
    let pareto = Pareto::start(ALL).await;
    pareto.chat("Hello!").await;
    pareto.write("");
    assert_eq!(pareto.admin(http::Method::POST, "/reload").await.status, 200);
    assert!(!pareto.chat("hello").await.is_hit());
}

#[tokio::test]
async fn a_cache_that_only_observes_makes_nobody_share_a_call_of_another_spelling() {
    let pareto = Pareto::start(&format!("{ALL}\nfeatures: {{cache: observe}}")).await;
    pareto.provider.hold(Hold::BeforeHead);
    let (one, other) = (pareto.chat("Hi").spawn(), pareto.chat("hi").spawn());
    pareto.becomes("active_requests", &[], 2.0).await;
    pareto.provider.release();
    assert_ne!(one.await.unwrap().said(), other.await.unwrap().said());
    assert_eq!(pareto.provider.total(), 2);
}
