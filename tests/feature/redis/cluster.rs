//! A Redis Cluster, and its slots on the move.

use std::process::Command;
use std::sync::Arc;

use super::in_use;
use super::tier::entries;
use crate::harness::{Pareto, Redis, free_port, provider, until};

/// Three nodes that know each other and have all slots.
pub(super) async fn cluster() -> [Redis; 3] {
    let nodes = [node(&[]).await, node(&[]).await, node(&[]).await];
    let ports = nodes.each_ref().map(|node| node.port);
    join(nodes, ports, &[]).await
}

/// Makes a cluster of nodes that `redis-cli` reaches at these ports with these options.
pub(super) async fn join(nodes: [Redis; 3], ports: [u16; 3], options: &[&str]) -> [Redis; 3] {
    let addresses = ports.map(|port| format!("127.0.0.1:{port}"));
    let made = Command::new("redis-cli")
        .args(options)
        .args(["--cluster", "create"])
        .args(&addresses)
        .args(["--cluster-replicas", "0", "--cluster-yes"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    until("the cluster", async || {
        nodes.iter().all(|node| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    })
    .await;
    nodes
}

/// The same, and a fourth that takes the first one's place within seconds of its end.
pub(super) async fn replicated() -> [Redis; 4] {
    let options = ["--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"].map(str::to_owned);
    let nodes = [node(&options).await, node(&options).await, node(&options).await];
    let ports = nodes.each_ref().map(|node| node.port);
    let [first, second, third] = join(nodes, ports, &[]).await;
    let replica = node(&options).await;
    let [new, known] = [&replica, &first].map(|node| format!("127.0.0.1:{}", node.port));
    let id = first.cli(&["CLUSTER", "MYID"]);
    let added = Command::new("redis-cli")
        .args(["--cluster", "add-node", &new, &known, "--cluster-slave", "--cluster-master-id", &id])
        .output()
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stdout));
    until("the replica", async || {
        let known = [&second, &third].iter().all(|node| node.cli(&["CLUSTER", "NODES"]).contains("slave"));
        known && replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
    })
    .await;
    [first, second, third, replica]
}

/// A node that is to be one of a cluster.
pub(super) async fn node(options: &[String]) -> Redis {
    let bus = free_port().to_string();
    let mut all = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
    all.extend(options.iter().map(String::as_str));
    Redis::with(&all).await
}

/// One slot on its way from one node to another.
pub(super) struct Moving<'n> {
    nodes: &'n [Redis],
    slot: String,
    from: &'n Redis,
    to: &'n Redis,
    id: String,
}

impl<'n> Moving<'n> {
    /// The slot of `key` is on its way: what it has is where it was, what is new is to go where it goes.
    pub(super) fn begin(nodes: &'n [Redis], key: &str) -> Self {
        let (from, others): (Vec<_>, Vec<_>) =
            nodes.iter().partition(|node| !node.cli(&["EXISTS", key]).contains("MOVED"));
        let (from, to) = (from[0], others[0]);
        let [from_id, id] = [from, to].map(|node| node.cli(&["CLUSTER", "MYID"]));
        let slot = from.cli(&["CLUSTER", "KEYSLOT", key]);
        assert_eq!(to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]), "OK");
        assert_eq!(from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id]), "OK");
        Self { nodes, slot, from, to, id }
    }

    /// It has arrived.
    pub(super) fn end(self) {
        let keys = self.from.cli(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "1000"]);
        let port = self.to.port.to_string();
        for key in keys.lines() {
            assert_eq!(self.from.cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]), "OK");
        }
        // Who has it now learns of it first, as `redis-cli --cluster` does it.
        let rest = self.nodes.iter().filter(|node| node.port != self.to.port);
        for node in std::iter::once(self.to).chain(rest) {
            assert_eq!(node.cli(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &self.id]), "OK");
        }
    }
}

pub(super) fn keys(nodes: &[Redis]) -> usize {
    nodes.iter().map(|node| entries(node).len()).sum()
}

#[tokio::test]
async fn answers_are_shared_through_a_cluster_while_its_slots_move() {
    let nodes = cluster().await;
    let provider = Arc::new(provider().await);
    let settings = format!(
        "storage: {{redis: {{url: \"redis+cluster://127.0.0.1:{}\", timeout: 500ms}}}}",
        nodes[0].port
    );
    let [first, second] = std::array::from_fn(|_| Pareto::before(provider.clone(), &settings));
    in_use(&first, true).await;
    in_use(&second, true).await;
    for number in 0..20 {
        assert_eq!(first.chat(&format!("before {number}")).await.status, 200);
    }
    until("the answers in Redis", async || keys(&nodes) >= 20).await;
    let ids = [0, 1].map(|at: usize| nodes[at].cli(&["CLUSTER", "MYID"]));
    let address = format!("127.0.0.1:{}", nodes[0].port);
    let mut moving = Command::new("redis-cli")
        .args(["--cluster", "reshard", &address, "--cluster-from", &ids[0], "--cluster-to", &ids[1]])
        .args(["--cluster-slots", "4000", "--cluster-yes"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut number = 0;
    while moving.try_wait().unwrap().is_none() {
        number += 1;
        let answer = first.chat(&format!("while slots move {number}")).await;
        assert!(answer.status == 200 && answer.whole);
    }
    in_use(&second, true).await;
    let mut found = 0;
    for number in 0..20 {
        let answer = second.chat(&format!("before {number}")).await;
        assert_eq!(answer.status, 200);
        found += u32::from(answer.cache().ends_with("detail=redis"));
    }
    assert!(found >= 10, "only {found} of 20 were found after the move");
}
