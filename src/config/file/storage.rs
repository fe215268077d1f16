//! `storage:` as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Period, Size, mebibytes, milliseconds, seconds};
use crate::config::choice::OnLedgerLoss;
use crate::config::one_or_many::OneOrMany;
use crate::config::redis_url::RedisUrl;
use crate::config::scalar::Toggle;
use crate::config::secret::Secret;

/// Where stored answers live. Change needs a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Memory for stored answers; the least useful ones make room for new ones.
    pub memory: Size,
    /// Keeps answers over restarts.
    pub disk: Disk,
    /// Shares answers, calls under way, purges and what is known of providers with other sidecars.
    pub redis: Redis,
    /// Shares what limits count with other sidecars.
    pub counts: Counts,
    /// Seals what is written to disk and to Redis: a key of at least 32 characters, or a list: the
    /// first seals, the others still open what was sealed with them.
    pub encryption_key: OneOrMany<Secret>,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            memory: mebibytes(256),
            disk: Disk::default(),
            redis: Redis::default(),
            counts: Counts::default(),
            encryption_key: OneOrMany(Vec::new()),
        }
    }
}

/// Keeps answers over restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// A directory for pareto alone, made where it is missing; off unless given.
    pub path: Option<String>,
    /// How much of the disk it takes at most; the oldest answers make room for new ones.
    pub size: Size,
}

impl Default for Disk {
    fn default() -> Self {
        Self { path: None, size: mebibytes(4096) }
    }
}

/// Shares answers, calls under way, purges and what is known of providers with other sidecars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// redis://HOST:PORT/DATABASE, rediss:// for TLS, `redis+sentinel://HOST:PORT,HOST:PORT/MASTER`,
    /// `redis+cluster://HOST:PORT,HOST:PORT`; USER:PASSWORD@ before the hosts. Off unless given.
    pub url: Option<RedisUrl>,
    /// What encrypted connections are made with.
    pub tls: Tls,
    /// What all keys begin with. Sidecars with the same prefix share.
    pub prefix: String,
    /// How long one look-up or store may take; the first that takes longer is the last until Redis
    /// answers in time again.
    pub timeout: Period,
    /// How long others wait for a call, or for the probe of a provider, after the sidecar that makes it has
    /// gone silent.
    pub lease: Period,
    /// Whether open breakers, refused keys and waits that providers ask for are shared too, so that what
    /// one sidecar has found out spares the others.
    pub breakers: Toggle,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            tls: Tls::default(),
            prefix: "pareto".to_owned(),
            timeout: milliseconds(50),
            lease: seconds(5),
            breakers: Toggle(true),
        }
    }
}

/// What encrypted connections to a Redis are made with: files in PEM. Only where its URL begins with
/// rediss.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificates of the authorities to trust, and no others; the system's unless given.
    pub ca: Option<String>,
    /// The certificate to show to a server that asks for one; none unless given.
    pub certificate: Option<String>,
    /// The private key of that certificate.
    pub key: Option<String>,
}

/// Shares what limits count with other sidecars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// A Redis, written as `storage.redis.url`, but not that database: what is stored there makes room for
    /// other things, and counts must not. Off unless given.
    pub redis: Option<RedisUrl>,
    /// What encrypted connections are made with.
    pub tls: Tls,
    /// What all keys begin with. Sidecars with the same prefix share.
    pub prefix: String,
    /// How long one round trip may take; the first that takes longer is the last until Redis answers in
    /// time again.
    pub timeout: Period,
    /// How long what a sidecar has reserved stays so after it has gone silent.
    pub lease: Period,
    /// What becomes of requests while Redis is away.
    pub on_ledger_loss: OnLedgerLoss,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            redis: None,
            tls: Tls::default(),
            prefix: "pareto".to_owned(),
            timeout: milliseconds(50),
            lease: seconds(10),
            on_ledger_loss: OnLedgerLoss::LocalShare,
        }
    }
}
