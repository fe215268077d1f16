//! A real redis-server, on a port of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Watch, until};

/// A running server. Dropping it kills it.
pub struct Redis {
    pub port: u16,
    options: Vec<String>,
    child: Child,
    directory: TempDir,
}

/// A free port that nobody else in this process gets, and that no system gives who asks for any: it lies
/// below Linux's `ip_local_port_range`, and so does the one 10,000 above it, a Cluster node's second.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + start.wrapping_add(taken) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl Redis {
    /// An empty server with the built-in settings, nothing written to disk.
    pub async fn start() -> Self {
        Self::on(free_port(), &[]).await
    }

    /// As [`Redis::start`], with these command-line options.
    pub async fn with(options: &[&str]) -> Self {
        Self::on(free_port(), options).await
    }

    /// As [`Redis::with`], on this port.
    pub async fn on(port: u16, options: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = run(port, &options, &directory);
        let redis = Self { port, options, child, directory };
        redis.answers().await;
        redis
    }

    /// A Sentinel with this file of rules, which it rewrites.
    pub async fn sentinel(rules: &std::path::Path) -> Self {
        let (port, directory) = (free_port(), TempDir::new().unwrap());
        let child = Command::new("redis-sentinel")
            .arg(rules)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-sentinel is installed (tests/run installs it)");
        let sentinel = Self { port, options: Vec::new(), child, directory };
        sentinel.answers().await;
        sentinel
    }

    /// Waits until it answers.
    pub async fn answers(&self) {
        until("redis-server", async || ping(self.port).await.is_some()).await;
    }

    /// The setting that makes a sidecar use it, with times that a crowd of clients on the test's one
    /// thread does not run into.
    pub fn storage(&self) -> String {
        self.storage_with("timeout: 5s, lease: 20s")
    }

    /// The same with these settings of `storage.redis`, such as `lease: 1s`.
    pub fn storage_with(&self, more: &str) -> String {
        format!("storage: {{redis: {{url: \"redis://127.0.0.1:{}\", {more}}}}}\n", self.port)
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, empty.
    pub async fn restart(&mut self) {
        self.kill();
        self.child = run(self.port, &self.options, &self.directory);
        self.answers().await;
    }

    /// Sends it a signal: STOP, CONT.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// What `redis-cli` prints for a command.
    pub fn cli(&self, command: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Looks at every command from here on.
    pub async fn watch(&self) -> Watch<'_> {
        Watch::start(self).await
    }

    /// How often a command was called, scripts' own calls included.
    pub fn calls(&self, command: &str) -> u64 {
        let stats = self.cli(&["INFO", "commandstats"]);
        let start = format!("cmdstat_{command}:calls=");
        let line = stats.lines().find_map(|line| line.strip_prefix(start.as_str()));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(port: u16, options: &[String], directory: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(directory.path())
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed (tests/run installs it)")
}

async fn ping(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    stream.write_all(b"PING\r\n").await.ok()?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.ok()?;
    (&answer == b"+PONG").then_some(())
}
