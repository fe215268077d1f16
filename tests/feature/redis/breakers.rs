//! What one sidecar finds out about a provider spares the others.

use serde_json::Value;

use super::finding::{
    OPENING, Stage, asked, half_open, one_closes_for_all, one_probes, opens, rests, shown, state_becomes,
};
use crate::harness::{Binary, Fault, Hold, Pareto, until, within};

#[tokio::test]
async fn a_breaker_that_opens_opens_for_all_and_for_those_that_start_later() {
    let stage = Stage::new().await;
    let [first, second] = stage.sidecars().await;
    stage.sim.always(Some(Fault::Status(500)));
    opens(&first).await;
    state_becomes(&second, "open").await;
    assert_eq!(asked(&second, "a").await, "other");
    assert_eq!(stage.sim.total(), u64::from(OPENING));
    second.counts("breaker_state", &[("provider", "sim")], 2.0).await;
    second.counts("breakers_shared_total", &[("event", "learned")], 1.0).await;
    first.counts("breakers_shared_total", &[("event", "told")], 1.0).await;
    assert_eq!(first.metric("breakers_shared_total", &[("event", "learned")]).await, 0.0);
    let late = stage.sidecar().await;
    until("what the others know", async || shown(&late).await["learned"] == true).await;
}

#[tokio::test]
async fn a_key_that_is_refused_is_benched_for_all() {
    let mut stage = Stage::new().await;
    stage.keys = "keys: [sk-one, sk-two]";
    let [first, second] = stage.sidecars().await;
    stage.sim.next(Fault::Status(401));
    assert_eq!(asked(&first, "a").await, "sim");
    let used = |at: usize| stage.sim.calls()[at].header("authorization").unwrap().to_owned();
    let refused = used(0);
    assert_ne!(used(1), refused, "its other key was tried at once");
    second.counts("breakers_shared_total", &[("event", "learned")], 1.0).await;
    let late = stage.sidecar().await;
    late.counts("breakers_shared_total", &[("event", "learned")], 1.0).await;
    for (number, pareto) in [&second, &late, &first, &second, &late].into_iter().enumerate() {
        assert_eq!(asked(pareto, &format!("b {number}")).await, "sim");
        assert_ne!(used(2 + number), refused);
    }
    let kept = stage.servers[0].cli(&["--no-raw", "GET", &stage.kept()[0]]) + &stage.kept().join(" ");
    assert!(!kept.contains("sk-") && !kept.contains("127.0.0.1") && !kept.contains("sim"), "{kept}");
}

#[tokio::test]
async fn a_wait_that_the_provider_asks_for_is_kept_by_all() {
    for fault in [Fault::RateLimitedFor(300), Fault::Quota] {
        let stage = Stage::new().await;
        let [first, second] = stage.sidecars().await;
        stage.sim.next(fault);
        assert_eq!(asked(&first, "a").await, "other");
        rests(&second, if fault == Fault::Quota { "key refused" } else { "rate limited" }).await;
        let left = shown(&second).await["rests_seconds"].as_f64().unwrap();
        assert!((200.0..=300.0).contains(&left), "{left}");
        for text in ["b", "c", "d"] {
            assert_eq!(asked(&second, text).await, "other");
        }
        assert_eq!(stage.sim.total(), 1);
        assert_eq!(shown(&first).await["learned"], false);
        assert_eq!(shown(&second).await["learned"], true);
    }
}

#[tokio::test]
async fn what_is_refused_to_a_callers_own_key_is_nobody_elses_affair() {
    let mut stage = Stage::new().await;
    stage.keys = "keys: []";
    let [first, second] = stage.sidecars().await;
    stage.sim.next(Fault::Quota);
    assert_eq!(asked(&first, "spent").await, "other");
    let another = first.chat("has money").by("sk-bob").await;
    assert_eq!(another.header("x-pareto-provider"), "sim");
    stage.sim.next(Fault::RateLimitedFor(300));
    assert_eq!(asked(&first, "a").await, "other");
    assert_eq!(asked(&second, "b").await, "sim");
    stage.sim.always(Some(Fault::Status(500)));
    for number in 0..OPENING {
        assert_eq!(asked(&second, &format!("c {number}")).await, "other");
    }
    state_becomes(&first, "open").await;
    assert_eq!(shown(&second).await["because"], Value::Null);
}

#[tokio::test]
async fn one_sidecar_of_all_probes_and_its_success_closes_for_all() {
    let stage = Stage::new().await;
    let all = half_open(&stage).await;
    one_closes_for_all(&stage, &all).await;
    let mut left = 0.0;
    for pareto in &all {
        left += pareto.metric("breakers_shared_total", &[("event", "probe_left")]).await;
    }
    assert!(left > 0.0, "the others asked who probes");
}

#[tokio::test]
async fn one_sidecar_of_all_probes_and_its_failure_opens_again_for_all() {
    let stage = Stage::new().await;
    let all = half_open(&stage).await;
    let by = one_probes(&stage, &all).await;
    assert!(by.iter().all(|provider| provider == "other"));
    for (at, pareto) in all.iter().enumerate() {
        state_becomes(pareto, "open").await;
        assert_eq!(asked(pareto, &format!("again {at}")).await, "other");
    }
    assert_eq!(stage.sim.total(), u64::from(OPENING) + 1);
}

#[tokio::test]
async fn the_probe_of_a_sidecar_that_dies_is_anothers_when_its_lease_ends() {
    let mut stage = Stage::new().await;
    stage.storage = stage.servers[0].storage_with("timeout: 500ms, lease: 2s");
    let first = stage.sidecar().await;
    let listeners = stage.listeners();
    let dying = Binary::start(&stage.file()).await;
    until("the other's channel", async || stage.listeners() > listeners).await;
    stage.sim.always(Some(Fault::Status(500)));
    opens(&first).await;
    until("the other to learn", async || {
        dying.metric("breakers_shared_total", &[("event", "learned")]).await >= 1.0
    })
    .await;
    state_becomes(&first, "half_open").await;
    stage.sim.always(None);
    stage.sim.hold(Hold::BeforeHead);
    // Its rest may end a moment later than here.
    let mut number = 0;
    let mut probing = Vec::new();
    within("the probe", async {
        while stage.sim.total() == u64::from(OPENING) {
            number += 1;
            probing.push(dying.chat(&format!("probe {number}")).spawn());
            let _ = dying.metric("active_requests", &[]).await;
        }
    })
    .await;
    assert_eq!(asked(&first, "while it probes").await, "other");
    drop(dying);
    stage.sim.release();
    let mut number = 0;
    within("the probe here", async {
        while asked(&first, &format!("after it {number}")).await != "sim" {
            number += 1;
        }
    })
    .await;
    state_becomes(&first, "closed").await;
    probing.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn without_redis_each_decides_alone_and_tells_the_others_when_it_is_back() {
    let mut stage = Stage::new().await;
    stage.storage = stage.servers[0].storage_with("timeout: 500ms");
    stage.keys = "keys: [sk-one, sk-two]";
    let [first, second] = stage.sidecars().await;
    stage.servers[0].kill();
    super::in_use(&first, false).await;
    super::in_use(&second, false).await;
    stage.sim.next(Fault::Status(401));
    assert_eq!(asked(&first, "a").await, "sim");
    assert_eq!(stage.sim.total(), 2);
    stage.sim.next(Fault::Status(401));
    for text in ["b", "c"] {
        assert_eq!(asked(&second, text).await, "sim");
    }
    assert_eq!(stage.sim.total(), 5, "each finds out for itself");
    stage.servers[0].restart().await;
    for pareto in [&first, &second] {
        super::in_use(pareto, true).await;
        pareto.counts("breakers_shared_total", &[("event", "told")], 1.0).await;
    }
    let late = stage.sidecar().await;
    until("what they found out meanwhile", async || {
        late.metric("breakers_shared_total", &[("event", "learned")]).await >= 1.0
    })
    .await;
}

#[tokio::test]
async fn what_no_sidecar_has_said_is_ignored() {
    let stage = Stage::new().await;
    let first = stage.sidecar().await;
    stage.sim.next(Fault::Quota);
    assert_eq!(asked(&first, "a").await, "other");
    first.counts("breakers_shared_total", &[("event", "told")], 1.0).await;
    let rest = stage.kept().into_iter().find(|key| key.contains(":rest:")).unwrap();
    let breaker = rest.replace(":rest:", ":breaker:");
    let digest = rest.rsplit(':').next().unwrap();
    let word = stage.servers[0].cli(&["GET", &rest]);
    for (at, written) in [
        vec!["SET", &rest, "rubbish", "PX", "100000"],
        // It would last for ever.
        vec!["SET", &rest, &word],
        vec!["SET", &rest, &word.replace("\"version\":1", "\"version\":2"), "PX", "100000"],
        vec!["SET", &rest, &word.replace("\"rest\":", "\"rest\":999"), "PX", "100000"],
    ]
    .into_iter()
    .enumerate()
    {
        stage.servers[0].cli(&written);
        let late = stage.sidecar().await;
        late.counts("breakers_shared_total", &[("event", "ignored")], 1.0).await;
        assert_eq!(asked(&late, &format!("b {at}")).await, "sim");
    }
    stage.servers[0].cli(&["DEL", &rest]);
    stage.servers[0].cli(&["LPUSH", &breaker, "no word at all"]);
    let late = stage.sidecar().await;
    for message in ["", "rubbish", "1 unknown", "-1 x", &"9".repeat(100_000), &format!("1 {digest}")] {
        stage.servers[0].cli(&["PUBLISH", "pareto:targets", message]);
    }
    late.counts("breakers_shared_total", &[("event", "ignored")], 4.0).await;
    assert_eq!(asked(&late, "c").await, "sim");
}

#[tokio::test]
async fn sidecars_that_do_not_share_neither_tell_nor_learn() {
    let mut stage = Stage::new().await;
    let sharing = stage.sidecar().await;
    stage.storage = stage.servers[0].storage_with("timeout: 5s, lease: 20s, breakers: false");
    let alone = Pareto::before(stage.sim.clone(), &stage.file());
    super::in_use(&alone, true).await;
    stage.sim.next(Fault::Quota);
    assert_eq!(asked(&sharing, "a").await, "other");
    sharing.counts("breakers_shared_total", &[("event", "told")], 1.0).await;
    let told = stage.kept();
    assert_eq!(asked(&alone, "b").await, "sim");
    stage.sim.next(Fault::RateLimitedFor(400));
    assert_eq!(asked(&alone, "c").await, "other");
    assert_eq!(shown(&alone).await["because"], "rate limited");
    assert_eq!(stage.kept(), told);
    assert_eq!(shown(&sharing).await["because"], "key refused");
}
