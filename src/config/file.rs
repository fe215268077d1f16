//! The configuration file as written: its settings, their meaning and their defaults.
//!
//! The JSON Schema is made from these structures and their comments, and `conf/pareto.yaml` is
//! tested against them.

pub mod batch;
mod burst;
mod cache;
mod client;
pub mod features;
pub mod limits;
pub mod providers;
pub mod relevance;
pub mod routes;
pub mod rules;
pub mod storage;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use http::HeaderName;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::choice::{Abandoned, LogFormat, LogLevel, Payer};
use super::named::Named;
use super::quantity::{Period, Size, UsdPerMillion};
use super::scalar::{Address, Count, Threads, Toggle};
use super::secret::Secret;
use super::tenant::TenantSource;

const fn loopback(port: u16) -> Address {
    Address(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))
}

const fn milliseconds(number: u64) -> Period {
    Period(std::time::Duration::from_millis(number))
}

const fn seconds(number: u64) -> Period {
    milliseconds(number * 1000)
}

const fn minutes(number: u64) -> Period {
    seconds(number * 60)
}

const fn mebibytes(number: u64) -> Size {
    Size(number << 20)
}

/// Says in the schema that a setting has no default. Whether it is there is checked later, so that
/// its lack is one problem among others.
fn require(schema: &mut Schema, setting: &str) {
    schema.insert("required".to_owned(), vec![setting].into());
    if let Some(properties) = schema.get_mut("properties")
        && let Some(property) = properties.get_mut(setting).and_then(|property| property.as_object_mut())
    {
        property.remove("default");
    }
}

/// The configuration of pareto. Every setting may be left out; it then has the default given here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "pareto configuration")]
pub struct File {
    /// Where clients connect: the app's base URL becomes http://127.0.0.1:8080/v1. Change needs a restart.
    pub listen: Address,
    /// The operators' listener: metrics, health, purge, reload.
    pub admin: Admin,
    /// Worker threads; auto is one for each core. Change needs a restart.
    pub threads: Threads,
    /// Largest body of a request that pareto understands (chat, embeddings, …); a larger one is
    /// refused with 413. Other requests pass through at any size.
    pub max_body: Size,
    /// Towards the app.
    pub client: client::Client,
    /// Where stored answers live. Change needs a restart.
    pub storage: storage::Storage,
    /// The upstream accounts by a name of your choice; the first is the default.
    pub providers: Named<providers::Provider>,
    /// Where requests go by the model asked for, and who stands in when a provider fails; the first
    /// that fits. None: everything goes to the provider of its API, once.
    pub routes: Vec<routes::Route>,
    /// Who is a tenant.
    pub tenants: Tenants,
    /// Answering repeated requests from stored answers.
    pub cache: cache::Cache,
    /// Sharing one upstream call among identical requests that arrive while it is under way.
    pub coalesce: Coalesce,
    /// What is answered here, refused, changed or cached otherwise; the first rule that matches decides.
    pub rules: Vec<rules::Rule>,
    /// Limits and budgets; all that match a request apply to it.
    pub limits: Vec<limits::Limit>,
    /// Sending what several requests ask in one call, and what one asks in several.
    pub batch: batch::Batch,
    /// Switches features on, off, to observation, or on for a share of tenants.
    pub features: features::Features,
    /// Prices by model, in USD per million tokens; they replace or extend the built-in table.
    pub prices: Named<Price>,
    /// What happens on SIGTERM.
    pub shutdown: Shutdown,
    /// What is logged.
    pub log: Log,
    /// Bounds of metric labels.
    pub metrics: Metrics,
}

impl Default for File {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
            admin: Admin::default(),
            threads: Threads::Auto,
            max_body: mebibytes(32),
            client: client::Client::default(),
            storage: storage::Storage::default(),
            providers: Named(vec![(
                "openai".to_owned(),
                providers::Provider {
                    url: "https://api.openai.com/v1".to_owned(),
                    ..providers::Provider::default()
                },
            )]),
            routes: Vec::new(),
            tenants: Tenants::default(),
            cache: cache::Cache::default(),
            coalesce: Coalesce::default(),
            rules: Vec::new(),
            limits: Vec::new(),
            batch: batch::Batch::default(),
            features: features::Features::default(),
            prices: Named::default(),
            shutdown: Shutdown::default(),
            log: Log::default(),
            metrics: Metrics::default(),
        }
    }
}

/// The operators' listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Its address. Change needs a restart.
    pub listen: Address,
    /// The bearer token it asks for; required unless `listen` is a loopback address.
    pub token: Option<Secret>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: loopback(9090), token: None }
    }
}

/// Who is a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tenants {
    /// Where a tenant's name is looked for, in order; the first that is present counts. Each is
    /// `header:NAME` (the value of that header) or `credential` (the key the app calls with).
    pub identify: Vec<TenantSource>,
}

impl Default for Tenants {
    fn default() -> Self {
        let header = HeaderName::from_static("x-tenant-id");
        Self { identify: vec![TenantSource::Header(header), TenantSource::Credential] }
    }
}

/// Sharing one upstream call among identical requests that arrive while it is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Coalesce {
    /// What happens to a call once every app that waited for it has hung up.
    pub abandoned: Abandoned,
    /// How many requests may wait for one call; the next makes its own.
    pub max_waiters: Count,
    /// Who pays for a call that several share: leader (who opened it), or shared (all, in equal parts).
    pub payer: Payer,
}

impl Default for Coalesce {
    fn default() -> Self {
        Self { abandoned: Abandoned::Stop, max_waiters: Count(10_000), payer: Payer::Leader }
    }
}

/// What a model costs, in USD per million tokens, in every service tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = |schema: &mut Schema| require(schema, "input"))]
pub struct Price {
    /// Input tokens.
    pub input: Option<UsdPerMillion>,
    /// Input tokens that the provider had in its prompt cache; as input unless set.
    pub cached_input: Option<UsdPerMillion>,
    /// Input tokens that the provider put into its prompt cache; as input unless set.
    pub cache_write: Option<UsdPerMillion>,
    /// Output tokens; 0 unless set, as for embeddings.
    pub output: Option<UsdPerMillion>,
}

/// What happens on SIGTERM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// How long requests under way may take to finish; then they are cut.
    pub grace: Period,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: seconds(30) }
    }
}

/// What is logged. Never prompts, answers or keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
    /// The least severe lines that are written.
    pub level: LogLevel,
    /// Whether every exchange gets a line.
    pub exchanges: Toggle,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: LogLevel::Info, exchanges: Toggle(true) }
    }
}

/// Bounds of metric labels; what is beyond is counted as `other`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Tenants that get a label of their own.
    pub max_tenants: Count,
    /// Models that get a label of their own.
    pub max_models: Count,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { max_tenants: Count(1000), max_models: Count(200) }
    }
}
