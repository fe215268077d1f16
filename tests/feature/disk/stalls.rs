//! A disk that stands still: no call on it returns until it goes on.

use std::path::Path;

use futures_util::future::join_all;
use reqwest::Method;
use tempfile::TempDir;

use super::faults::{DISK, key_of, stored, until_up, yaml};
use crate::harness::{Answer, Binary, Provider, Stall, provider, until};

/// One worker thread: were that held up, nothing would be answered. Every hundred requests need a lease.
fn alone(provider: &Provider, directory: &Path) -> String {
    format!(
        "{}threads: 1\nlimits: [{{name: kept, per: tenant, requests: 10k/day}}]\n",
        yaml(&provider.url(), directory)
    )
}

fn is_fetched(answer: &Answer) -> bool {
    answer.status == 200 && answer.whole && answer.cache().starts_with("fwd=miss")
}

#[tokio::test]
async fn a_disk_that_stands_still_under_load_holds_nobody_up_and_is_used_again() {
    let (directory, provider) = (TempDir::new().unwrap(), provider().await);
    let (stall, file) = (Stall::over(directory.path()), alone(&provider, directory.path()));
    let first = Binary::start(&file).await;
    stored(&first, "on disk").await;
    drop(first);
    let mut pareto = Binary::start_with(&file, &stall.environment()).await;
    until_up(&pareto, true).await;
    let in_memory = stored(&pareto, "in memory").await;
    stall.hold();
    let texts: Vec<String> = (0..100).map(|number| format!("still {number}")).collect();
    let answers = join_all(texts.iter().map(|text| async { pareto.chat(text).await })).await;
    assert!(answers.iter().all(is_fetched));
    until_up(&pareto, false).await;
    assert!(is_fetched(&pareto.chat("on disk").await), "only the disk has it");
    assert_eq!(pareto.chat("in memory").await.body, in_memory.body);
    let purged = key_of(&pareto, "in memory").await;
    assert_eq!(pareto.admin(Method::DELETE, &format!("/cache?key={purged}")).await.status, 200);
    let before = pareto.used().await;
    let more =
        join_all(texts.iter().map(|text| async { pareto.chat(text).cache_control("no-cache").await })).await;
    assert!(more.iter().all(|answer| answer.status == 200 && answer.whole));
    assert_eq!(pareto.used().await, before + 100);
    pareto.logs("the counts of limits are not written in time").await;
    stall.release();
    pareto.logs("the counts of limits are written again").await;
    until_up(&pareto, true).await;
    let after = pareto.chat("after").await;
    pareto.end().await;
    let again = Binary::start(&file).await;
    let found = again.chat("after").await;
    assert!(found.cache().ends_with("detail=disk"), "{}", found.cache());
    assert_eq!(found.body, after.body);
    assert!(is_fetched(&again.chat("in memory").await), "it was purged while the disk stood still");
    assert!(again.used().await >= before + 100);
}

#[tokio::test]
async fn a_disk_that_stands_still_at_the_start_is_waited_for_only_so_long_and_used_once_it_goes_on() {
    let (directory, provider) = (TempDir::new().unwrap(), provider().await);
    let (stall, file) = (Stall::over(directory.path()), alone(&provider, directory.path()));
    let first = Binary::start(&file).await;
    // The purges that the store remembers have higher numbers than one that does not know of them.
    for text in ["a", "b", "c"] {
        let key = key_of(&first, text).await;
        first.admin(Method::DELETE, &format!("/cache?key={key}")).await;
    }
    let kept = first.chat("kept").await;
    let purged = async |pareto: &Binary| pareto.chat("purged").with("x-tenant-id", "acme").await;
    purged(&first).await;
    first.end().await;
    stall.hold();
    let pareto = Binary::start_with(&file, &stall.environment()).await;
    assert_eq!(pareto.metric("cache_tier_up", &DISK).await, 0.0);
    assert!(is_fetched(&pareto.chat("at the start").await));
    assert!(pareto.chat("at the start").await.is_hit());
    assert_eq!(pareto.admin(Method::DELETE, "/cache?tenant=acme").await.status, 200);
    stall.release();
    until_up(&pareto, true).await;
    until("what was stored before the start", async || {
        let answer = pareto.chat("kept").cache_control("only-if-cached").await;
        answer.cache().ends_with("detail=disk") && answer.body == kept.body
    })
    .await;
    assert!(is_fetched(&purged(&pareto).await), "it was purged before the store was open");
}

#[tokio::test]
async fn an_end_in_order_does_not_wait_for_a_disk_that_stands_still() {
    let (directory, provider) = (TempDir::new().unwrap(), provider().await);
    let (stall, file) = (Stall::over(directory.path()), alone(&provider, directory.path()));
    let pareto = Binary::start_with(&file, &stall.environment()).await;
    stored(&pareto, "a").await;
    stall.hold();
    assert!(is_fetched(&pareto.chat("b").await));
    pareto.end().await;
}
