//! Vectors that outlive their process, or their time.

use std::path::Path;

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::embeddings::{embed, sent, texts, truth, vectors};
use crate::harness::{Answer, Fault, Pareto, provider, until, within};

fn on(path: &Path, key: &str) -> String {
    let key = if key.is_empty() { String::new() } else { format!(", encryption_key: \"{key}\"") };
    format!("storage: {{memory: 8MiB, disk: {{path: \"{}\", size: 256MiB}}{key}}}\n", path.display())
}

/// A sidecar that has embedded these and has them on disk.
async fn filled(settings: &str, inputs: Vec<Value>) -> Pareto {
    let pareto = Pareto::start(settings).await;
    assert_eq!(embed(&pareto, inputs).await.cache(), "fwd=miss; stored");
    until("the write", async || pareto.metric("cache_bytes", &[("tier", "disk")]).await != 0.0).await;
    pareto
}

/// The same sidecar, started again.
async fn again(pareto: Pareto, settings: &str) -> Pareto {
    let pareto = Pareto::before(pareto.stop().await, settings);
    // The process that had it before may still be letting go of it.
    pareto.becomes("cache_tier_up", &[("tier", "disk")], 1.0).await;
    pareto
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn vectors_outlive_a_restart_sealed_or_not() {
    let direct = provider().await;
    for key in ["", KEY] {
        let directory = TempDir::new().unwrap();
        let settings = on(directory.path(), key);
        let inputs = texts(0..300);
        let first = filled(&settings, inputs.clone()).await;
        let second = again(first, &settings).await;
        let calls = second.provider.total();
        let asked = [299, 0, 128, 127].map(|at| inputs[at].clone());
        let known = embed(&second, asked.to_vec()).set("encoding_format", "base64").await;
        assert!(
            known.cache().starts_with("hit; ") && known.cache().ends_with("detail=disk"),
            "{}",
            known.cache()
        );
        assert_eq!(vectors(&known), truth(&direct, &asked).await);
        assert!(embed(&second, asked.to_vec()).await.cache().ends_with("detail=memory"));
        let all = embed(&second, inputs.clone()).await;
        assert!(all.cache().starts_with("hit; ") && vectors(&all).len() == 300, "{}", all.cache());
        assert_eq!(second.provider.total(), calls, "nothing was asked again");
        assert_eq!(embed(&second, inputs[0].clone()).by("sk-bob").await.cache(), "fwd=miss; stored");
    }
}

#[tokio::test]
async fn vectors_that_were_purged_or_sealed_with_another_key_stay_away() {
    let directory = TempDir::new().unwrap();
    let settings = on(directory.path(), KEY);
    let first = filled(&settings, texts(0..2)).await;
    let second = again(first, &on(directory.path(), "fedcba9876543210fedcba9876543210")).await;
    assert_eq!(embed(&second, texts(0..1)).await.cache(), "fwd=miss; stored");
    let third = again(second, &settings).await;
    assert!(embed(&third, texts(0..2)).await.cache().ends_with("detail=disk"));
    third.admin(Method::DELETE, "/cache?tenant=nobody").await;
    assert!(embed(&third, texts(0..2)).await.is_hit());
    third.admin(Method::DELETE, "/cache").await;
    let fourth = again(third, &settings).await;
    assert_eq!(embed(&fourth, texts(0..2)).await.cache(), "fwd=miss; stored");
}

/// Asks until the stored vector has outlived its millisecond.
async fn until_stale(pareto: &Pareto, inputs: usize) -> Answer {
    within("a vector to age by a millisecond", async {
        loop {
            let answer = embed(pareto, texts(0..inputs)).await;
            if !answer.is_hit() {
                return answer;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_stale_vector_is_better_than_an_error_and_no_new_one_is() {
    let pareto = Pareto::start("cache: {embeddings: {ttl: 1ms}, stale: {if_error: 1h}}").await;
    let old = embed(&pareto, texts(0..3)).await;
    pareto.provider.always(Some(Fault::Status(503)));
    let stale = until_stale(&pareto, 3).await;
    assert!(
        stale.cache().starts_with("hit; ") && stale.cache().ends_with("detail=stale"),
        "{}",
        stale.cache()
    );
    assert_eq!(vectors(&stale), vectors(&old));
    pareto.provider.always(Some(Fault::ResetBeforeHead));
    assert_eq!(vectors(&embed(&pareto, texts(1..3)).await), vectors(&old)[1..]);
    // What was never known cannot be stood in for, and nothing is answered in part.
    assert_eq!(embed(&pareto, texts(0..4)).await.status, 502);
    pareto.provider.always(Some(Fault::Status(401)));
    assert_eq!(embed(&pareto, texts(0..3)).await.status, 401);
    pareto.provider.always(None);
    assert_eq!(embed(&pareto, texts(0..3)).await.cache(), "fwd=miss; stored");
    assert!(pareto.metric("requests_total", &[("outcome", "stale")]).await >= 2.0);
}

#[tokio::test]
async fn a_stale_vector_is_fetched_anew_beside_fresh_ones() {
    let pareto = Pareto::start("").await;
    embed(&pareto, texts(0..2)).await;
    let anew = embed(&pareto, texts(0..3)).cache_control("max-age=0").await;
    assert_eq!(anew.status, 200);
    pareto.provider.always(Some(Fault::Status(500)));
    let spare = embed(&pareto, texts(0..3)).cache_control("max-age=0, stale-if-error=60").await;
    assert_eq!(vectors(&spare), vectors(&anew));
    assert_eq!(sent(&pareto)[0].len(), 2);
}
