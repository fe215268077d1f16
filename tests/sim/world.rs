//! A gateway with a scripted provider behind it and virtual clients before it: no sockets, and a
//! clock that moves only when nothing else does.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use pareto::config::{Config, Environment};
use pareto::gateway::storage::Storage;
use pareto::gateway::{Gateway, Kept};
use pareto::io::Io;
use pareto::io::chance::Chance;
use pareto::io::clock::Clock;
use pareto::request::identity::Secret;
use pareto::response::{Body, Next};
use pareto::telemetry::Telemetry;
use pareto::telemetry::readings::Readings;
use tokio::time::{Instant, sleep};

use crate::answer::Api;
use crate::provider::{Asked, Provider, Road, Script};

/// What a client asks, and how it reads the answer.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The API.
    pub api: Api,
    /// Which question.
    pub prompt: u32,
    /// Events are wanted.
    pub stream: bool,
    /// The usage frame is wanted.
    pub usage: bool,
    /// The value of `authorization`.
    pub credential: String,
    /// The value of `x-tenant-id`.
    pub tenant: Option<String>,
    /// The value of `cache-control`.
    pub control: Option<&'static str>,
    /// `x-stainless-retry-count`.
    pub retries: u32,
    /// The pause before each read of the answer.
    pub pace: Duration,
}

/// What a client heard.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// All bytes of the body, last words included.
    pub body: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// When it asked.
    pub started: Instant,
    /// When the head came.
    pub head: Instant,
    /// When the end came.
    pub ended: Instant,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it was there with the head.
    Whole,
    /// It streamed to its proper end.
    Clean,
    /// It broke off; the code of the error.
    Broken(&'static str),
}

/// Everything of one run.
pub struct World {
    /// The provider.
    pub provider: Arc<Provider>,
    /// What outlives a reload.
    pub kept: Arc<Kept>,
    io: Io,
    current: Mutex<Arc<Gateway>>,
}

impl Ask {
    /// A plain chat question by the first caller.
    pub fn chat(prompt: u32) -> Self {
        Self {
            api: Api::Chat,
            prompt,
            stream: false,
            usage: false,
            credential: "Bearer c0".to_owned(),
            tenant: None,
            control: None,
            retries: 0,
            pace: Duration::ZERO,
        }
    }

    /// The same as a stream.
    #[must_use]
    pub fn streamed(mut self) -> Self {
        self.stream = true;
        self
    }

    /// The same by another caller.
    #[must_use]
    pub fn by(mut self, credential: &str) -> Self {
        self.credential = format!("Bearer {credential}");
        self
    }

    /// The same with this `Cache-Control`.
    #[must_use]
    pub fn with(mut self, control: &'static str) -> Self {
        self.control = Some(control);
        self
    }

    /// The request on the wire.
    pub fn http(&self) -> (Parts, Bytes) {
        let path = match (self.api, self.stream) {
            (Api::Chat, _) => "/v1/chat/completions",
            (Api::Messages, _) => "/v1/messages",
            (Api::Embeddings, _) => "/v1/embeddings",
            (Api::Generate, false) => "/v1beta/models/gemini-2.5-flash:generateContent",
            (Api::Generate, true) => "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        };
        let mut request = http::Request::post(path)
            .header("content-type", "application/json")
            .header("authorization", &self.credential);
        if let Some(tenant) = &self.tenant {
            request = request.header("x-tenant-id", tenant);
        }
        if let Some(control) = self.control {
            request = request.header("cache-control", control);
        }
        if self.retries > 0 {
            request = request.header("x-stainless-retry-count", self.retries);
        }
        (request.body(()).unwrap().into_parts().0, self.body().into())
    }

    fn body(&self) -> String {
        let prompt = format!("prompt {}", self.prompt);
        let stream = if self.stream { r#","stream":true"# } else { "" };
        let usage = if self.usage { r#","stream_options":{"include_usage":true}"# } else { "" };
        match self.api {
            Api::Chat => format!(
                r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{prompt}"}}]{stream}{usage}}}"#
            ),
            Api::Messages => format!(
                r#"{{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{{"role":"user","content":"{prompt}"}}]{stream}}}"#
            ),
            Api::Generate => format!(r#"{{"contents":[{{"parts":[{{"text":"{prompt}"}}]}}]}}"#),
            Api::Embeddings => format!(r#"{{"model":"text-embedding-3-small","input":"{prompt}"}}"#),
        }
    }
}

impl Heard {
    /// A header as text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `Cache-Status` without the cache's name.
    pub fn cache(&self) -> &str {
        self.header("cache-status").strip_prefix("pareto; ").unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// How long the client waited for the head.
    pub fn waited(&self) -> Duration {
        self.head - self.started
    }
}

impl World {
    /// A world that starts with this configuration.
    pub fn new(config: &str, choose: impl Fn(&Asked) -> Script + Send + Sync + 'static) -> Arc<Self> {
        Self::by(Chance::system(), config, choose)
    }

    /// The same in which this is the gateway's chance.
    pub fn by(
        chance: Chance,
        config: &str,
        choose: impl Fn(&Asked) -> Script + Send + Sync + 'static,
    ) -> Arc<Self> {
        let provider = Provider::new(choose);
        let clock = Clock::anchored(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let io = Io { clock, chance, upstream: Arc::new(Road(provider.clone())) };
        let config = parse(config);
        let telemetry = Arc::new(Telemetry::new(&config, clock, None).unwrap());
        let kept = Arc::new(Kept::new(&config, telemetry, Storage::in_memory(Secret([7; 32]), clock)));
        let current = Mutex::new(Arc::new(Gateway::build(config, io.clone(), kept.clone())));
        Arc::new(Self { provider, kept, io, current })
    }

    /// Builds the next generation.
    pub fn reload(&self, config: &str) {
        let next = Gateway::build(parse(config), self.io.clone(), self.kept.clone());
        *self.current.lock().unwrap() = Arc::new(next);
    }

    /// The generation in force.
    pub fn gateway(&self) -> Arc<Gateway> {
        self.current.lock().unwrap().clone()
    }

    /// Asks and hears the answer to its end. Dropping the future hangs up.
    pub async fn ask(&self, ask: Ask) -> Heard {
        self.ask_at(self.gateway(), ask).await
    }

    /// The same of a generation that may be an old one by now.
    pub async fn ask_at(&self, gateway: Arc<Gateway>, ask: Ask) -> Heard {
        let started = Instant::now();
        let (parts, body) = ask.http();
        let endpoint = gateway.understands(&parts).expect("an understood endpoint");
        let request = gateway.request(endpoint, &parts, body).await;
        let response = gateway.serve(request).await;
        let head = Instant::now();
        let mut heard = Vec::new();
        let end = match response.body {
            Body::Whole(bytes) => {
                heard.extend_from_slice(&bytes);
                End::Whole
            }
            Body::Live(mut live) => loop {
                if !ask.pace.is_zero() {
                    sleep(ask.pace).await;
                }
                match live.next().await {
                    Next::Bytes(bytes) => {
                        assert!(!bytes.is_empty(), "an empty write");
                        heard.extend_from_slice(&bytes);
                    }
                    Next::End(_) => break End::Clean,
                    Next::Broken(last_words, error) => {
                        heard.extend_from_slice(&last_words);
                        assert!(matches!(live.next().await, Next::End(None)), "something after the end");
                        break End::Broken(error.code);
                    }
                }
            },
        };
        let (status, headers) = (response.status, response.headers);
        Heard { status, headers, body: heard, end, started, head, ended: Instant::now() }
    }

    /// Starts a client of its own.
    pub fn spawn(self: &Arc<Self>, ask: Ask) -> tokio::task::JoinHandle<Heard> {
        let world = self.clone();
        tokio::spawn(async move { world.ask(ask).await })
    }

    /// The sum of a metric over those of its label sets that contain `having`.
    pub fn metric(&self, name: &str, having: &str) -> f64 {
        let text = self.kept.telemetry.metrics.text(&Readings::default()).unwrap();
        let of = |line: &&str| {
            let rest = line.strip_prefix("pareto_").and_then(|line| line.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(having))
        };
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        text.lines().filter(of).map(value).sum()
    }

    /// What still runs although nobody asks any more; empty where all is at rest.
    pub fn unrest(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut expect = |what: &str, is: usize, should: usize| {
            if is != should {
                found.push(format!("{what}: {is}, not {should}"));
            }
        };
        let flying = self.provider.log().iter().filter(|record| record.ended.is_none()).count();
        expect("calls under way", flying, 0);
        expect("waiters", self.kept.flights.waiters(), 0);
        // A landing holds the flights, a flight its gateway, a generation what is kept.
        expect("holders of the flights", Arc::strong_count(&self.kept.flights), 1);
        expect("holders of the gateway", Arc::strong_count(&self.current.lock().unwrap()), 1);
        expect("generations alive", Arc::strong_count(&self.kept) - 1, 1);
        found
    }
}

fn parse(config: &str) -> Config {
    Config::load(config, &Environment::fixed(&[], &[])).unwrap_or_else(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        panic!("{config}\n{}", problems.join("\n"))
    })
}
