//! A Redis that answers, but late: it costs one time-out once, and what it says too late is nobody's.

use futures_util::future::join_all;

use super::round_trips::landed;
use super::{in_use, shares_again, sidecars_with};
use crate::harness::{Pareto, Redis, Slow};

fn through(slow: &Slow) -> String {
    format!("storage: {{redis: {{url: \"redis://127.0.0.1:{}\", timeout: 400ms, lease: 20s}}}}\n", slow.port)
}

/// Asks something new, which must be answered by the provider.
async fn asked(pareto: &Pareto, text: &str) {
    let answer = pareto.chat(text).await;
    assert!(answer.status == 200 && answer.whole, "{}", answer.text());
    assert!(answer.cache().starts_with("fwd=miss"), "{}", answer.cache());
}

#[tokio::test]
async fn the_first_request_pays_one_timeout_and_none_after_it() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port).await;
    let [first, second] = sidecars_with(&through(&slow)).await;
    first.chat("before").await;
    landed(&redis, 1).await;
    let mut watch = redis.watch().await;
    slow.hold();
    asked(&first, "slow").await;
    in_use(&first, false).await;
    for number in 0..20 {
        asked(&first, &format!("slow {number}")).await;
        assert!(first.chat("before").await.is_hit());
    }
    // One look-up has reached Redis, or none where something else met the time-out first; no other
    // request has asked it anything.
    let names = watch.names("pareto:{").await;
    assert!(names.is_empty() || names == ["GET"], "{names:?}");
    slow.release();
    shares_again([&first, &second]).await;
    // What came too late was never taken for an answer to something else.
    let found = second.chat("before").await;
    assert_eq!(
        (found.cache().ends_with("detail=redis"), found.body),
        (true, first.chat("before").await.body)
    );
}

#[tokio::test]
async fn requests_that_meet_it_together_pay_one_timeout_together() {
    let redis = Redis::start().await;
    let slow = Slow::to(redis.port).await;
    let [first, second] = sidecars_with(&through(&slow)).await;
    let mut watch = redis.watch().await;
    slow.hold();
    let texts: Vec<String> = (0..50).map(|number| format!("together {number}")).collect();
    join_all(texts.iter().map(|text| asked(&first, text))).await;
    // At most the look-up of each: nobody who has waited in vain asks again, to store or to share.
    let names = watch.names("pareto:{").await;
    assert!(names.len() <= 50 && names.iter().all(|name| name == "GET"), "{names:?}");
    join_all(texts.iter().map(|text| async { assert!(first.chat(text).await.is_hit()) })).await;
    assert_eq!(watch.names("pareto:{").await, [""; 0]);
    slow.release();
    shares_again([&first, &second]).await;
}

#[tokio::test]
async fn a_server_that_stands_still_under_load_is_asked_by_nobody_until_it_goes_on() {
    let redis = Redis::start().await;
    let [first, second] = sidecars_with(&redis.storage_with("timeout: 400ms, lease: 20s")).await;
    let mut watch = redis.watch().await;
    redis.signal("STOP");
    let texts: Vec<String> = (0..100).map(|number| format!("stopped {number}")).collect();
    join_all(texts[..50].iter().map(|text| asked(&first, text))).await;
    in_use(&first, false).await;
    join_all(texts[50..].iter().map(|text| asked(&first, text))).await;
    redis.signal("CONT");
    // It reads what was sent while it stood still: at most one look-up of each who met it so.
    let names = watch.names("pareto:{").await;
    assert!(names.len() <= 50 && names.iter().all(|name| name == "GET"), "{names:?}");
    shares_again([&first, &second]).await;
}
