//! Where stored answers live, as meant.

use std::path::PathBuf;
use std::time::Duration;

use super::{RedisUrl, Secret};

/// Where stored answers live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Bytes of memory for stored answers.
    pub memory: u64,
    /// The tier on disk, if there is one.
    pub disk: Option<Disk>,
    /// The tier in Redis, if there is one.
    pub redis: Option<Redis>,
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

/// The tier in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Where it is.
    pub url: RedisUrl,
    /// What all keys begin with.
    pub prefix: String,
    /// For one round trip.
    pub timeout: Duration,
    /// How long the lease of a flight lasts without being renewed.
    pub lease: Duration,
}
