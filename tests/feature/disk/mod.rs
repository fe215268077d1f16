//! The tier on disk: answers outlive the process, and a broken disk costs nobody an answer.

mod faults;
mod stalls;

use std::path::Path;

use tempfile::TempDir;

use crate::harness::{Binary, Pareto, chat, provider, within};

fn on(path: &Path, more: &str) -> String {
    format!("storage: {{memory: 8MiB, disk: {{path: \"{}\", size: 256MiB}}{more}}}\n", path.display())
}

/// Waits until the answer to "a" is on disk. Where the disk of a busy machine was too slow and the tier off
/// for a moment, the answer is fetched once more.
async fn written(pareto: &Pareto) {
    let mut skipped = 0.0;
    within("the write", async {
        while pareto.metric("cache_bytes", &[("tier", "disk")]).await == 0.0 {
            let now = pareto.metric("cache_writes_skipped_total", &[]).await;
            if now > skipped {
                skipped = now;
                pareto.chat("a").with("cache-control", "no-cache").await;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A sidecar over `path` that has stored the answer to "a".
async fn filled(path: &Path, more: &str) -> (Pareto, Vec<u8>) {
    let pareto = Pareto::start(&on(path, more)).await;
    let answer = pareto.chat("a").await;
    assert_eq!(answer.cache(), "fwd=miss; stored");
    written(&pareto).await;
    (pareto, answer.body)
}

/// The same sidecar, started again.
async fn again(stopped: Pareto, path: &Path, more: &str) -> Pareto {
    let pareto = Pareto::before(stopped.stop().await, &on(path, more));
    // The process that had it before may still be letting go of it.
    pareto.becomes("cache_tier_up", &[("tier", "disk")], 1.0).await;
    pareto
}

const SEALED: &str = ", encryption_key: \"0123456789abcdef0123456789abcdef\"";

#[tokio::test]
async fn an_answer_outlives_a_restart_sealed_or_not() {
    for more in ["", SEALED] {
        let directory = TempDir::new().unwrap();
        let (first, body) = filled(directory.path(), more).await;
        let second = again(first, directory.path(), more).await;
        let answer = second.chat("a").await;
        assert!(answer.cache().starts_with("hit; ") && answer.cache().ends_with("detail=disk"));
        assert_eq!(answer.body, body);
        // It is in memory from then on, and in its other form too.
        assert!(second.chat("a").await.is_hit());
        assert!(second.chat("a").stream().await.is_hit());
        assert_eq!(second.provider.total(), 1);
    }
}

/// Whatever is still on its way to the disk when the process is told to end.
#[tokio::test]
async fn an_answer_given_just_before_an_end_in_order_outlives_it() {
    let (directory, provider) = (TempDir::new().unwrap(), provider().await);
    let yaml = format!("providers: {{sim: {{url: \"{}\"}}}}\n{}", provider.url(), on(directory.path(), ""));
    for round in 0..5 {
        let pareto = Binary::start(&yaml).await;
        let text = format!("last words {round}");
        let last = pareto.chat(&text).await;
        pareto.end().await;
        let found = Binary::start(&yaml).await.chat(&text).await;
        assert!(found.cache().ends_with("detail=disk"), "{}", found.cache());
        assert_eq!(found.body, last.body);
    }
}

#[tokio::test]
async fn a_caller_with_another_key_does_not_get_it_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let (first, _) = filled(directory.path(), "").await;
    let second = again(first, directory.path(), "").await;
    assert_eq!(second.chat("a").by("sk-bob").await.cache(), "fwd=miss; stored");
}

#[tokio::test]
async fn what_was_purged_stays_away_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let (first, _) = filled(directory.path(), "").await;
    first.admin(reqwest::Method::DELETE, "/cache").await;
    let second = again(first, directory.path(), "").await;
    assert_eq!(second.chat("a").await.cache(), "fwd=miss; stored");
}

#[tokio::test]
async fn another_encryption_key_is_a_miss_and_an_old_one_in_the_list_is_not() {
    let directory = TempDir::new().unwrap();
    let (first, _) = filled(directory.path(), SEALED).await;
    let rotated = ", encryption_key: [\"fedcba9876543210fedcba9876543210\", \
                   \"0123456789abcdef0123456789abcdef\"]";
    let second = again(first, directory.path(), rotated).await;
    assert!(second.chat("a").await.cache().ends_with("detail=disk"));
    let third =
        again(second, directory.path(), ", encryption_key: \"fedcba9876543210fedcba9876543210\"").await;
    assert_eq!(third.chat("a").await.cache(), "fwd=miss; stored");
}

#[tokio::test]
async fn nothing_of_prompt_answer_or_credential_is_on_a_sealed_disk() {
    let directory = TempDir::new().unwrap();
    let (pareto, _) = filled(directory.path(), SEALED).await;
    let answer = pareto.chat("a").await.said();
    let word = answer.split(' ').max_by_key(|word| word.len()).unwrap().to_owned();
    pareto.stop().await;
    let mut open = vec![directory.path().to_owned()];
    let mut read = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        read += bytes.len();
        for secret in ["sk-alice", "gpt-4o", "messages", word.as_str()] {
            let shows = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!shows, "{secret} is in {}", path.display());
        }
    }
    assert!(read > 0);
}

#[tokio::test]
async fn a_disk_that_cannot_be_used_is_a_tier_that_is_off() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let pareto = Pareto::start(&on(&file.path().join("below-a-file"), "")).await;
    assert_eq!(pareto.metric("cache_tier_up", &[("tier", "disk")]).await, 0.0);
    assert_eq!(pareto.chat("a").await.cache(), "fwd=miss; stored");
    assert!(pareto.chat("a").await.is_hit());
}

#[tokio::test]
async fn a_disk_that_comes_back_is_used_again() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pareto");
    std::fs::write(&path, "in the way").unwrap();
    let pareto = Pareto::start(&on(&path, "")).await;
    assert_eq!(pareto.metric("cache_tier_up", &[("tier", "disk")]).await, 0.0);
    std::fs::remove_file(&path).unwrap();
    let mut asked = 0;
    within("the disk to be used", async {
        while pareto.metric("cache_tier_up", &[("tier", "disk")]).await == 0.0 {
            asked += 1;
            pareto.chat(&format!("question {asked}")).await;
        }
    })
    .await;
}

/// Killed at a random moment under load, it starts again and serves nothing wrong.
#[tokio::test]
async fn fifty_kills_under_write_load_lose_no_start_and_damage_no_answer() {
    let directory = TempDir::new().unwrap();
    let provider = provider().await;
    let yaml = format!(
        "providers: {{sim: {{url: \"{}\"}}}}\n{}log: {{exchanges: false}}\n",
        provider.url(),
        on(directory.path(), "")
    );
    let client = reqwest::Client::new();
    let mut from_disk = 0;
    for round in 0..50 {
        let pareto = Binary::start(&yaml).await;
        let url = format!("http://{}{}", pareto.address, crate::harness::CHAT);
        let ask = |text: String| client.post(&url).bearer_auth("sk-alice").json(&chat(&text)).send();
        // What the rounds before wrote is right or is not there.
        for text in [format!("{} 0", round - 1), format!("{} 1", round - 1)] {
            let answer = ask(text.clone()).await.unwrap();
            let status = answer.headers().get("cache-status").unwrap().to_str().unwrap().to_owned();
            from_disk += u32::from(status.ends_with("detail=disk"));
            let body: serde_json::Value = answer.json().await.unwrap();
            assert!(body["choices"][0]["message"]["content"].is_string(), "{body}");
        }
        let load = (0..40).map(|number| ask(format!("{round} {number}")));
        let (first, ..) =
            tokio::join!(futures_util::future::select_all(load.map(Box::pin)), std::future::ready(()));
        assert_eq!(first.0.unwrap().status(), 200);
        drop(pareto);
    }
    assert!(from_disk > 0, "nothing was ever found on disk");
}
