//! Configuration + the outside world + what outlives a reload -> a gateway.

use std::sync::Arc;

use parking_lot::Mutex;

use super::admission::Admission;
use super::storage::Storage;
use super::{Gateway, Kept};
use crate::cache::Cache;
use crate::coalesce::Flights;
use crate::config::{Config, Switch};
use crate::io::Io;
use crate::limits::Limits;
use crate::limits::book::Book;
use crate::request::identity::Secret;
use crate::request::memo::Memo;
use crate::response::price::PriceTable;
use crate::route::Router;
use crate::route::health::Healths;
use crate::telemetry::Telemetry;

/// The share of `storage.memory` that remembers read bodies: 1/16.
const MEMO_SHARE: u64 = 16;

/// Alerts that wait to be told; more than this at once are lost.
const MOST_ALARMS: usize = 1024;

impl Kept {
    /// What the first generation starts with.
    pub fn new(config: &Config, telemetry: Arc<Telemetry>, storage: Storage) -> Self {
        let Storage { lower, purges, secret, clock, counts } = storage;
        let memo = config.storage.memory / MEMO_SHARE;
        let mut seed = [0; 8];
        seed.copy_from_slice(&secret.0[..8]);
        let (sender, alarms) = tokio::sync::mpsc::channel(MOST_ALARMS);
        let seeded = subjects(&secret);
        let book = match counts {
            Some(path) => Book::kept(clock, sender, seeded, path),
            None => Arc::new(Book::new(clock, sender, seeded)),
        };
        Self {
            cache: Cache::new(config.storage.memory - memo, lower, purges, clock),
            flights: Arc::new(Flights::default()),
            memo: Memo::new(memo, u64::from_le_bytes(seed)),
            limits: Limits::new(book),
            alarms: Mutex::new(Some(alarms)),
            healths: Healths::default(),
            telemetry,
            secret,
        }
    }
}

impl Gateway {
    /// A generation that works by `config`.
    pub fn build(config: Config, io: Io, kept: Arc<Kept>) -> Self {
        let limits = if config.features.limits == Switch::Off { &[][..] } else { &config.limits };
        Self {
            admission: Admission::new(limits, &kept.limits, subjects(&kept.secret)),
            router: Router::new(&config, &kept.healths, io.clock.now()),
            prices: PriceTable::new(&config.prices),
            config,
            io,
            kept,
        }
    }
}

/// What seeds the digests of limits' subjects.
fn subjects(secret: &Secret) -> u64 {
    let mut seed = [0; 8];
    seed.copy_from_slice(&secret.0[8..16]);
    u64::from_le_bytes(seed)
}
