//! Counts that are kept: over an end in order, and over one that was none.

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt;
use tempfile::TempDir;

use super::{Force, request};
use crate::config::limit::Measure;
use crate::limits::ledger::Amounts;

const LIMITS: &str = "  - {name: kept, per: tenant, tokens: 10k/day, requests: 600/hour, concurrent: 9, alert: {forecast: false}}";

async fn uses(force: &Force, tokens: u64) {
    let mut permit = force.limits.admit(&force.ask("acme", request(tokens))).await.ok().unwrap();
    permit.depart();
    permit.attempt().settle(&Amounts::consumed(tokens, 0, 0));
}

fn used(force: &Force) -> [u64; 2] {
    [Measure::Tokens, Measure::Requests].map(|measure| force.standing("acme", measure).used)
}

/// What a crash would leave: the files as they are at this moment.
fn image(from: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &to),
                false => drop(std::fs::copy(entry.path(), to).unwrap()),
            }
        }
    }
    let to = TempDir::new().unwrap();
    copy(from, to.path());
    to
}

#[tokio::test]
async fn after_an_end_in_order_counts_go_on_exactly() {
    let directory = TempDir::new().unwrap();
    let force = Force::kept(LIMITS, Some(directory.path()), Duration::ZERO);
    uses(&force, 123).await;
    uses(&force, 4000).await;
    force.limits.close();
    let left = image(directory.path());
    let next = Force::kept(LIMITS, Some(left.path()), Duration::ZERO);
    assert_eq!(used(&next), [4123, 2]);
    assert_eq!(next.reserved(), 0, "nothing is under way");
    let quarter = Force::kept(LIMITS, Some(image(directory.path()).path()), Duration::from_secs(11));
    assert_eq!(used(&quarter), [4123, 1], "a rate has drained meanwhile");
    let tomorrow = Force::kept(LIMITS, Some(image(directory.path()).path()), Duration::from_secs(86_400));
    assert!(tomorrow.all().is_empty(), "another day, another budget");
}

#[tokio::test]
async fn after_a_crash_a_count_is_over_by_its_leases_at_most_and_never_under() {
    let directory = TempDir::new().unwrap();
    let force = Force::kept(LIMITS, Some(directory.path()), Duration::ZERO);
    let mut rest = 0;
    for round in 1..40u64 {
        uses(&force, round * 3).await;
        rest += round * 3;
        if round % 8 == 0 {
            let under_way = force.limits.admit(&force.ask("acme", request(50))).await.ok().unwrap();
            let next = Force::kept(LIMITS, Some(image(directory.path()).path()), Duration::ZERO);
            let found = used(&next)[0];
            // A lease is for what is reserved and a hundredth of the budget.
            assert!((rest..=rest + 50 + 100).contains(&found), "{found} for {rest}");
            drop(under_way);
        }
    }
}

#[tokio::test]
async fn what_was_told_is_not_told_again_by_the_next_process() {
    let directory = TempDir::new().unwrap();
    let mut force = Force::kept(LIMITS, Some(directory.path()), Duration::ZERO);
    uses(&force, 5000).await;
    assert!(force.alarms.try_recv().is_ok());
    force.limits.close();
    let mut next = Force::kept(LIMITS, Some(image(directory.path()).path()), Duration::ZERO);
    uses(&next, 10).await;
    assert!(next.alarms.try_recv().is_err());
    uses(&next, 3000).await;
    assert_eq!(next.alarms.try_recv().unwrap().used, 8010);
}

#[tokio::test]
async fn a_reset_holds_over_a_restart_and_other_limits_do_not_get_these_counts() {
    let directory = TempDir::new().unwrap();
    let force = Force::kept(LIMITS, Some(directory.path()), Duration::ZERO);
    uses(&force, 500).await;
    force.limits.reset("kept", Some("acme")).await.unwrap();
    force.limits.close();
    let next = Force::kept(LIMITS, Some(image(directory.path()).path()), Duration::ZERO);
    assert!(next.all().is_empty());
    uses(&force, 500).await;
    let renamed = LIMITS.replace("kept", "other");
    let other = Force::kept(&renamed, Some(image(directory.path()).path()), Duration::ZERO);
    assert!(other.all().is_empty());
}

#[tokio::test]
async fn who_leaves_while_a_lease_is_written_leaves_nothing_reserved() {
    let directory = TempDir::new().unwrap();
    let force = Force::kept(LIMITS, Some(directory.path()), Duration::ZERO);
    drop(force.limits.admit(&force.ask("acme", request(50))).now_or_never());
    assert_eq!((force.reserved(), used(&force)), (0, [0, 0]));
}
