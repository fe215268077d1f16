//! Empty texts: a provider's to embed or to refuse, and an input like any other here.

use serde_json::{Value, json};

use super::embeddings::{embed, sent, truth, vectors};
use crate::harness::{Behaviour, Hold, Pareto, Provider, within};

/// A provider that embeds empty texts too.
async fn generous() -> Provider {
    Provider::start(Behaviour { embeds_empty_texts: true, ..Behaviour::default() }).await.unwrap()
}

#[tokio::test]
async fn where_they_are_embedded_each_text_has_its_own_vector() {
    let (pareto, direct) = (Pareto::before(generous().await, ""), generous().await);
    let inputs = ["a", "", " ", "b", "", "a"].map(Value::from);
    let wanted = truth(&direct, &inputs).await;
    assert!(wanted[1] != wanted[2] && wanted[1] == wanted[4], "an empty text is not a blank one");
    for format in ["float", "base64"] {
        let answer = embed(&pareto, inputs.to_vec()).set("encoding_format", format).await;
        assert_eq!(vectors(&answer), wanted, "{format}");
    }
    let alone = embed(&pareto, "").await;
    assert!(alone.is_hit());
    assert_eq!(vectors(&alone), [wanted[1].clone()]);
    let more = embed(&pareto, vec![json!("c"), json!("")]).await;
    assert_eq!(more.cache(), "fwd=partial; detail=\"1/2\"");
    assert_eq!(vectors(&more)[1], wanted[1]);
    assert_eq!(sent(&pareto), [["a", "", " ", "b"].map(Value::from).to_vec(), vec![json!("c")]]);
}

#[tokio::test]
async fn gathered_with_others_they_keep_their_place() {
    let settings = "batch: {embeddings: {parallel: 1, window: 1h}}";
    let (pareto, direct) = (Pareto::before(generous().await, settings), generous().await);
    pareto.provider.hold(Hold::BeforeHead);
    let first = embed(&pareto, "the first").spawn();
    within("the first call", pareto.provider.received(1)).await;
    let inputs = ["a", "", "b"].map(Value::from);
    let asked: Vec<_> = inputs.iter().map(|text| embed(&pareto, text.clone()).spawn()).collect();
    pareto.becomes("batch_waiting", &[], 3.0).await;
    pareto.provider.release();
    assert_eq!(first.await.unwrap().status, 200);
    for (answer, text) in asked.into_iter().zip(&inputs) {
        assert_eq!(
            vectors(&answer.await.unwrap()),
            truth(&direct, std::slice::from_ref(text)).await,
            "{text}"
        );
    }
    assert_eq!(sent(&pareto).len(), 2);
}

#[tokio::test]
async fn where_they_are_refused_the_owner_is_told_why_and_nothing_of_it_is_kept() {
    let pareto = Pareto::start("").await;
    embed(&pareto, "a").await;
    for input in [json!(""), json!(["a", ""]), json!(["b", "", "c"])] {
        let refused = embed(&pareto, input.clone()).await;
        assert_eq!(refused.status, 400, "{input}: {}", refused.text());
        let error = refused.json()["error"].clone();
        assert_eq!((&error["type"], &error["param"]), (&json!("invalid_request_error"), &json!("input")));
        assert!(error["message"].as_str().unwrap().contains("input"), "{error}");
    }
    assert_eq!(pareto.metric("cache_entries", &[]).await as u64, 1);
    let next = embed(&pareto, vec![json!("a"), json!("b"), json!("c")]).await;
    assert_eq!((next.status, next.cache()), (200, "fwd=partial; detail=\"1/3\""));
}
