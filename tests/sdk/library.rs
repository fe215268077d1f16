//! One installed client library and how its scenarios are run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

/// A run takes some ten seconds; on a busy machine more.
const PATIENCE: Duration = Duration::from_secs(300);

/// Scenario name -> what was seen.
pub type Seen = BTreeMap<String, Value>;

/// A client library.
pub struct Library {
    pub name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    scenarios: Option<&'static str>,
}

impl Library {
    /// A Python environment made by `install`; `scenarios` is the switch that chooses them.
    pub fn python(name: &'static str, scenarios: Option<&'static str>) -> Self {
        let environment = root().join(format!(".venv-{name}"));
        let program = environment.join("bin/python");
        require(&environment.join("installed.txt"), &root().join(format!("python/{name}.txt")));
        Self { name, program, arguments: vec![path(&root().join("python/run.py"))], scenarios }
    }

    /// A Node package made by `install`.
    pub fn node(name: &'static str, scenarios: Option<&'static str>) -> Self {
        let package = root().join("node").join(name);
        require(&package.join("node_modules/installed.json"), &package.join("package-lock.json"));
        let script = path(&root().join("node/run.mjs"));
        Self { name, program: "node".into(), arguments: vec![script, name.to_owned()], scenarios }
    }

    /// Runs every scenario against a base URL.
    pub async fn run(&self, base_url: &str) -> Seen {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(base_url).args(self.scenarios);
        // A proxy or key of the machine's own must not reach the clients.
        for name in
            ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_BASE_URL", "OPENAI_API_KEY"]
        {
            command.env_remove(name);
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONIOENCODING", "utf-8");
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{} did not end", self.name)).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {}\n{errors}", self.name, output.status);
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(scenario).collect()
    }
}

fn scenario(line: &str) -> (String, Value) {
    let seen: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (seen["scenario"].as_str().unwrap().to_owned(), seen)
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Fails where the installed versions are not the pinned ones.
fn require(installed: &Path, pinned: &Path) {
    let read = |path: &Path| std::fs::read(path).ok();
    assert!(
        read(installed).is_some() && read(installed) == read(pinned),
        "the client libraries are missing or of another version: run tests/sdk/install"
    );
}
