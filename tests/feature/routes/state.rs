//! What a provider keeps is asked of that provider again.

use http::Method;
use serde_json::json;

use super::Two;

const BOTH: &str = "targets: [{provider: sim}, {provider: other}]";

#[tokio::test]
async fn a_response_is_continued_where_it_was_made() {
    let two = Two::start(BOTH).await;
    // Simulated providers number their ids; these must not be alike.
    for _ in 0..100 {
        reqwest::get(format!("{}/models", two.other.url())).await.unwrap();
    }
    let ask = |extra: serde_json::Value| {
        let mut body = json!({"model": "gpt-4o", "input": "hi"});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        two.pareto.ask("/v1/responses", body)
    };
    for stream in [false, true] {
        let mut made = Vec::new();
        for _ in 0..4 {
            let answer = ask(json!({"stream": stream})).await;
            let provider = answer.header("x-pareto-provider").to_owned();
            let text = answer.text();
            let id = text.split("\"resp_").nth(1).unwrap().split('"').next().unwrap();
            made.push((provider, format!("resp_{id}")));
        }
        assert!(made.iter().any(|(provider, _)| provider == "sim"), "they share the load");
        assert!(made.iter().any(|(provider, _)| provider == "other"), "they share the load");
        for (provider, id) in made {
            for text in ["a", "b", "c"] {
                let next = ask(json!({"previous_response_id": id, "input": text})).await;
                assert_eq!(next.header("x-pareto-provider"), provider);
            }
            let before = two.asked();
            two.pareto.request(Method::GET, &format!("/v1/responses/{id}")).send().await.unwrap();
            let after = two.asked();
            let asked = (after.0 - before.0, after.1 - before.1);
            assert_eq!(asked, if provider == "sim" { (1, 0) } else { (0, 1) }, "the path names it");
        }
    }
}

#[tokio::test]
async fn files_and_stores_stay_where_unread_requests_go() {
    let two = Two::start("targets: [{provider: other}, {provider: sim}]").await;
    for path in ["/v1/files/file-abc", "/v1/batches/batch_abc", "/v1/vector_stores/vs_abc"] {
        two.pareto.request(Method::GET, path).send().await.unwrap();
    }
    two.pareto.ask("/v1/vector_stores/vs_abc/search", json!({"query": "q"})).await;
    assert_eq!(two.asked(), (4, 0));
    let tools = json!([{"type": "file_search", "vector_store_ids": ["vs_abc12345"]}]);
    for text in ["a", "b", "c", "d"] {
        let body = json!({"model": "gpt-4o", "input": text, "tools": tools});
        assert_eq!(two.pareto.ask("/v1/responses", body).await.header("x-pareto-provider"), "sim");
    }
}
