//! Configuration + the outside world + what outlives a reload -> a gateway.

use std::sync::Arc;

use super::{Gateway, Kept};
use crate::cache::Cache;
use crate::coalesce::Flights;
use crate::config::Config;
use crate::io::Io;
use crate::request::identity::Secret;
use crate::request::memo::Memo;
use crate::response::price::PriceTable;
use crate::route::Router;
use crate::telemetry::Telemetry;

/// The share of `storage.memory` that remembers read bodies: 1/16.
const MEMO_SHARE: u64 = 16;

impl Kept {
    /// What the first generation starts with. `secret` keys the digests of this process.
    pub fn new(config: &Config, telemetry: Arc<Telemetry>, secret: Secret) -> Self {
        let memo = config.storage.memory / MEMO_SHARE;
        let mut seed = [0; 8];
        seed.copy_from_slice(&secret.0[..8]);
        Self {
            cache: Cache::new(config.storage.memory - memo),
            flights: Arc::new(Flights::default()),
            memo: Memo::new(memo, u64::from_le_bytes(seed)),
            telemetry,
            secret,
        }
    }
}

impl Gateway {
    /// A generation that works by `config`.
    pub fn build(config: Config, io: Io, kept: Arc<Kept>) -> Self {
        Self {
            router: Router::new(&config.providers),
            prices: PriceTable::new(&config.prices),
            config,
            io,
            kept,
        }
    }
}
