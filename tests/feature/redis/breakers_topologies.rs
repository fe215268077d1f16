//! What one sidecar finds out about a provider spares the others where Redis is a Cluster, and where a
//! replica takes over.

use super::cluster::{self, Moving, cluster};
use super::finding::{Stage, all_shown, asked, half_open, one_closes_for_all, opens, shown};
use super::sentinels::{leads, replicated};
use super::shares_again;
use crate::harness::{Fault, Pareto, until, within};

/// A stage on a Cluster, used with these settings.
async fn on_a_cluster(more: &str) -> Stage {
    let nodes = cluster().await;
    let url = format!("redis+cluster://127.0.0.1:{}", nodes[0].port);
    Stage::on(nodes.into(), format!("storage: {{redis: {{url: \"{url}\", {more}}}}}\n")).await
}

/// Waits until a sidecar knows of so many keys of `sim` that they are refused.
async fn knows_refused(pareto: &Pareto, keys: usize) {
    until(&format!("{keys} refused keys"), async || {
        let shown = all_shown(pareto).await;
        shown.iter().filter(|key| key["because"] == "key refused").count() == keys
    })
    .await;
}

#[tokio::test]
async fn on_a_cluster_a_breaker_opens_for_all_and_one_of_all_probes() {
    let stage = on_a_cluster("timeout: 5s, lease: 20s").await;
    let all = half_open(&stage).await;
    one_closes_for_all(&stage, &all).await;
}

#[tokio::test]
async fn on_a_cluster_a_refused_key_is_benched_for_all_and_for_those_that_start_later() {
    let mut stage = on_a_cluster("timeout: 5s, lease: 20s").await;
    stage.keys = "keys: [sk-one, sk-two]";
    let [first, second] = stage.sidecars().await;
    for refused in 1..=2 {
        stage.sim.next(Fault::Status(401));
        let by = if refused == 1 { "sim" } else { "other" };
        assert_eq!(asked(&first, &format!("refused {refused}")).await, by);
        knows_refused(&second, refused).await;
        let late = stage.sidecar().await;
        knows_refused(&late, refused).await;
        let before = stage.sim.total();
        for pareto in [&second, &late] {
            assert_eq!(asked(pareto, &format!("b {refused}")).await, by);
        }
        // The second of the same question is shared.
        assert!(stage.sim.total() <= before + 1);
    }
}

#[tokio::test]
async fn what_is_found_out_while_its_slot_moves_is_told_when_it_has_moved() {
    let stage = on_a_cluster("timeout: 500ms, lease: 2s").await;
    let [first, second] = stage.sidecars().await;
    let moving = Moving::begin(&stage.servers, "{pareto:targets}");
    stage.sim.always(Some(Fault::Status(500)));
    opens(&first).await;
    until("what was not told", async || first.metric("redis_errors_total", &[]).await >= 1.0).await;
    // A slot on the move is no reason to do without the rest of the Cluster.
    assert_eq!(first.metric("cache_tier_up", &[("tier", "redis")]).await, 1.0);
    shares_again([&first, &second]).await;
    assert_eq!(stage.kept().len(), 0);
    moving.end();
    let late = stage.sidecar().await;
    for pareto in [&second, &late] {
        until("the word of it", async || shown(pareto).await["learned"] == true).await;
    }
}

#[tokio::test]
async fn where_a_node_of_a_cluster_hangs_the_others_are_heard() {
    let nodes = cluster::replicated().await;
    let [first, second] = [0, 1].map(|at: usize| format!("127.0.0.1:{}", nodes[at].port));
    let settings = format!("url: \"redis+cluster://{first},{second}\", timeout: 500ms, lease: 2s");
    let mut stage = Stage::on(nodes.into(), format!("storage: {{redis: {{{settings}}}}}\n")).await;
    let all: [Pareto; 2] = stage.sidecars().await;
    let hangs = stage.servers.remove(0);
    hangs.signal("STOP");
    leads(&stage.servers[2]).await;
    within("both to be heard again", async {
        let mut number = 0;
        while stage.listeners() < 2 {
            number += 1;
            for pareto in &all {
                assert_eq!(asked(pareto, &format!("{number}")).await, "sim");
            }
        }
    })
    .await;
    stage.sim.next(Fault::Quota);
    assert_eq!(asked(&all[0], "refused").await, "other");
    knows_refused(&all[1], 1).await;
    knows_refused(&stage.sidecar().await, 1).await;
}

/// How a master ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Killed,
    /// Connections to it neither work nor break.
    Stopped,
    /// It lives on as a replica.
    HandedOver,
}

#[tokio::test]
async fn a_failover_by_sentinel_loses_no_discovery_and_those_after_it_are_told_too() {
    for end in [End::Killed, End::Stopped, End::HandedOver] {
        let (servers, sentinel) = replicated().await;
        let storage =
            format!("storage: {{redis: {{url: \"{}\", timeout: 500ms, lease: 2s}}}}\n", sentinel.url());
        let mut stage = Stage::on(servers.into(), storage).await;
        stage.keys = "keys: [sk-one, sk-two]";
        let [first, second] = stage.sidecars().await;
        stage.sim.next(Fault::Status(401));
        assert_eq!(asked(&first, "before").await, "sim");
        knows_refused(&second, 1).await;
        let mut master = stage.servers.remove(0);
        match end {
            End::Killed => master.kill(),
            End::Stopped => master.signal("STOP"),
            End::HandedOver => sentinel.hands_over().await,
        }
        leads(&stage.servers[0]).await;
        until("both to listen there", async || stage.listeners() == 2).await;
        // What was known is, to those that knew it and to those that did not.
        let late = stage.sidecar().await;
        knows_refused(&late, 1).await;
        for (at, pareto) in [&first, &second, &late].into_iter().enumerate() {
            assert_eq!(asked(pareto, &format!("after {at}")).await, "sim");
        }
        assert_eq!(stage.sim.total(), 5, "{end:?}: nobody asked with the refused key again");
        // What is found out now is told.
        stage.sim.next(Fault::Status(401));
        assert_eq!(asked(&first, "refused").await, "other");
        for (at, pareto) in [&second, &late].into_iter().enumerate() {
            knows_refused(pareto, 2).await;
            assert_eq!(asked(pareto, &format!("spared {at}")).await, "other");
        }
        assert_eq!(stage.sim.total(), 6, "{end:?}");
    }
}
