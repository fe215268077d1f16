//! The configuration: checked values as meant, ready to use.
//!
//! `yaml` reads the text, `file` is its shape as written, `check` turns the one into the other or
//! names every problem. Nothing outside this room sees a value that was not checked.

pub mod batch;
pub mod burst;
mod check;
mod choice;
pub mod condition;
pub mod conversation;
pub mod endpoint;
mod environment;
mod file;
pub mod glob;
pub mod limit;
mod named;
mod one_or_many;
pub mod pointer;
mod problem;
mod quantity;
pub mod quota;
mod redis_url;
pub mod relevance;
mod report;
pub mod route;
pub mod rule;
mod scalar;
mod secret;
pub mod storage;
mod structure;
mod switch;
mod tenant;
mod text_or;
mod url;
mod yaml;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use crate::text::Folding;

pub use choice::{Abandoned, Dialect, Http2, LogFormat, LogLevel, OnLedgerLoss, Payer, Share};
pub use environment::Environment;
pub use file::features::Features;
pub use problem::Problem;
pub use quantity::UsdPerMillion;
pub use redis_url::{RedisUrl, Topology};
pub use secret::Secret;
pub use storage::Storage;
pub use switch::{Mode, Switch};
pub use tenant::TenantSource;
pub use url::{ProviderUrl, Scheme};

/// Everything a running pareto is told, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The operators' listener.
    pub admin: Admin,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Bytes of one understood request's body; more is refused with 413.
    pub max_body: u64,
    /// Time limits towards clients.
    pub client: ClientTimeouts,
    /// Where stored answers live.
    pub storage: Storage,
    /// The upstream accounts in the order written; never empty, the first is the default.
    pub providers: Vec<Provider>,
    /// Where requests go by the model asked for, in the order written.
    pub routes: Vec<route::Route>,
    /// How the tenant of a request is found.
    pub tenants: Tenants,
    /// Who shares stored answers, and for how long.
    pub cache: Cache,
    /// Sharing one upstream call among identical requests.
    pub coalesce: Coalesce,
    /// Rules, in the order written.
    pub rules: Vec<rule::Rule>,
    /// Limits and budgets, in the order written.
    pub limits: Vec<limit::Limit>,
    /// Sending embedding inputs of several requests in one call.
    pub batch: batch::Batch,
    /// Which features act.
    pub features: Features,
    /// Prices that replace or extend the built-in table, by model.
    pub prices: Vec<(String, ModelPrice)>,
    /// What happens on SIGTERM.
    pub shutdown: Shutdown,
    /// What is logged.
    pub log: Log,
    /// Bounds of metric labels.
    pub metrics: Metrics,
    /// The file these values came from, defaults filled in; the source of [`Config::effective`].
    written: file::File,
}

/// The operators' listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Its address.
    pub listen: SocketAddr,
    /// The bearer token it asks for; always present when `listen` is not loopback.
    pub token: Option<Secret>,
}

/// Time limits towards clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// For the whole head of a request.
    pub header: Duration,
    /// For the whole body of a request that is read before it is served.
    pub body: Duration,
    /// For the next request on a kept-alive connection.
    pub idle: Duration,
    /// For one write to a client that does not read.
    pub write: Duration,
}

/// One upstream account.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Its name in the file, in metrics and in `x-pareto-provider`.
    pub name: String,
    /// Where it is.
    pub url: ProviderUrl,
    /// The API it speaks.
    pub dialect: Dialect,
    /// Keys to call it with; empty: the caller's own credential passes through.
    pub keys: Vec<Secret>,
    /// It has `/v1/responses`, where it speaks OpenAI's API.
    pub responses: bool,
    /// It serves apps that speak Anthropic's or Gemini's API and not its own.
    pub translate: bool,
    /// Which HTTP version it is called with.
    pub http2: Http2,
    /// Time limits of one call.
    pub timeouts: ProviderTimeouts,
}

/// Time limits of one upstream call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderTimeouts {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// From the request's last byte to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two reads of the answer.
    pub idle: Duration,
    /// For the call as a whole.
    pub total: Duration,
}

/// How the tenant of a request is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenants {
    /// Tried in order; the first that is present names the tenant.
    pub identify: Vec<TenantSource>,
}

/// Who shares stored answers, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Who may get each other's answers.
    pub share: Share,
    /// How long an answer is fresh.
    pub exact_ttl: Duration,
    /// By what the text of the user's last message is folded before it is compared; empty: exactly.
    pub exact_normalize: Folding,
    /// How long a vector is fresh; zero: not stored.
    pub embeddings_ttl: Duration,
    /// How long the result of a vector-store search is fresh; zero: not stored.
    pub search_ttl: Duration,
    /// How long a stale answer may be served while a fresh one is fetched (RFC 5861); zero: never.
    pub stale_while_revalidate: Duration,
    /// How long a stale answer may be served when the provider fails (RFC 5861); zero: never.
    pub stale_if_error: Duration,
    /// Bytes of the largest answer that is stored.
    pub max_entry: u64,
}

/// Sharing one upstream call among identical requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coalesce {
    /// What happens to a call once nobody waits for it.
    pub abandoned: Abandoned,
    /// Requests that may wait for one call; one more makes its own.
    pub max_waiters: usize,
    /// Who pays for a call that several share.
    pub payer: Payer,
}

/// What a model costs, in USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    /// Input tokens that are neither read from nor written to the provider's prompt cache.
    pub input: UsdPerMillion,
    /// Input tokens read from the prompt cache; as `input` unless set.
    pub cached_input: Option<UsdPerMillion>,
    /// Input tokens written to the prompt cache; as `input` unless set.
    pub cache_write: Option<UsdPerMillion>,
    /// Output tokens; nothing unless set (embeddings have none).
    pub output: Option<UsdPerMillion>,
}

/// What happens on SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long requests under way may take to finish.
    pub grace: Duration,
}

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
    /// Whether every exchange gets a line.
    pub exchanges: bool,
}

/// Bounds of metric labels; what is beyond is counted as `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Tenants that get their own label.
    pub max_tenants: usize,
    /// Models that get their own label.
    pub max_models: usize,
}

impl Config {
    /// Reads a configuration file's text; an empty one means the built-in defaults.
    ///
    /// # Errors
    /// Every problem of the text at once, in the order of its lines; never an empty list.
    pub fn load(text: &str, environment: &Environment) -> Result<Self, Vec<Problem>> {
        check::load(text, environment)
    }

    /// The upstream account of requests that no route sends elsewhere.
    pub fn default_provider(&self) -> Option<&Provider> {
        self.providers.first()
    }

    /// The whole configuration as it is in force, every default spelled out, every secret hidden.
    pub fn effective(&self) -> serde_json::Value {
        // The shape holds only strings, lists and string-keyed maps: it always has a JSON form.
        serde_json::to_value(&self.written).unwrap_or_default()
    }

    /// The settings in which `new` differs and that only a restart can change.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let settings = [
            ("listen", self.listen != new.listen),
            ("admin.listen", self.admin.listen != new.admin.listen),
            ("threads", self.threads != new.threads),
            ("storage", self.storage != new.storage),
        ];
        settings.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// This configuration with what only a restart can change taken from `running`. If that is an
    /// admin listener others can reach, and there is no token any more, the running one stays too.
    #[must_use]
    pub fn keeping_restart_settings_of(mut self, running: &Self) -> Self {
        self.listen = running.listen;
        self.admin.listen = running.admin.listen;
        self.threads = running.threads;
        self.storage.clone_from(&running.storage);
        if self.admin.token.is_none() && !self.admin.listen.ip().is_loopback() {
            self.admin.token = running.admin.token.clone();
            self.written.admin.token = running.written.admin.token.clone();
        }
        self.written.listen = running.written.listen;
        self.written.admin.listen = running.written.admin.listen;
        self.written.threads = running.written.threads;
        self.written.storage.clone_from(&running.written.storage);
        self
    }
}

impl Default for Config {
    /// What runs without a file.
    fn default() -> Self {
        check::built_in()
    }
}

/// The JSON Schema (draft 2020-12) of the configuration file.
pub fn schema() -> String {
    let schema = schemars::schema_for!(file::File);
    // `{:#}` of a JSON value is its indented form and cannot fail.
    format!("{:#}\n", schema.to_value())
}
