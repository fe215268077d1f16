//! The real binary, for what only a process has: signals, its memory, its environment.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Answer, Ask, CHAT, chat, metrics, within};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pareto");

/// A running `pareto`. Dropping it kills it.
pub struct Binary {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    /// What it logged before it was ready.
    pub opening: Vec<String>,
    child: Child,
    log: UnboundedReceiver<String>,
    directory: TempDir,
}

impl Binary {
    /// Starts it with this file and waits until it is ready.
    pub async fn start(yaml: &str) -> Self {
        Self::start_with(yaml, &[]).await
    }

    /// As [`Binary::start`], with these environment variables.
    pub async fn start_with(yaml: &str, variables: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("pareto.yaml");
        std::fs::write(&path, with_listeners(yaml)).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(&path).stderr(Stdio::piped());
        command.envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut log = follow(&mut child);
        let mut opening = Vec::new();
        let ready = within("ready", async {
            loop {
                match log.recv().await {
                    Some(line) if line.contains("ready") => return line,
                    Some(line) => opening.push(line),
                    None => panic!("it ended instead of becoming ready:\n{}", opening.join("\n")),
                }
            }
        });
        let ready = ready.await;
        // `listen=1.2.3.4:5` in a log of text, `"listen":"1.2.3.4:5"` in one of JSON.
        let address = |name: &str| {
            let (_, rest) = ready.split_once(name).unwrap();
            rest.trim_start_matches(['"', ':', '=']).split(['"', ' ']).next().unwrap().parse().unwrap()
        };
        let (address, admin) = (address("listen"), address("admin"));
        Self { address, admin, opening, child, log, directory }
    }

    /// Runs it to its end with these arguments.
    pub fn run(arguments: &[&str]) -> Output {
        Command::new(PROGRAM).args(arguments).output().unwrap()
    }

    /// Starts it with these arguments and its standard output piped.
    pub fn spawn(arguments: &[&str]) -> Child {
        Command::new(PROGRAM).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Replaces its file as editors do: written beside it, then moved over it.
    pub fn write(&self, yaml: &str) {
        let beside = self.directory.path().join("new.yaml");
        std::fs::write(&beside, with_listeners(yaml)).unwrap();
        std::fs::rename(beside, self.directory.path().join("pareto.yaml")).unwrap();
    }

    /// Sends it a signal: TERM, HUP.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Lets no file of its grow beyond `bytes`, or any with none: a disk that is full, without a disk.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let limit = format!("--fsize={soft}:unlimited");
        let pid = self.child.id().to_string();
        let limited = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
        assert!(limited.success());
    }

    /// A chat request that says `text`, sent when awaited.
    pub fn chat(&self, text: &str) -> Ask {
        Ask::new(reqwest::Client::new().post(format!("http://{}{CHAT}", self.address)), chat(text))
    }

    /// A request to the operators' listener.
    pub async fn admin(&self, method: reqwest::Method, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.admin);
        Answer::of(reqwest::Client::new().request(method, url).send().await.unwrap()).await
    }

    /// What a counter or gauge shows now: the sum of all its series with these labels.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metrics::sum(&self.admin(reqwest::Method::GET, "/metrics").await.text(), name, labels)
    }

    /// Waits for a line of its log.
    pub async fn logs(&mut self, part: &str) -> String {
        within(part, said(&mut self.log, part)).await
    }

    /// Waits for its end.
    pub async fn exit(self) -> ExitStatus {
        let mut gone = self;
        let waiting = tokio::task::spawn_blocking(move || gone.child.wait().unwrap());
        within("the end of the process", waiting).await.unwrap()
    }

    /// Tells it to end, and waits until it has done so in order.
    pub async fn end(self) {
        self.signal("TERM");
        assert!(self.exit().await.success());
    }

    /// What its first limit has counted.
    pub async fn used(&self) -> u64 {
        let shown = self.admin(reqwest::Method::GET, "/limits").await.json();
        shown["counts"][0]["used"].as_u64().unwrap_or(0)
    }

    /// The most memory it ever had, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

fn with_listeners(yaml: &str) -> String {
    format!("listen: 127.0.0.1:0\nadmin: {{listen: 127.0.0.1:0}}\n{yaml}\n")
}

/// Reads the log on a thread until the process ends, so that it never blocks on writing.
fn follow(child: &mut Child) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

async fn said(log: &mut UnboundedReceiver<String>, part: &str) -> String {
    let mut all = Vec::new();
    while let Some(line) = log.recv().await {
        if line.contains(part) {
            return line;
        }
        all.push(line);
    }
    panic!("it ended without saying {part:?}: {all:#?}")
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
