//! A Sentinel, and the servers of which it says which is the master.

use tempfile::TempDir;

use crate::harness::{Redis, until};

/// A Sentinel that calls its master `cache`.
pub(super) struct Sentinel {
    redis: Redis,
    _rules: TempDir,
}

impl Sentinel {
    /// Of the master at `port`, with these rules.
    pub(super) async fn of(port: u16, rules: &[String]) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("sentinel.conf");
        let rules = rules.join("\n");
        std::fs::write(&file, format!("sentinel monitor cache 127.0.0.1 {port} 1\n{rules}\n")).unwrap();
        Self { redis: Redis::sentinel(&file).await, _rules: directory }
    }

    /// Where it is asked for its master.
    pub(super) fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/cache", self.port())
    }

    pub(super) fn port(&self) -> u16 {
        self.redis.port
    }

    /// Makes the replica the master.
    pub(super) async fn hands_over(&self) {
        until("the failover", async || self.redis.cli(&["SENTINEL", "FAILOVER", "cache"]) == "OK").await;
    }
}

/// A master and its replica, and the Sentinel that soon notices the master's end.
pub(super) async fn replicated() -> ([Redis; 2], Sentinel) {
    let master = Redis::with(&["--repl-diskless-sync-delay", "0"]).await;
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]).await;
    let linked = || replica.cli(&["INFO", "replication"]).contains("master_link_status:up");
    until("the replica", async || linked()).await;
    let rules = ["down-after-milliseconds cache 300", "failover-timeout cache 3000"];
    let sentinel = Sentinel::of(master.port, &rules.map(|rule| format!("sentinel {rule}"))).await;
    until("the sentinel to know the replica", async || {
        sentinel.redis.cli(&["SENTINEL", "REPLICAS", "cache"]).contains(&replica.port.to_string())
    })
    .await;
    ([master, replica], sentinel)
}

/// Waits until a server is the master.
pub(super) async fn leads(redis: &Redis) {
    until("the new master", async || redis.cli(&["ROLE"]).starts_with("master")).await;
}
