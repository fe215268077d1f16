//! Where stored answers live, as meant.

use std::path::PathBuf;
use std::time::Duration;

use super::{OnLedgerLoss, RedisUrl, Secret};

/// Where stored answers live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Bytes of memory for stored answers.
    pub memory: u64,
    /// The tier on disk, if there is one.
    pub disk: Option<Disk>,
    /// The tier in Redis, if there is one.
    pub redis: Option<Redis>,
    /// Whether what is known of providers is shared through it.
    pub breakers: bool,
    /// Where limits count together with other sidecars, if they do.
    pub counts: Option<Counts>,
    /// What seals entries outside the process: the first seals, all open. Empty: nothing is sealed.
    pub encryption_keys: Vec<Secret>,
}

/// The tier on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its directory.
    pub path: PathBuf,
    /// The bytes it may take.
    pub size: u64,
}

/// Where limits count together with other sidecars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Where that is. Its lease is how long what a sidecar holds outlives it.
    pub redis: Redis,
    /// What becomes of requests while it is away.
    pub on_loss: OnLedgerLoss,
}

/// A Redis and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Where it is.
    pub url: RedisUrl,
    /// What all keys begin with.
    pub prefix: String,
    /// For one round trip.
    pub timeout: Duration,
    /// How long a lease lasts without being renewed.
    pub lease: Duration,
    /// What encrypted connections are made with.
    pub tls: Tls,
}

/// What encrypted connections to a Redis are made with, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that its certificate must come from; none: the system's.
    pub ca: Option<String>,
    /// What a server is shown that asks for it: certificates, and the key of the first.
    pub client: Option<(String, Secret)>,
}
