//! Embeddings over several providers: another host of the same model may answer, another model never.

use serde_json::{Value, json};

use super::super::embeddings::{EMBEDDINGS, embed, sent, texts, truth, vectors};
use crate::harness::{Fault, Pareto, Provider, provider};

/// Providers `sim` and `other`, and this route of all embedding models.
async fn start(route: &str) -> (Pareto, Provider) {
    let (sim, other) = (provider().await, provider().await);
    let file = file(&sim, &other, route);
    (Pareto::before(sim, &file), other)
}

fn file(sim: &Provider, other: &Provider, route: &str) -> String {
    format!(
        "providers: {{sim: {{url: \"{}\", keys: [sk-sim]}}, other: {{url: \"{}\", keys: [sk-other]}}}}\n\
         routes: [{{models: [\"text-embedding-*\"], {route}}}]\n",
        sim.url(),
        other.url()
    )
}

fn inputs(call: &pareto::demo::provider::Call) -> Value {
    call.json()["input"].clone()
}

#[tokio::test]
async fn a_dead_first_target_leaves_the_inputs_to_another_host_of_the_model() {
    for fault in [Fault::Refuse, Fault::Status(503), Fault::RateLimited, Fault::ResetMidStream] {
        let (pareto, other) = start("targets: [{provider: sim}], fallbacks: [{provider: other}]").await;
        let direct = provider().await;
        embed(&pareto, texts(0..2)).await;
        pareto.provider.always(Some(fault));
        let answer = embed(&pareto, texts(0..4)).await;
        assert_eq!(answer.cache(), "fwd=partial; detail=\"2/4\"", "{fault}");
        assert_eq!(vectors(&answer), truth(&direct, &texts(0..4)).await, "{fault}");
        let call = other.calls().remove(0);
        assert_eq!(
            (inputs(&call), &call.json()["model"]),
            (json!(texts(2..4)), &json!("text-embedding-3-small"))
        );
        assert_eq!(call.header("authorization"), Some("Bearer sk-other"));
        // What the other host said is as good as the first one's.
        assert!(embed(&pareto, texts(0..4)).await.is_hit());
        assert_eq!(other.total(), 1);
    }
}

#[tokio::test]
async fn a_target_with_another_model_is_never_asked() {
    let routes = [
        "targets: [{provider: sim}], fallbacks: [{provider: other, model: text-embedding-3-large}]",
        "targets: [{provider: sim}, {provider: other, model: text-embedding-3-large}]",
        "targets: [{provider: sim, weight: 1}, {provider: other, model: text-embedding-3-large, weight: 1000}], \
         balance: weighted",
    ];
    for route in routes {
        let (pareto, other) =
            start(&format!("{route}, retries: {{attempts: 3, backoff: {{base: 1ms, max: 1ms}}}}")).await;
        for at in 0..10 {
            assert_eq!(embed(&pareto, texts(at..=at)).await.status, 200);
        }
        pareto.provider.always(Some(Fault::Status(503)));
        let failed = embed(&pareto, texts(20..22)).await;
        assert_eq!((failed.status, failed.header("x-should-retry")), (503, "false"), "{route}");
        assert_eq!(other.total(), 0, "{route}");
        assert!(embed(&pareto, texts(0..10)).await.is_hit());
    }
}

#[tokio::test]
async fn both_hosts_of_a_model_share_the_calls_and_the_vectors() {
    let (pareto, other) = start("targets: [{provider: sim}, {provider: other}], balance: weighted").await;
    let direct = provider().await;
    for at in 0..8 {
        embed(&pareto, texts(at..=at)).await;
    }
    assert!(pareto.provider.total() > 0 && other.total() > 0, "one of them was never asked");
    let all = embed(&pareto, texts(0..8)).await;
    assert!(all.is_hit(), "{}", all.cache());
    assert_eq!(vectors(&all), truth(&direct, &texts(0..8)).await);
}

#[tokio::test]
async fn a_route_to_another_model_has_vectors_of_its_own_and_one_to_more_hosts_keeps_them() {
    let (pareto, other) = start("targets: [{provider: sim}]").await;
    embed(&pareto, texts(0..2)).await;
    let reload = async |route: &str| {
        pareto.write(&file(&pareto.provider, &other, route));
        assert_eq!(pareto.admin(http::Method::POST, "/reload").await.status, 200);
    };
    reload("targets: [{provider: sim}, {provider: other}]").await;
    assert!(embed(&pareto, texts(0..2)).await.is_hit());
    reload("targets: [{provider: sim, model: text-embedding-3-large}]").await;
    assert_eq!(embed(&pareto, texts(0..2)).await.cache(), "fwd=miss; stored");
    assert_eq!(pareto.provider.calls().last().unwrap().json()["model"], "text-embedding-3-large");
    // By whatever name the app asks, one model's vectors are one model's.
    let named = json!({"model": "text-embedding-app", "input": texts(0..2)});
    assert!(pareto.ask(EMBEDDINGS, named).await.is_hit());
    reload("targets: [{provider: other}]").await;
    assert_eq!(embed(&pareto, texts(0..2)).await.cache(), "fwd=miss; stored");
    reload("targets: [{provider: sim}]").await;
    assert!(embed(&pareto, texts(0..2)).await.is_hit());
    assert_eq!(sent(&pareto).len(), 2);
}
