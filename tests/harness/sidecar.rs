//! A whole sidecar in this process, on ports of its own, with a simulated provider behind it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pareto::config::Environment;
use pareto::server::{Listeners, Source};
use pareto::sidecar::Sidecar;
use reqwest::{Client, Method};
use serde_json::Value;
use tempfile::TempDir;

use super::{Answer, Ask, PATIENCE, Provider, metrics, provider, within};

/// A sidecar and its provider.
pub struct Pareto {
    pub provider: Arc<Provider>,
    pub sidecar: Sidecar,
    client: Client,
    directory: TempDir,
}

impl Pareto {
    /// Starts with these sections beside `listen` and `admin`. `{provider}` stands for the simulated
    /// provider's base URL and `{origin}` for its origin; without `providers:` it is the only one.
    pub async fn start(sections: &str) -> Self {
        Self::before(provider().await, sections)
    }

    /// As [`Pareto::start`], before a provider that already runs.
    pub fn before(provider: impl Into<Arc<Provider>>, sections: &str) -> Self {
        let provider = provider.into();
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("pareto.yaml");
        std::fs::write(&path, file(&provider, sections)).unwrap();
        let source = Source::File(path);
        let config = source.load(&Environment::process()).unwrap_or_else(|found| {
            panic!("{}", found.iter().map(|problem| format!("{problem}\n")).collect::<String>())
        });
        let listeners = Listeners::bind(config.listen, config.admin.listen).unwrap();
        let sidecar = Sidecar::start(config, source, Environment::process(), listeners, None).unwrap();
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Self { provider, sidecar, client, directory }
    }

    /// Ends the sidecar; its provider lives on.
    pub async fn stop(self) -> Arc<Provider> {
        let Self { provider, sidecar, client, directory: _directory } = self;
        // Its idle connections keep the server's side of them.
        drop(client);
        sidecar.running.close().await;
        provider
    }

    pub fn address(&self) -> SocketAddr {
        self.sidecar.running.address
    }

    /// Where its configuration is.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("pareto.yaml")
    }

    /// Writes new sections; nothing reads them before a reload.
    pub fn write(&self, sections: &str) {
        std::fs::write(self.file(), file(&self.provider, sections)).unwrap();
    }

    /// A request to `path`, sent when awaited.
    pub fn ask(&self, path: &str, body: Value) -> Ask {
        Ask::new(self.request(Method::POST, path), body)
    }

    /// A chat request that says `text`, sent when awaited.
    pub fn chat(&self, text: &str) -> Ask {
        self.ask(super::CHAT, chat(text))
    }

    /// A request without a body of ours.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address()))
    }

    /// A request to the operators' listener.
    pub async fn admin(&self, method: Method, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.sidecar.running.admin);
        Answer::of(self.client.request(method, url).send().await.unwrap()).await
    }

    /// What pareto says would happen to a request, as `POST /explain` tells it to programs.
    pub async fn explain(&self, described: Value) -> Answer {
        let url = format!("http://{}/explain", self.sidecar.running.admin);
        Answer::of(self.client.post(url).json(&described).send().await.unwrap()).await
    }

    /// What a counter or gauge shows now: the sum of all its series with these labels.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metrics::sum(&self.admin(Method::GET, "/metrics").await.text(), name, labels)
    }

    /// Waits until a metric has reached `value` and checks that it went no further. Books are closed
    /// just after a client has its answer, so a test that reads them at once may be too early.
    pub async fn counts(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let reached = async {
            loop {
                let shown = self.metric(name, labels).await;
                if shown >= value {
                    return shown;
                }
                tokio::task::yield_now().await;
            }
        };
        let shown = within(&format!("{name}{labels:?} to be {value}"), reached).await;
        assert!((shown - value).abs() < 1e-12, "{name}{labels:?} is {shown}, not {value}");
    }

    /// Waits until a gauge shows `value`, from whichever side it comes.
    pub async fn becomes(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let reached = async {
            while (self.metric(name, labels).await - value).abs() > 1e-12 {
                tokio::task::yield_now().await;
            }
        };
        within(&format!("{name}{labels:?} to become {value}"), reached).await;
    }

    /// Waits until so many answers are stored: a stream is stored just after its last reader has it.
    pub async fn stored(&self, entries: u32) {
        self.becomes("cache_entries", &[], f64::from(entries)).await;
    }

    /// Waits until so many requests wait for another's call.
    pub async fn waiting(&self, followers: u32) {
        self.becomes("flight_waiters", &[], f64::from(followers)).await;
    }
}

/// The body of a chat request.
pub fn chat(text: &str) -> Value {
    serde_json::json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})
}

fn file(provider: &Provider, sections: &str) -> String {
    let sections = sections.replace("{provider}", &provider.url()).replace("{origin}", &provider.origin());
    let providers = match sections.contains("providers:") {
        true => String::new(),
        false => format!("providers: {{sim: {{url: \"{}\"}}}}\n", provider.url()),
    };
    let admin = if sections.contains("admin:") { "" } else { "admin: {listen: 127.0.0.1:0}\n" };
    format!("listen: 127.0.0.1:0\n{admin}{providers}{sections}\n")
}
