//! Messages typed one after the other are one request, where a rule says so.

use serde_json::{Value, json};

use crate::harness::{Answer, Ask, CHAT, Pareto};

fn rule(superseded: &str) -> String {
    format!(
        "rules: [{{name: typing, when: {{endpoint: [chat, responses, messages, generate]}}, then: {{burst: {{window: 2s, key: 'header:x-conversation', superseded: {superseded}}}}}}}]"
    )
}

fn turns(said: &[&str]) -> Value {
    said.iter().map(|text| json!({"role": "user", "content": text})).collect()
}

fn chat(pareto: &Pareto, said: &[&str]) -> Ask {
    let body = json!({"model": "gpt-4o", "messages": turns(said)});
    pareto.ask(CHAT, body).with("x-conversation", "c1")
}

/// Sends one request after the other, each once the one before it waits.
async fn typed(pareto: &Pareto, asks: Vec<Ask>) -> Vec<Answer> {
    let mut sent = Vec::new();
    for (index, ask) in asks.into_iter().enumerate() {
        pareto.becomes("burst_waiters", &[], index as f64).await;
        sent.push(ask.spawn());
    }
    let mut answers = Vec::new();
    for answer in sent {
        answers.push(answer.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn only_the_last_of_a_burst_is_sent_and_all_get_its_answer() {
    let pareto = Pareto::start(&rule("same")).await;
    let asks = vec![
        chat(&pareto, &["hi"]),
        chat(&pareto, &["hi", "are you there?"]),
        chat(&pareto, &["hi", "are you there?", "hello?"]),
    ];
    let answers = typed(&pareto, asks).await;
    let sent: Vec<Value> =
        pareto.provider.calls().iter().map(|call| call.json()["messages"].clone()).collect();
    assert_eq!(sent, [turns(&["hi", "are you there?", "hello?"])]);
    for answer in &answers {
        assert_eq!((answer.status, answer.said()), (200, answers[2].said()));
    }
    assert_eq!(answers[0].header("x-pareto-rule"), "typing");
    assert_eq!(pareto.metric("saved_calls_total", &[("by", "coalesce")]).await as u64, 2);
}

#[tokio::test]
async fn the_earlier_ones_get_an_empty_answer_or_a_conflict_where_that_is_wanted() {
    let pareto = Pareto::start(&rule("empty")).await;
    let answers = typed(&pareto, vec![chat(&pareto, &["a"]), chat(&pareto, &["a", "b"])]).await;
    assert_eq!((answers[0].status, answers[0].said().as_str()), (200, ""));
    assert!(!answers[1].said().is_empty());
    let answers =
        typed(&pareto, vec![chat(&pareto, &["c"]).stream(), chat(&pareto, &["c", "d"]).stream()]).await;
    assert_eq!((answers[0].events().last(), answers[0].said().as_str()), (Some(&json!("[DONE]")), ""));
    let pareto = Pareto::start(&rule("conflict")).await;
    let answers = typed(&pareto, vec![chat(&pareto, &["a"]), chat(&pareto, &["a", "b"])]).await;
    answers[0].assert_refused(409, "pareto_superseded");
    assert_eq!((answers[1].status, pareto.provider.total()), (200, 1));
}

#[tokio::test]
async fn streams_share_the_answer_live() {
    let pareto = Pareto::start(&rule("same")).await;
    let answers =
        typed(&pareto, vec![chat(&pareto, &["a"]).stream(), chat(&pareto, &["a", "b"]).stream()]).await;
    assert_eq!(answers[0].events().last(), Some(&json!("[DONE]")));
    assert_eq!((answers[0].said(), pareto.provider.total()), (answers[1].said(), 1));
}

#[tokio::test]
async fn every_api_of_conversations_is_meant() {
    let pareto = Pareto::start(&rule("same")).await;
    type Body = fn(&[&str]) -> Value;
    let apis: [(&str, Body); 3] = [
        ("/v1/responses", |said| json!({"model": "gpt-4o", "input": turns(said)})),
        (
            "/v1/messages",
            |said| json!({"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": turns(said)}),
        ),
        ("/v1beta/models/gemini-2.5-flash:generateContent", |said| {
            let turn = |text: &&str| json!({"role": "user", "parts": [{"text": text}]});
            json!({"contents": said.iter().map(turn).collect::<Value>()})
        }),
    ];
    for (index, (path, body)) in apis.into_iter().enumerate() {
        let ask = |said: &[&str]| pareto.ask(path, body(said)).with("x-conversation", "c1");
        let answers = typed(&pareto, vec![ask(&["a"]), ask(&["a", "b"])]).await;
        assert_eq!(answers[0].status, 200, "{path}: {}", answers[0].text());
        assert_eq!(answers[0].body, answers[1].body, "{path}");
        assert_eq!(pareto.provider.total(), index as u64 + 1, "{path}");
    }
}

#[tokio::test]
async fn only_turns_of_the_user_make_a_burst() {
    let pareto = Pareto::start(&rule("conflict")).await;
    let answered = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "A"}, {"role": "user", "content": "b"}]);
    let asks = vec![chat(&pareto, &["a"]), chat(&pareto, &["a"]).set("messages", answered)];
    for answer in typed_apart(&pareto, asks).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(pareto.provider.total(), 2);
}

/// As [`typed`], of requests that do not wait for each other: the first goes when the second comes.
async fn typed_apart(pareto: &Pareto, asks: Vec<Ask>) -> Vec<Answer> {
    let mut asks = asks.into_iter();
    let first = asks.next().unwrap().spawn();
    pareto.becomes("burst_waiters", &[], 1.0).await;
    let second = asks.next().unwrap().spawn();
    vec![first.await.unwrap(), second.await.unwrap()]
}

#[tokio::test]
async fn callers_never_meet_whatever_they_call_their_conversation() {
    let pareto = Pareto::start(&rule("conflict")).await;
    for other in [
        chat(&pareto, &["a", "b"]).by("sk-bob"),
        chat(&pareto, &["a", "b"]).with("x-tenant-id", "other"),
        chat(&pareto, &["a", "b"]).set("model", "gpt-4o-mini"),
        chat(&pareto, &["a", "b"]).stream(),
    ] {
        for answer in typed_apart(&pareto, vec![chat(&pareto, &["a"]), other]).await {
            assert_eq!(answer.status, 200);
        }
    }
}

#[tokio::test]
async fn one_that_hangs_up_while_it_waits_takes_nobodys_place() {
    let pareto = Pareto::start(&rule("conflict")).await;
    let first = chat(&pareto, &["a"]).spawn();
    pareto.becomes("burst_waiters", &[], 1.0).await;
    let second = chat(&pareto, &["a", "b"]).spawn();
    pareto.becomes("burst_waiters", &[], 2.0).await;
    second.abort();
    let first = first.await.unwrap();
    assert_eq!((first.status, pareto.provider.total()), (200, 1));
    assert_eq!(pareto.provider.calls()[0].json()["messages"], turns(&["a"]));
}

#[tokio::test]
async fn without_a_conversation_or_a_rule_nothing_waits() {
    let pareto = Pareto::start(&rule("same")).await;
    let body = json!({"model": "gpt-4o", "messages": turns(&["a"])});
    assert_eq!(pareto.ask(CHAT, body).await.status, 200);
    assert_eq!(pareto.ask(CHAT, json!({"model": "gpt-4o"})).with("x-conversation", "c1").await.status, 400);
}

#[tokio::test]
async fn a_conversation_is_named_by_its_user_or_by_a_place_in_the_body() {
    for (key, member, ours, theirs) in [
        ("user", "user", json!("u1"), json!("u2")),
        (
            "'pointer:/metadata/conversation'",
            "metadata",
            json!({"conversation": "c1"}),
            json!({"conversation": "c2"}),
        ),
    ] {
        let pareto = Pareto::start(&rule("conflict").replace("'header:x-conversation'", key)).await;
        let ask = |said: &[&str], name: &Value| {
            let body = json!({"model": "gpt-4o", "messages": turns(said)});
            pareto.ask(CHAT, body).set(member, name.clone())
        };
        let asks = vec![ask(&["a"], &ours), ask(&["a", "b"], &ours)];
        let answers = typed(&pareto, asks).await;
        assert_eq!((answers[0].status, answers[1].status), (409, 200), "{key}");
        let (one, other) = (ask(&["a"], &ours).spawn(), ask(&["a", "b"], &theirs).spawn());
        assert_eq!((one.await.unwrap().status, other.await.unwrap().status), (200, 200), "{key}");
        assert_eq!(pareto.chat("a").await.status, 200, "one without a name waits for nobody");
    }
}
