//! What rules remember of vector stores is void on all sidecars once one of them sees a write pass.

use std::time::Instant;

use http::Method;
use serde_json::json;

use super::sidecars_with;
use crate::harness::{Answer, Ask, Pareto, Redis, until, within};

const RULES: &str = "rules: [{name: empty, when: {endpoint: vector_store_search, files: 0}, then: {answer: no_results}}, \
                     {name: off-topic, when: {endpoint: vector_store_search, relevance: {below: 0.3, min_examples: 3}}, then: {answer: no_results}}]\n";
const OFF_TOPIC: &str = "quantum chromodynamics lattice";

async fn pair(redis: &Redis) -> [Pareto; 2] {
    sidecars_with(&format!("{RULES}{}", redis.storage())).await
}

fn search(pareto: &Pareto, store: &str, query: &str) -> Ask {
    pareto.ask(&format!("/v1/vector_stores/{store}/search"), json!({"query": query}))
}

/// Something that passes through `pareto` unread.
async fn passes(pareto: &Pareto, method: Method, path: &str) {
    Answer::of(pareto.request(method, path).bearer_auth("sk-alice").send().await.unwrap()).await;
}

/// Whether `pareto` has seen enough of `vs_1` to tell what it is about.
async fn knows(pareto: &Pareto) -> bool {
    let headers = json!({"authorization": "Bearer sk-alice"});
    let body = json!({"query": OFF_TOPIC});
    let described = json!({"endpoint": "/v1/vector_stores/vs_1/search", "headers": headers, "body": body});
    let explained = pareto.explain(described).await.json();
    !explained["rules"]["off-topic"]["why"].as_str().unwrap().contains("examples are known")
}

/// How often the provider was asked how many files a store has.
fn counted(pareto: &Pareto) -> usize {
    let calls = pareto.provider.calls();
    calls.iter().filter(|call| call.method == "GET" && call.path() == "/v1/vector_stores/vs_empty").count()
}

#[tokio::test]
async fn a_write_that_passes_one_sidecar_makes_the_file_counts_of_all_void() {
    for path in ["/v1/vector_stores/vs_empty/files/file-1", "/v1/files/file-1"] {
        let redis = Redis::start().await;
        let [first, second] = pair(&redis).await;
        // A count is read anew after five seconds anyhow: only what is sooner proves anything.
        within("a count that is void before its time", async {
            loop {
                let start = Instant::now();
                assert_eq!(search(&second, "vs_empty", "a").await.header("x-pareto-rule"), "empty");
                let before = counted(&second);
                passes(&first, Method::DELETE, path).await;
                while counted(&second) == before && start.elapsed() < pareto::rules::stores::HOLDS {
                    search(&second, "vs_empty", "a").await;
                }
                if counted(&second) > before && start.elapsed() < pareto::rules::stores::HOLDS {
                    return;
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_write_or_a_purge_on_one_sidecar_makes_what_all_have_seen_void() {
    let redis = Redis::start().await;
    let [first, second] = pair(&redis).await;
    for (number, write) in ["/v1/vector_stores/vs_1/files/file-1", "/v1/files/file-1", "purge", "purge all"]
        .into_iter()
        .enumerate()
    {
        let query = format!("anything {number}");
        assert_eq!(search(&second, "vs_1", &query).await.header("x-pareto-rule"), "");
        until("the results to be learned", async || knows(&second).await).await;
        assert_eq!(search(&second, "vs_1", OFF_TOPIC).await.header("x-pareto-rule"), "off-topic");
        match write {
            "purge" => drop(first.admin(Method::DELETE, "/cache?tag=vector_store:vs_1").await),
            "purge all" => drop(first.admin(Method::DELETE, "/cache").await),
            path => passes(&first, Method::DELETE, path).await,
        }
        until("what was seen to be void", async || !knows(&second).await).await;
    }
}
