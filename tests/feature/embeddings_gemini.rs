//! Gemini's `embedContent` and `batchEmbedContents`, by the input.

use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Fault, Pareto};

const ONE: &str = "/v1beta/models/gemini-embedding-001:embedContent";
const BATCH: &str = "/v1beta/models/gemini-embedding-001:batchEmbedContents";

async fn start() -> Pareto {
    Pareto::start("providers: {p: {url: \"{origin}\", dialect: gemini}}").await
}

fn content(text: &str) -> Value {
    json!({"content": {"parts": [{"text": text}]}, "taskType": "RETRIEVAL_DOCUMENT"})
}

fn one(pareto: &Pareto, text: &str) -> Ask {
    pareto.ask(ONE, content(text))
}

fn batch(pareto: &Pareto, texts: &[&str]) -> Ask {
    let named = |text: &&str| {
        let mut request = content(text);
        request["model"] = json!("models/gemini-embedding-001");
        request
    };
    pareto.ask(BATCH, json!({"requests": texts.iter().map(named).collect::<Vec<_>>()}))
}

fn values(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    match &body["embeddings"] {
        Value::Array(many) => many.iter().map(|vector| vector["values"].clone()).collect(),
        _ => vec![body["embedding"]["values"].clone()],
    }
}

#[tokio::test]
async fn both_methods_share_their_vectors() {
    let pareto = start().await;
    let a = values(&one(&pareto, "a").await);
    let all = batch(&pareto, &["b", "a", "b"]).await;
    assert_eq!(all.cache(), "fwd=partial; detail=\"1/3\"");
    let all = values(&all);
    assert_eq!((&all[1], &all[0]), (&a[0], &all[2]));
    assert_ne!(all[0], all[1]);
    let sent = pareto.provider.calls().pop().unwrap().json();
    assert_eq!(sent["requests"].as_array().unwrap().len(), 1);
    assert_eq!(sent["requests"][0]["content"]["parts"][0]["text"], "b");
    let known = one(&pareto, "b").await;
    assert!(known.is_hit());
    assert_eq!(values(&known)[0], all[0]);
}

#[tokio::test]
async fn the_task_tells_contents_apart() {
    let pareto = start().await;
    let first = values(&one(&pareto, "a").await);
    let query = one(&pareto, "a").set("taskType", "RETRIEVAL_QUERY").await;
    assert!(!query.is_hit());
    assert_ne!(values(&query), first);
}

#[tokio::test]
async fn more_contents_than_a_call_takes_go_in_several() {
    let pareto = start().await;
    let texts: Vec<String> = (0..250).map(|at| format!("text {at}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let all = values(&batch(&pareto, &texts).await);
    assert_eq!(all.len(), 250);
    assert_eq!(pareto.provider.total(), 3);
    assert_eq!(values(&one(&pareto, "text 249").await)[0], all[249]);
    assert_eq!(pareto.provider.total(), 3);
}

#[tokio::test]
async fn fewer_vectors_than_contents_are_an_error() {
    let pareto = start().await;
    pareto.provider.next(Fault::VectorsMissing);
    batch(&pareto, &["a", "b"]).await.assert_refused(502, "pareto_upstream_failed");
    assert_eq!(values(&batch(&pareto, &["a", "b"]).await).len(), 2);
}
