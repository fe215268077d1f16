//! The tiers below the memory, in order. What is read from one is judged here; what is stored is
//! encoded once, behind a bounded queue, so that no request waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::codec::Codec;
use super::disk::Disk;
use super::entry::Entry;
use super::memory::Memory;
use super::purges::{Purge, Purges};
use super::redis::{Adopt, Shared, SharedSecret};
use super::{Found, Tier};
use crate::io::envelope::Refused;
use crate::request::key::CacheKey;

/// Entries that may wait to be written.
const QUEUE: usize = 4096;
/// How many are written at the same time.
const BATCH: usize = 64;
/// Their bytes. What finds no room is not written: the queue must not be a second cache.
const QUEUED_BYTES: u64 = 64 << 20;

/// The tiers below the memory.
pub struct Lower {
    parts: Arc<Parts>,
    queue: Sender<Job>,
    secret: Mutex<Option<(SharedSecret, Adopt)>>,
}

struct Parts {
    codec: Codec,
    disk: Option<Disk>,
    redis: Option<Arc<Shared>>,
    queued: AtomicU64,
    skipped: AtomicU64,
    refused: Mutex<[[u64; 3]; 2]>,
}

enum Job {
    Store(Arc<Entry>, Duration),
    /// Answered once all before it is written.
    Written(oneshot::Sender<()>),
}

/// What the tiers below the memory have to tell.
#[derive(Clone, Debug, Default)]
pub struct LowerReadings {
    /// Each tier: name, bytes where it can tell, whether it works, failures.
    pub tiers: Vec<(&'static str, Option<u64>, bool, u64)>,
    /// Entries not written for want of room in the queue.
    pub skipped: u64,
    /// Entries that were none, by tier and reason.
    pub refused: Vec<(&'static str, &'static str, u64)>,
}

impl Lower {
    /// Tiers that are there, and the task that writes to them. `secret` is what keys entries where all
    /// sidecars on one Redis have to agree on it there, and what is done with theirs.
    pub fn start(
        codec: Codec,
        disk: Option<Disk>,
        redis: Option<Arc<Shared>>,
        secret: Option<(SharedSecret, Adopt)>,
    ) -> Self {
        let parts = Parts {
            codec,
            disk,
            redis,
            queued: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            refused: Mutex::default(),
        };
        let (queue, jobs) = channel(QUEUE);
        let parts = Arc::new(parts);
        tokio::spawn(parts.clone().write(jobs));
        Self { parts, queue, secret: Mutex::new(secret) }
    }

    /// Agrees with other sidecars on what is purged from now on.
    pub(super) fn agree(&self, memory: &Arc<Memory>, purges: &Arc<Mutex<Purges>>) {
        if let Some(redis) = &self.parts.redis {
            let secret = self.secret.lock().take();
            tokio::spawn(redis.clone().agree(memory.clone(), purges.clone(), secret));
        }
    }

    /// The entry under a key from the uppermost tier that has one which is not purged.
    pub async fn get(&self, key: CacheKey, purges: &Mutex<Purges>) -> Option<Found> {
        if let Some(disk) = &self.parts.disk
            && let Some(bytes) = disk.get(key).await
            && let Some(entry) = self.parts.opened(Tier::Disk, key, bytes, purges)
        {
            return Some(Found { entry, tier: Tier::Disk });
        }
        let bytes = self.parts.redis.as_ref()?.get(&key).await?;
        let entry = self.parts.opened(Tier::Redis, key, bytes.clone(), purges)?;
        if let Some(disk) = &self.parts.disk {
            disk.put(key, bytes);
        }
        Some(Found { entry, tier: Tier::Redis })
    }

    /// Resolves once what was stored before is written, or cannot be.
    pub async fn written(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Job::Written(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Writes an entry soon; it is of use for `keep` at most.
    pub fn store(&self, entry: Arc<Entry>, keep: Duration) {
        let weight = entry.weight();
        let parts = &self.parts;
        if parts.queued.fetch_add(weight, Relaxed) + weight > QUEUED_BYTES
            || self.queue.try_send(Job::Store(entry, keep)).is_err()
        {
            parts.queued.fetch_sub(weight, Relaxed);
            parts.skipped.fetch_add(1, Relaxed);
        }
    }

    /// Remembers a purge for the next start, and tells the other sidecars.
    pub fn purged(&self, generation: u64, purge: &Purge) {
        if let Some(redis) = &self.parts.redis {
            redis.purge(purge);
        }
        if let Some(disk) = &self.parts.disk {
            disk.purged(generation, purge);
        }
    }

    /// What there is to tell.
    pub fn readings(&self) -> LowerReadings {
        let parts = &self.parts;
        let refused = parts.refused.lock();
        let disk = parts.disk.iter().map(|disk| ("disk", Some(disk.bytes()), disk.is_up(), disk.errors()));
        let redis = parts.redis.iter().map(|redis| ("redis", None, redis.is_up(), redis.errors()));
        LowerReadings {
            tiers: disk.chain(redis).collect(),
            skipped: parts.skipped.load(Relaxed),
            refused: [Tier::Disk, Tier::Redis]
                .into_iter()
                .zip(refused.iter())
                .flat_map(|(tier, counts)| {
                    REASONS
                        .iter()
                        .zip(counts)
                        .map(move |(reason, count)| (tier.name(), reason.name(), *count))
                })
                .collect(),
        }
    }
}

const REASONS: [Refused; 3] = [Refused::Version, Refused::Key, Refused::Damaged];

impl Parts {
    fn opened(
        &self,
        tier: Tier,
        key: CacheKey,
        bytes: Vec<u8>,
        purges: &Mutex<Purges>,
    ) -> Option<Arc<Entry>> {
        match self.codec.decode(key, bytes) {
            Ok(entry) if purges.lock().covers(&entry) => None,
            Ok(entry) => Some(Arc::new(entry)),
            Err(refused) => {
                self.refused.lock()[usize::from(tier == Tier::Redis)][refused as usize] += 1;
                None
            }
        }
    }

    async fn write(self: Arc<Self>, mut jobs: Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH);
        while jobs.recv_many(&mut batch, BATCH).await > 0 {
            let mut told = Vec::new();
            let mut writes = Vec::new();
            for job in batch.drain(..) {
                match job {
                    Job::Store(entry, keep) => writes.push(self.store(entry, keep)),
                    Job::Written(done) => told.push(done),
                }
            }
            join_all(writes).await;
            for done in told {
                let _ = done.send(());
            }
        }
    }

    async fn store(self: &Arc<Self>, entry: Arc<Entry>, keep: Duration) {
        self.queued.fetch_sub(entry.weight(), Relaxed);
        let Some(bytes) = self.encode(&entry).await else { return };
        if let Some(redis) = &self.redis {
            redis.put(&entry.key, &bytes, keep).await;
        }
        if let Some(disk) = &self.disk {
            disk.put(entry.key, bytes);
        }
    }

    /// A large entry is encoded where it holds nobody up.
    async fn encode(self: &Arc<Self>, entry: &Arc<Entry>) -> Option<Vec<u8>> {
        const LARGE: usize = 256 << 10;
        if entry.body.len() < LARGE {
            return self.codec.encode(entry);
        }
        let (parts, entry) = (self.clone(), entry.clone());
        tokio::task::spawn_blocking(move || parts.codec.encode(&entry)).await.ok()?
    }
}
