//! Configuration + the outside world + what outlives a reload -> a gateway.

use std::sync::Arc;

use parking_lot::Mutex;

use super::admission::Admission;
use super::embed::Groups;
use super::storage::Storage;
use super::{Gateway, Kept};
use crate::cache::memory::Memory;
use crate::cache::tiers::{Memories, Tiers};
use crate::cache::{Cache, Purge};
use crate::coalesce::Flights;
use crate::config::{Config, Switch};
use crate::io::Io;
use crate::limits::Limits;
use crate::limits::book::Book;
use crate::limits::ledger::Ledger;
use crate::request::identity::Secret;
use crate::request::memo::Memo;
use crate::response::price::PriceTable;
use crate::route::Router;
use crate::route::health::Healths;
use crate::route::sticky::Makers;
use crate::rules::Rules;
use crate::rules::burst::Bursts;
use crate::rules::seen::Seen;
use crate::rules::stores::Stores;
use crate::telemetry::Telemetry;

/// The share of `storage.memory` that remembers read bodies: 1/16.
const MEMO_SHARE: u64 = 16;
/// The share that holds vectors: 1/4.
const VECTORS_SHARE: u64 = 4;

impl Kept {
    /// What the first generation starts with.
    pub fn new(config: &Config, telemetry: Arc<Telemetry>, storage: Storage) -> Self {
        let Storage { lower, purges, shared, healths, secret, clock, counts, ledger, alarms } = storage;
        let (sender, alarms) = alarms;
        let memo = config.storage.memory / MEMO_SHARE;
        let vectors = config.storage.memory / VECTORS_SHARE;
        let answers = Arc::new(Memory::new(config.storage.memory - memo - vectors));
        let vectors = Arc::new(Memory::new(vectors));
        let (stores, seen) = (Arc::<Stores>::default(), Arc::<Seen>::default());
        let memories = Memories::new([answers.clone() as _, vectors.clone() as _], {
            let (stores, seen) = (stores.clone(), seen.clone());
            Box::new(move |purge| {
                if let Some(store) = purge.store() {
                    stores.wrote(store);
                    seen.wrote(store);
                }
            })
        });
        let tiers = Arc::new(Tiers::new(memories, lower, purges));
        let mut seed = [0; 8];
        seed.copy_from_slice(&secret.load().0[..8]);
        let subjects = subjects(&secret.load());
        let ledger: Arc<dyn Ledger> = match (ledger, counts) {
            (Some(ledger), _) => ledger,
            (None, Some(path)) => Book::kept(clock, sender, subjects, path),
            (None, None) => Arc::new(Book::new(clock, sender, subjects)),
        };
        Self {
            cache: Cache::new(answers, tiers.clone()),
            vectors: Cache::new(vectors, tiers.clone()),
            tiers,
            fetching: Arc::default(),
            looking: Arc::default(),
            flights: Arc::new(Flights::default()),
            memo: Memo::new(memo, u64::from_le_bytes(seed)),
            limits: Limits::new(ledger),
            alarms: Mutex::new(Some(alarms)),
            healths: Healths::new(healths),
            bursts: Bursts::default(),
            stores,
            seen,
            embedding_rests: Mutex::default(),
            makers: Makers::default(),
            telemetry,
            shared,
            secret,
            subjects,
        }
    }
}

impl Kept {
    /// Removes what `purge` describes, answers and vectors, and says how many those were.
    pub fn purge(&self, purge: Purge) -> usize {
        self.tiers.purge(purge)
    }

    /// How many requests wait for what another's call brings.
    pub fn waiters(&self) -> usize {
        self.flights.waiters() + self.fetching.waiters()
    }
}

impl Gateway {
    /// A generation that works by `config`.
    pub fn build(config: Config, io: Io, kept: Arc<Kept>) -> Self {
        let limits = if config.features.limits == Switch::Off { &[][..] } else { &config.limits };
        Self {
            admission: Admission::new(limits, &kept.limits, kept.subjects),
            router: Router::new(&config, &kept.healths, io.clock.now()),
            prices: PriceTable::new(&config.prices),
            groups: Groups::default(),
            rules: Rules::new(&config.rules).map(Arc::new),
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
