//! The tiers below the memory, in order. What is read from one is judged here; what is stored is
//! encoded once, behind a bounded queue, so that no request waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::codec::Codec;
use super::disk::Disk;
use super::purges::{Purge, Purges};
use super::redis::{Adopt, Shared, SharedSecret};
use super::stored::Stored;
use super::tiers::Memories;
use super::{Found, Tier};
use crate::io::detached::END;
use crate::io::envelope::Refused;
use crate::request::key::CacheKey;

/// Writes that may wait, each of what was stored at once.
const QUEUE: usize = 4096;
/// How many are written at the same time.
const BATCH: usize = 64;
/// Their bytes. What finds no room is not written: the queue must not be a second cache.
const QUEUED_BYTES: u64 = 64 << 20;
/// What many-at-a-time calls ask of a tier at once: 128 vectors of 1,536 dimensions are 0.8 MB, which a
/// slow network carries well within Redis's bound for a round trip.
const TOGETHER: usize = 128;
/// Bytes from which on encoding is done where it holds nobody up.
const LARGE: u64 = 256 << 10;

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
    Store(Arc<dyn Stored>, Duration),
    StoreMany(Vec<Arc<dyn Stored>>, Duration),
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
    pub(super) fn agree(&self, memories: &Arc<Memories>, purges: &Arc<Mutex<Purges>>) {
        if let Some(redis) = &self.parts.redis {
            let secret = self.secret.lock().take();
            tokio::spawn(redis.clone().agree(memories.clone(), purges.clone(), secret));
        }
    }

    /// What is under a key, from the uppermost tier that has it and where it is not purged.
    pub async fn get<T: Stored>(&self, key: CacheKey, purges: &Mutex<Purges>) -> Option<Found<T>> {
        if let Some(disk) = &self.parts.disk
            && let Some(bytes) = disk.get(key).await
            && let Some(entry) = self.parts.opened(Tier::Disk, key, bytes, purges)
        {
            return Some(Found { entry, tier: Tier::Disk });
        }
        let bytes = self.parts.redis.as_ref()?.get(&key).await?;
        let copy = self.parts.disk.as_ref().map(|disk| (disk, bytes.clone()));
        let entry = self.parts.opened(Tier::Redis, key, bytes, purges)?;
        if let Some((disk, bytes)) = copy {
            disk.put(key, bytes);
        }
        Some(Found { entry, tier: Tier::Redis })
    }

    /// What is under each of these keys, as [`Lower::get`] finds one.
    pub async fn get_many<T: Stored>(
        &self,
        keys: &[CacheKey],
        purges: &Mutex<Purges>,
    ) -> Vec<Option<Found<T>>> {
        let mut all = Vec::with_capacity(keys.len());
        for keys in keys.chunks(TOGETHER) {
            all.append(&mut self.get_together(keys, purges).await);
        }
        all
    }

    async fn get_together<T: Stored>(
        &self,
        keys: &[CacheKey],
        purges: &Mutex<Purges>,
    ) -> Vec<Option<Found<T>>> {
        let Parts { disk, redis, .. } = &*self.parts;
        let opened = |tier, key: &CacheKey, bytes: Option<Vec<u8>>| {
            Some(Found { entry: self.parts.opened(tier, *key, bytes?, purges)?, tier })
        };
        let mut found: Vec<Option<Found<T>>> = match disk {
            Some(disk) => {
                let had = disk.get_many(keys.to_vec()).await;
                keys.iter().zip(had).map(|(key, had)| opened(Tier::Disk, key, had)).collect()
            }
            None => keys.iter().map(|_| None).collect(),
        };
        let missing: Vec<usize> = (0..keys.len()).filter(|place| found[*place].is_none()).collect();
        let Some(redis) = redis.as_ref().filter(|_| !missing.is_empty()) else { return found };
        let asked: Vec<CacheKey> = missing.iter().map(|place| keys[*place]).collect();
        let mut promoted = Vec::new();
        for (place, had) in missing.into_iter().zip(redis.get_many(&asked).await) {
            let copy = had.clone().filter(|_| disk.is_some());
            found[place] = opened(Tier::Redis, &keys[place], had);
            promoted.extend(copy.filter(|_| found[place].is_some()).map(|bytes| (keys[place], bytes)));
        }
        if let Some(disk) = disk.as_ref().filter(|_| !promoted.is_empty()) {
            disk.put_many(promoted);
        }
        found
    }

    /// Resolves once what was stored before is written, or cannot be.
    pub async fn written(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Job::Written(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Resolves once what was stored before will be found by the next process, or too much time has passed.
    pub(super) async fn close(&self) {
        let all = async {
            self.written().await;
            if let Some(disk) = &self.parts.disk {
                disk.written().await;
            }
        };
        if tokio::time::timeout(END, all).await.is_err() {
            tracing::warn!("what was stored last is not all written below the memory");
        }
    }

    /// Writes something soon; it is of use for `keep` at most.
    pub fn store(&self, entry: Arc<dyn Stored>, keep: Duration) {
        self.enqueue(entry.weight(), 1, Job::Store(entry, keep));
    }

    /// Writes what was stored together soon, in as few round trips as it takes.
    pub fn store_many<T: Stored>(&self, entries: Vec<Arc<T>>, keep: Duration) {
        let entries: Vec<Arc<dyn Stored>> = entries.into_iter().map(|entry| entry as _).collect();
        self.enqueue(weight(&entries), entries.len() as u64, Job::StoreMany(entries, keep));
    }

    fn enqueue(&self, weight: u64, entries: u64, job: Job) {
        let parts = &self.parts;
        if parts.queued.fetch_add(weight, Relaxed) + weight > QUEUED_BYTES
            || self.queue.try_send(job).is_err()
        {
            parts.queued.fetch_sub(weight, Relaxed);
            parts.skipped.fetch_add(entries, Relaxed);
        }
    }

    /// Remembers a purge for the next start, and tells the other sidecars.
    pub fn purged(&self, generation: u64, purge: &Purge) {
        if let Some(redis) = &self.parts.redis {
            redis.purge(purge);
        }
        if let Some(disk) = self.parts.disk.as_ref().filter(|_| !purge.is_of_any_store()) {
            disk.purged(generation, purge);
        }
    }

    /// What there is to tell.
    pub fn readings(&self) -> LowerReadings {
        let parts = &self.parts;
        let mut refused = *parts.refused.lock();
        let disk = parts.disk.iter().map(|disk| ("disk", Some(disk.bytes()), disk.is_up(), disk.errors()));
        let redis = parts.redis.iter().map(|redis| ("redis", None, redis.is_up(), redis.errors()));
        if let Some(disk) = &parts.disk {
            refused[0][Refused::Damaged as usize] += disk.damaged();
        }
        LowerReadings {
            tiers: disk.chain(redis).collect(),
            skipped: parts.skipped.load(Relaxed) + parts.disk.as_ref().map_or(0, Disk::skipped),
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
    fn opened<T: Stored>(
        &self,
        tier: Tier,
        key: CacheKey,
        bytes: Vec<u8>,
        purges: &Mutex<Purges>,
    ) -> Option<Arc<T>> {
        match self.codec.decode::<T>(key, bytes) {
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
                    Job::Store(entry, keep) => writes.push(self.store(entry, keep).boxed()),
                    Job::StoreMany(entries, keep) => {
                        writes.push(self.store_many(entries, keep).boxed());
                    }
                    Job::Written(done) => told.push(done),
                }
            }
            join_all(writes).await;
            for done in told {
                let _ = done.send(());
            }
        }
    }

    async fn store(self: &Arc<Self>, entry: Arc<dyn Stored>, keep: Duration) {
        for (key, bytes) in self.encode(vec![entry]).await {
            if let Some(redis) = &self.redis {
                redis.put(&key, &bytes, keep).await;
            }
            if let Some(disk) = &self.disk {
                disk.put(key, bytes);
            }
        }
    }

    async fn store_many(self: &Arc<Self>, mut entries: Vec<Arc<dyn Stored>>, keep: Duration) {
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(TOGETHER));
            let encoded = self.encode(std::mem::replace(&mut entries, rest)).await;
            if let Some(redis) = &self.redis {
                redis.put_many(&encoded, keep).await;
            }
            if let Some(disk) = &self.disk {
                disk.put_many(encoded);
            }
        }
    }

    /// These as they are written, each under its key.
    async fn encode(self: &Arc<Self>, entries: Vec<Arc<dyn Stored>>) -> Vec<(CacheKey, Vec<u8>)> {
        let weight = weight(&entries);
        self.queued.fetch_sub(weight, Relaxed);
        let parts = self.clone();
        let encode = move || {
            let encoded = entries.iter().map(|entry| Some((entry.key(), parts.codec.encode(&**entry)?)));
            encoded.flatten().collect()
        };
        if weight < LARGE {
            return encode();
        }
        tokio::task::spawn_blocking(encode).await.unwrap_or_default()
    }
}

fn weight(entries: &[Arc<dyn Stored>]) -> u64 {
    entries.iter().map(|entry| entry.weight()).sum()
}
