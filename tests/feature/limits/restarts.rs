//! Counts outlive the process: one that ends in order, and one that is killed.

use tempfile::TempDir;

use crate::harness::{Ask, Binary, Hold, Provider, chat, provider, within};

fn file(provider: &Provider, directory: &TempDir) -> String {
    format!(
        "providers: {{sim: {{url: \"{}\"}}}}\nstorage: {{disk: {{path: \"{}\", size: 256MiB}}}}\nlimits: [{{name: kept, per: tenant, requests: 200/day}}]",
        provider.url(),
        directory.path().display()
    )
}

fn ask(binary: &Binary, text: &str) -> Ask {
    let url = format!("http://{}/v1/chat/completions", binary.address);
    let ask = Ask::new(reqwest::Client::new().post(url), chat(text));
    ask.with("x-tenant-id", "acme").cache_control("no-store")
}

#[tokio::test]
async fn counts_go_on_after_an_end_in_order() {
    let (provider, directory) = (provider().await, TempDir::new().unwrap());
    let first = Binary::start(&file(&provider, &directory)).await;
    for number in 0..7 {
        assert_eq!(ask(&first, &format!("{number}")).await.status, 200);
    }
    first.end().await;
    let second = Binary::start(&file(&provider, &directory)).await;
    assert_eq!(second.used().await, 7);
}

#[tokio::test]
async fn what_was_told_of_a_budget_is_not_told_again_after_a_restart() {
    let (provider, hook, directory) = (provider().await, provider().await, TempDir::new().unwrap());
    let alert = format!("alert: {{at: [50%, 100%], forecast: false, webhook: '{}/echo'}}", hook.url());
    let file = file(&provider, &directory).replace("200/day", &format!("4/day, {alert}"));
    let first = Binary::start(&file).await;
    for number in 0..2 {
        assert_eq!(ask(&first, &format!("{number}")).await.status, 200);
    }
    within("the first alert", hook.received(1)).await;
    first.end().await;
    let second = Binary::start(&file).await;
    for number in 2..4 {
        assert_eq!(ask(&second, &format!("{number}")).await.status, 200);
    }
    within("the second alert", hook.received(2)).await;
    let shares: Vec<_> = hook.calls().iter().map(|call| call.json()["share"].clone()).collect();
    assert_eq!(shares, [50, 100]);
    assert_eq!(ask(&second, "one more").await.status, 429);
}

#[tokio::test]
async fn killed_in_the_middle_the_next_process_is_off_by_leases_at_most_and_says_so() {
    let (provider, directory) = (provider().await, TempDir::new().unwrap());
    let first = Binary::start(&file(&provider, &directory)).await;
    for number in 0..20 {
        assert_eq!(ask(&first, &format!("{number}")).await.status, 200);
    }
    provider.hold(Hold::BeforeHead);
    let under_way: Vec<_> = (0..5).map(|n| ask(&first, &format!("under way {n}")).spawn()).collect();
    within("five more calls", provider.received(25)).await;
    first.signal("KILL");
    assert!(!first.exit().await.success());
    under_way.iter().for_each(tokio::task::JoinHandle::abort);
    provider.release();
    let second = Binary::start(&file(&provider, &directory)).await;
    let found = second.used().await;
    // All 25 were sent; a lease is a hundredth of the quota more.
    assert!((25..=27).contains(&found), "{found} after 25 calls");
    let told = second.opening.iter().any(|line| line.contains("leases outstanding") && line.contains("kept"));
    assert_eq!(told, found > 25, "{:?}", second.opening);
    assert_eq!(ask(&second, "goes on").await.status, 200);
}

#[tokio::test]
async fn counts_that_a_full_disk_does_not_take_are_written_once_it_has_room() {
    let (provider, directory) = (provider().await, TempDir::new().unwrap());
    let mut first = Binary::start(&file(&provider, &directory)).await;
    assert_eq!(ask(&first, "before").await.status, 200);
    first.limit_files(Some(1));
    for number in 0..20 {
        assert_eq!(ask(&first, &format!("while full {number}")).await.status, 200);
    }
    first.logs("the counts of limits cannot be written").await;
    first.limit_files(None);
    assert_eq!(ask(&first, "after").await.status, 200);
    first.logs("the counts of limits are written again").await;
    first.signal("KILL");
    assert!(!first.exit().await.success());
    let found = Binary::start(&file(&provider, &directory)).await.used().await;
    assert!((22..=24).contains(&found), "{found} after 22 calls");
}

#[tokio::test]
async fn an_end_in_order_on_a_full_disk_says_that_the_last_counts_are_lost() {
    let (provider, directory) = (provider().await, TempDir::new().unwrap());
    let mut pareto = Binary::start(&file(&provider, &directory)).await;
    assert_eq!(ask(&pareto, "before").await.status, 200);
    pareto.limit_files(Some(1));
    assert_eq!(ask(&pareto, "while full").await.status, 200);
    pareto.signal("TERM");
    pareto.logs("the last counts of limits are not written").await;
    assert!(pareto.exit().await.success());
}
