//! Embeddings by the input: what is known is not asked again, what is being fetched is shared, and
//! every text gets its own vector, bit for bit.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::join_all;
use http::Method;
use pareto::demo::provider::Provider;
use reqwest::Client;
use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Fault, Hold, Pareto, provider, within};

const MODEL: &str = "text-embedding-3-small";
pub const EMBEDDINGS: &str = "/v1/embeddings";

pub fn embed(pareto: &Pareto, input: impl Into<Value>) -> Ask {
    pareto.ask(EMBEDDINGS, json!({"model": MODEL, "input": input.into()}))
}

/// The vectors of an answer by position, as bits, from numbers or base64; checks the indexes.
pub fn vectors(answer: &Answer) -> Vec<Vec<u32>> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let data = body["data"].as_array().unwrap();
    for (position, item) in data.iter().enumerate() {
        assert_eq!((&item["index"], &item["object"]), (&json!(position), &json!("embedding")));
    }
    data.iter().map(|item| bits(&item["embedding"])).collect()
}

fn bits(embedding: &Value) -> Vec<u32> {
    match embedding {
        Value::String(text) => {
            let bytes = BASE64_STANDARD.decode(text).unwrap();
            bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
        }
        numbers => {
            let number = |number: &Value| number.to_string().parse::<f32>().unwrap().to_bits();
            numbers.as_array().unwrap().iter().map(number).collect()
        }
    }
}

/// What the provider itself says, without a sidecar and each input by its own.
pub async fn truth(provider: &Provider, inputs: &[Value]) -> Vec<Vec<u32>> {
    let mut truth = Vec::new();
    for input in inputs {
        let one = if input.is_array() { json!([input]) } else { input.clone() };
        let request = Client::new().post(format!("{}/embeddings", provider.url())).bearer_auth("sk-truth");
        let body = json!({"model": MODEL, "input": one}).to_string();
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        truth.extend(vectors(&Answer::of(answer).await));
    }
    truth
}

pub fn texts(names: impl IntoIterator<Item = impl ToString>) -> Vec<Value> {
    names.into_iter().map(|name| json!(format!("text {}", name.to_string()))).collect()
}

/// The inputs of every call the provider got.
pub fn sent(pareto: &Pareto) -> Vec<Vec<Value>> {
    let inputs = |call: &pareto::demo::provider::Call| match &call.json()["input"] {
        Value::Array(inputs) if !inputs.iter().all(Value::is_number) => inputs.clone(),
        one => vec![one.clone()],
    };
    pareto.provider.calls().iter().map(inputs).collect()
}

#[tokio::test]
async fn of_eight_inputs_with_seven_known_one_is_sent() {
    let (pareto, direct) = (Pareto::start("").await, provider().await);
    let all = texts(0..8);
    embed(&pareto, all[..7].to_vec()).await;
    let mixed = [3, 0, 7, 1, 2, 6, 5, 4].map(|at| all[at].clone());
    let answer = embed(&pareto, mixed.to_vec()).await;
    assert_eq!(answer.cache(), "fwd=partial; detail=\"7/8\"");
    assert_eq!(vectors(&answer), truth(&direct, &mixed).await);
    assert_eq!(sent(&pareto), [all[..7].to_vec(), vec![all[7].clone()]]);
    let known = embed(&pareto, mixed.to_vec()).await;
    assert!(known.is_hit() && known.header("age").parse::<u32>().unwrap() < 60, "{}", known.cache());
    assert_eq!(known.json(), answer.json());
    assert_eq!(pareto.provider.total(), 2);
    pareto.counts("requests_total", &[("outcome", "partial")], 1.0).await;
    pareto.counts("saved_inputs_total", &[("by", "cache")], 15.0).await;
    pareto.counts("saved_calls_total", &[("by", "cache")], 1.0).await;
    pareto.counts("batch_inputs_sum", &[], 8.0).await;
}

#[tokio::test]
async fn usage_says_what_it_would_have_been_and_cost_what_was_sent() {
    let pareto = Pareto::start(&format!("prices: {{{MODEL}: {{input: 1}}}}")).await;
    let (long, short) = (json!("a text of some length, with words in it"), json!("b"));
    let first = embed(&pareto, long.clone()).await;
    let tokens = first.json()["usage"]["prompt_tokens"].as_u64().unwrap();
    let micros = |header: &str| (header.parse::<f64>().unwrap() * 1e6).round() as u64;
    assert_eq!(micros(first.header("x-pareto-cost-usd")), tokens);
    let second = embed(&pareto, vec![long.clone(), short.clone(), long.clone()]).await;
    assert_eq!(
        second.json()["usage"],
        json!({"prompt_tokens": 2 * tokens + 1, "total_tokens": 2 * tokens + 1})
    );
    assert_eq!(micros(second.header("x-pareto-cost-usd")), 1);
    assert_eq!(micros(second.header("x-pareto-saved-usd")), 2 * tokens);
    let third = embed(&pareto, vec![long, short]).await;
    assert_eq!(micros(third.header("x-pareto-saved-usd")), tokens + 1);
    assert_eq!(third.header("x-pareto-model"), MODEL);
    pareto.counts("cost_usd_total", &[], (tokens + 1) as f64 / 1e6).await;
    pareto.counts("saved_usd_total", &[("by", "cache")], (3 * tokens + 1) as f64 / 1e6).await;
    pareto.counts("saved_tokens_total", &[("by", "cache")], (3 * tokens + 1) as f64).await;
}

#[tokio::test]
async fn a_vector_is_shown_as_it_was_asked_for_whatever_the_provider_sent() {
    for fault in [None, Some(Fault::VectorsAsNumbers)] {
        let (pareto, direct) = (Pareto::start("").await, provider().await);
        let text = json!("what both forms say");
        let wanted = truth(&direct, std::slice::from_ref(&text)).await;
        for (fetched_as, others) in [("base64", ["float", "base64"]), ("float", ["base64", "float"])] {
            pareto.admin(Method::DELETE, "/cache").await;
            pareto.provider.always(fault);
            let first = embed(&pareto, text.clone()).set("encoding_format", fetched_as).await;
            assert_eq!(first.json()["data"][0]["embedding"].is_string(), fetched_as == "base64", "{fault:?}");
            assert_eq!(vectors(&first), wanted);
            for format in others {
                let shown = embed(&pareto, text.clone()).set("encoding_format", format).await;
                assert!(shown.is_hit());
                assert_eq!(shown.json()["data"][0]["embedding"].is_string(), format == "base64");
                assert_eq!(vectors(&shown), wanted);
            }
        }
    }
}

#[tokio::test]
async fn what_changes_a_vector_tells_inputs_apart_and_nothing_else_does() {
    let pareto = Pareto::start("").await;
    embed(&pareto, "a").await;
    for (member, value) in [("dimensions", json!(256)), ("model", json!("e")), ("unknown", json!(1))] {
        assert!(!embed(&pareto, "a").set(member, value).await.is_hit(), "{member} is ignored");
    }
    assert!(!embed(&pareto, "a ").await.is_hit() && !embed(&pareto, "A").await.is_hit());
    assert!(!embed(&pareto, "a").by("sk-bob").await.is_hit(), "another's vector");
    for (member, value) in
        [("user", json!("u")), ("encoding_format", json!("base64")), ("dimensions", Value::Null)]
    {
        assert!(embed(&pareto, "a").set(member, value).await.is_hit(), "{member} counts");
    }
    assert_eq!(vectors(&embed(&pareto, "a").set("dimensions", 256).await)[0].len(), 256);
}

#[tokio::test]
async fn texts_tokens_and_equal_inputs_each_have_their_vector() {
    let (pareto, direct) = (Pareto::start("").await, provider().await);
    let inputs =
        [json!("a"), json!([1, 2]), json!("b"), json!("a"), json!([2, 1]), json!([1, 2]), json!("1")];
    let wanted = truth(&direct, &inputs).await;
    let answer = embed(&pareto, inputs.to_vec()).await;
    assert_eq!(vectors(&answer), wanted);
    assert_eq!(answer.cache(), "fwd=miss; stored");
    assert_eq!(
        sent(&pareto),
        [[0, 1, 2, 4, 6].map(|at| inputs[at].clone()).to_vec()],
        "equal ones are sent once"
    );
    let alone = embed(&pareto, json!([1, 2])).await;
    assert!(alone.is_hit(), "a list of tokens is one input");
    assert_eq!(vectors(&alone), [wanted[1].clone()]);
    assert!(!embed(&pareto, json!("[1,2]")).await.is_hit());
}

#[tokio::test]
async fn an_answer_that_leaves_doubt_is_an_error_and_nothing_of_it_is_kept() {
    for fault in [Fault::VectorsSwapped, Fault::VectorsMissing, Fault::VectorsTwice] {
        let pareto = Pareto::start("").await;
        pareto.provider.next(fault);
        let inputs = texts(0..3);
        let broken = embed(&pareto, inputs.clone()).await;
        broken.assert_refused(502, "pareto_upstream_failed");
        assert!(broken.text().contains("vectors"), "{fault}: {}", broken.text());
        assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0);
        assert_eq!(vectors(&embed(&pareto, inputs).await).len(), 3);
    }
}

#[tokio::test]
async fn a_refusal_passes_as_the_provider_wrote_it() {
    let (pareto, direct) = (Pareto::start("").await, provider().await);
    let refused = embed(&pareto, vec![json!("a"), json!("")]).await;
    let plain = Client::new().post(format!("{}/embeddings", direct.url())).bearer_auth("sk-x");
    let body = json!({"model": MODEL, "input": ["a", ""]}).to_string();
    let plain =
        Answer::of(plain.header("content-type", "application/json").body(body).send().await.unwrap()).await;
    assert_eq!((refused.status, refused.text()), (400, plain.text()));
    assert!(refused.headers.contains_key("x-ratelimit-remaining-requests"));
    pareto.provider.next(Fault::RateLimited);
    let limited = embed(&pareto, "a").await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, "1"));
    assert_eq!(embed(&pareto, "a").await.cache(), "fwd=miss; stored");
}

#[tokio::test]
async fn what_is_no_usual_request_goes_as_it_is() {
    let pareto = Pareto::start("").await;
    for body in [
        json!({"model": MODEL, "input": []}),
        json!({"model": MODEL, "input": {"image": "x"}}),
        json!({"model": MODEL, "input": "a", "output_dtype": "int8"}),
        json!({"model": MODEL, "input": "a", "encoding_format": "ubinary"}),
    ] {
        pareto.ask(EMBEDDINGS, body.clone()).await;
        assert_eq!(pareto.provider.calls().last().unwrap().json(), body);
    }
}

#[tokio::test]
async fn an_input_being_fetched_is_fetched_once() {
    let (pareto, direct) = (Pareto::start("").await, provider().await);
    let (a, b, c) = (json!("a"), json!("b"), json!("c"));
    pareto.provider.hold(Hold::BeforeHead);
    let first = embed(&pareto, vec![a.clone(), b.clone()]).spawn();
    within("the first call", pareto.provider.received(1)).await;
    let second = embed(&pareto, vec![c.clone(), b.clone()]).spawn();
    let third = embed(&pareto, b.clone()).spawn();
    within("the second call", pareto.provider.received(2)).await;
    pareto.waiting(2).await;
    pareto.provider.release();
    assert_eq!(vectors(&first.await.unwrap()), truth(&direct, &[a.clone(), b.clone()]).await);
    let second = second.await.unwrap();
    assert_eq!(second.cache(), "fwd=partial; detail=\"1/2\"");
    assert_eq!(vectors(&second), truth(&direct, &[c.clone(), b.clone()]).await);
    assert_eq!(third.await.unwrap().cache(), "fwd=miss; collapsed");
    assert_eq!(sent(&pareto), [vec![a, b.clone()], vec![c]]);
    pareto.counts("saved_inputs_total", &[("by", "coalesce")], 2.0).await;
}

#[tokio::test]
async fn anothers_bad_input_is_not_a_followers() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::BeforeHead);
    let bad = embed(&pareto, vec![json!("a"), json!("")]).spawn();
    within("the bad call", pareto.provider.received(1)).await;
    let good = embed(&pareto, "a").spawn();
    pareto.waiting(1).await;
    pareto.provider.release();
    assert_eq!(bad.await.unwrap().status, 400);
    assert_eq!(good.await.unwrap().status, 200);
    assert_eq!(pareto.provider.total(), 2);
}

#[tokio::test]
async fn who_leaves_takes_nothing_from_those_who_wait() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::BeforeHead);
    let leaver = embed(&pareto, vec![json!("a"), json!("b")]).spawn();
    within("the call", pareto.provider.received(1)).await;
    let stays = embed(&pareto, "b").spawn();
    pareto.waiting(1).await;
    leaver.abort();
    pareto.becomes("active_requests", &[], 1.0).await;
    pareto.provider.release();
    assert_eq!(stays.await.unwrap().status, 200);
    assert_eq!((pareto.provider.total(), pareto.provider.hung_up()), (1, 0));
}

#[tokio::test]
async fn the_last_to_leave_stops_the_call() {
    let pareto = Pareto::start("").await;
    pareto.provider.hold(Hold::BeforeHead);
    let only = embed(&pareto, "a").spawn();
    within("the call", pareto.provider.received(1)).await;
    only.abort();
    within("the call to be stopped", pareto.provider.left(1)).await;
    pareto.provider.release();
    assert_eq!(embed(&pareto, "a").await.cache(), "fwd=miss; stored");
}

#[tokio::test]
async fn two_hundred_clients_with_common_inputs_each_get_their_own_vectors() {
    let (pareto, direct) = (Pareto::start("").await, provider().await);
    let all = texts(0..40);
    let wanted = truth(&direct, &all).await;
    // Each asks for five neighbours out of forty, from places that overlap.
    let asked: Vec<Vec<usize>> =
        (0..200).map(|client| (0..5).map(|step| (client * 7 + step * 3) % 40).collect()).collect();
    let clients = asked.iter().enumerate().map(|(client, places)| {
        let inputs: Vec<_> = places.iter().map(|place| all[*place].clone()).collect();
        embed(&pareto, inputs).set("encoding_format", if client % 2 == 0 { "float" } else { "base64" })
    });
    let answers = join_all(clients.map(Ask::spawn)).await;
    for (answer, places) in answers.into_iter().zip(&asked) {
        let own: Vec<_> = places.iter().map(|place| wanted[*place].clone()).collect();
        assert_eq!(vectors(&answer.unwrap()), own, "{places:?}");
    }
    let mut sent: Vec<String> = sent(&pareto).concat().iter().map(Value::to_string).collect();
    sent.sort_unstable();
    let total = sent.len();
    sent.dedup();
    assert_eq!((sent.len(), total), (40, 40), "an input was sent twice");
}

#[tokio::test]
async fn directives_and_purges_hold_for_vectors_too() {
    let pareto = Pareto::start("").await;
    embed(&pareto, "a").await;
    assert_eq!(embed(&pareto, "a").cache_control("no-cache").await.cache(), "fwd=request; stored");
    assert!(embed(&pareto, "a").cache_control("no-store").await.cache().starts_with("fwd=bypass"));
    assert!(embed(&pareto, "a").cache_control("only-if-cached").await.is_hit());
    let none = embed(&pareto, vec![json!("a"), json!("b")]).cache_control("only-if-cached").await;
    none.assert_refused(504, "pareto_not_cached");
    assert_eq!(pareto.provider.total(), 3);
    for query in ["model=other", "tenant=nobody", "tag=t", "key=zz"] {
        assert_eq!(pareto.admin(Method::DELETE, &format!("/cache?{query}")).await.json()["removed"], 0);
    }
    assert_eq!(pareto.admin(Method::DELETE, &format!("/cache?model={MODEL}")).await.json()["removed"], 1);
    assert!(!embed(&pareto, "a").await.is_hit());
}

#[tokio::test]
async fn vectors_age_by_a_time_of_their_own() {
    let pareto = Pareto::start("cache: {embeddings: {ttl: 0s}}").await;
    assert_eq!(embed(&pareto, "a").await.cache(), "fwd=miss");
    assert_eq!(embed(&pareto, "a").await.cache(), "fwd=miss");
    let pareto = Pareto::start("cache: {embeddings: {ttl: 12h}}").await;
    embed(&pareto, "a").await;
    let hit = embed(&pareto, "a").await;
    assert!(hit.cache().starts_with("hit; ttl=43") && hit.is_hit(), "{}", hit.cache());
}

#[tokio::test]
async fn a_cache_that_only_observes_counts_requests_it_would_have_served() {
    let pareto = Pareto::start("features: {cache: observe}").await;
    for _ in 0..3 {
        assert!(!embed(&pareto, "a").await.is_hit());
    }
    assert_eq!(pareto.provider.total(), 3);
    pareto.counts("observed_calls_total", &[("by", "cache")], 2.0).await;
    assert_eq!(pareto.metric("saved_inputs_total", &[]).await, 0.0);
}

#[tokio::test]
async fn with_everything_off_a_request_passes_whole() {
    let pareto = Pareto::start("features: {cache: off, coalesce: off, batch: off}").await;
    let body = json!({"input": ["a", "a"], "model": MODEL});
    assert_eq!(pareto.ask(EMBEDDINGS, body.clone()).await.status, 200);
    assert_eq!(pareto.provider.calls()[0].json(), body);
}
