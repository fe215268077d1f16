//! The tier on disk. The store does blocking work on two threads of its own, behind bounded queues: a
//! request waits for a read up to a bound, and for a write never.
//!
//! A disk that fails or is full is left alone for a while, longer each time, and then tried again.

mod segments;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};

use super::purges::{Purge, Purges};
use crate::config::storage::Disk as Settings;
use crate::request::key::CacheKey;
use segments::Segments;

/// Reads and writes that may wait, of any number of entries; more are a miss and not stored.
const QUEUE: usize = 1024;
/// Bytes of the writes that may wait.
const QUEUED_BYTES: u64 = 64 << 20;
/// Longer than this no request waits for the disk.
const PATIENCE: Duration = Duration::from_millis(50);
/// For how long a failing disk is left alone: at first, and at most.
const REST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// The tier on disk.
pub struct Disk {
    shared: Arc<Shared>,
    reads: mpsc::Sender<Read>,
    writes: SyncSender<Write>,
}

struct Shared {
    settings: Settings,
    purges: Arc<Mutex<Purges>>,
    /// `None` while it is left alone.
    open: RwLock<Option<Segments>>,
    up: AtomicBool,
    bytes: AtomicU64,
    /// Bytes that wait to be written.
    queued: AtomicU64,
    errors: AtomicU64,
    rest: Mutex<Rest>,
}

struct Rest {
    until: Option<Instant>,
    next: Duration,
}

struct Read {
    keys: Vec<CacheKey>,
    answer: oneshot::Sender<Vec<Option<Vec<u8>>>>,
}

enum Write {
    Entries(Vec<(CacheKey, Vec<u8>)>),
    Purge(u64, Purge),
}

impl Disk {
    /// Opens the store, and takes what it remembers of purges into `purges`. Where that fails the
    /// tier starts off and is tried again.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub fn start(settings: Settings, purges: Arc<Mutex<Purges>>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            settings,
            purges,
            open: RwLock::new(None),
            up: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            rest: Mutex::new(Rest { until: None, next: REST.0 }),
        });
        shared.open();
        let ((reads, to_read), (writes, to_write)) = (mpsc::channel(QUEUE), sync_channel(QUEUE));
        let (reader, writer) = (shared.clone(), shared.clone());
        std::thread::Builder::new().name("disk-read".to_owned()).spawn(move || reader.read(to_read))?;
        std::thread::Builder::new().name("disk-write".to_owned()).spawn(move || writer.write(to_write))?;
        Ok(Self { shared, reads, writes })
    }

    /// What is stored under a key.
    pub async fn get(&self, key: CacheKey) -> Option<Vec<u8>> {
        self.read(vec![key]).await?.pop()?
    }

    /// What is stored under each of these keys.
    pub async fn get_many(&self, keys: Vec<CacheKey>) -> Vec<Option<Vec<u8>>> {
        let count = keys.len();
        self.read(keys).await.unwrap_or_else(|| vec![None; count])
    }

    async fn read(&self, keys: Vec<CacheKey>) -> Option<Vec<Option<Vec<u8>>>> {
        if !self.shared.up.load(Relaxed) {
            return None;
        }
        let (answer, found) = oneshot::channel();
        self.reads.try_send(Read { keys, answer }).ok()?;
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found.ok(),
            Err(_) => {
                self.shared.fail(&"a read takes too long");
                None
            }
        }
    }

    /// Stores soon.
    pub fn put(&self, key: CacheKey, bytes: Vec<u8>) {
        self.put_many(vec![(key, bytes)]);
    }

    /// Stores these soon.
    pub fn put_many(&self, entries: Vec<(CacheKey, Vec<u8>)>) {
        let size = size(&entries);
        // A full queue: the disk is slower than what is stored.
        if self.shared.queued.fetch_add(size, Relaxed) + size > QUEUED_BYTES
            || self.writes.try_send(Write::Entries(entries)).is_err()
        {
            self.shared.queued.fetch_sub(size, Relaxed);
        }
    }

    /// Remembers a purge for the next start.
    pub fn purged(&self, generation: u64, purge: &Purge) {
        let _ = self.writes.try_send(Write::Purge(generation, purge.clone()));
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Relaxed)
    }

    /// Whether it works.
    pub fn is_up(&self) -> bool {
        self.shared.up.load(Relaxed)
    }

    /// How often it failed.
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Relaxed)
    }
}

fn size(entries: &[(CacheKey, Vec<u8>)]) -> u64 {
    entries.iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

impl Shared {
    fn open(&self) {
        match Segments::open(&self.settings, &mut self.purges.lock()) {
            Ok(segments) => {
                self.bytes.store(segments.bytes(), Relaxed);
                *self.open.write() = Some(segments);
                self.up.store(true, Relaxed);
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&self, error: &dyn std::fmt::Display) {
        self.errors.fetch_add(1, Relaxed);
        let mut rest = self.rest.lock();
        let was_up = self.up.swap(false, Relaxed);
        let (now, pause) = (Instant::now(), rest.next);
        if was_up || rest.until.is_none_or(|until| until <= now) {
            rest.until = Some(now + pause);
            rest.next = (pause * 2).min(REST.1);
            let path = self.settings.path.display();
            tracing::warn!(%error, %path, ?pause, "the disk tier is off");
        }
    }

    fn read(&self, mut jobs: mpsc::Receiver<Read>) {
        while let Some(Read { keys, answer }) = jobs.blocking_recv() {
            let get = |key| match &*self.open.read() {
                Some(segments) if self.up.load(Relaxed) => segments.get(key),
                _ => Ok(None),
            };
            let found = keys.iter().map(|key| {
                get(key).unwrap_or_else(|error| {
                    self.fail(&error);
                    None
                })
            });
            let _ = answer.send(found.collect());
        }
    }

    fn write(&self, jobs: Receiver<Write>) {
        loop {
            let job = match jobs.recv_timeout(self.until_tried_again()) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Some(Write::Entries(entries)) = &job {
                self.queued.fetch_sub(size(entries), Relaxed);
            }
            if !self.up.load(Relaxed) && !self.reopened() {
                continue;
            }
            let Some(job) = job else { continue };
            let mut open = self.open.write();
            let Some(segments) = open.as_mut() else { continue };
            let written = match job {
                Write::Entries(entries) => {
                    entries.into_iter().try_for_each(|(key, bytes)| segments.put(&key, bytes))
                }
                Write::Purge(generation, purge) => segments.purged(generation, &purge),
            };
            match written {
                Ok(()) => {
                    self.rest.lock().next = REST.0;
                    self.bytes.store(segments.bytes(), Relaxed);
                }
                Err(error) => {
                    self.fail(&error);
                    // What could not write must be opened anew; its lock goes with it.
                    *open = None;
                }
            }
        }
    }

    /// How long there is nothing to do but what comes.
    fn until_tried_again(&self) -> Duration {
        let until = self.rest.lock().until.filter(|_| !self.up.load(Relaxed));
        until.map_or(REST.1, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Tries a disk that has rested.
    fn reopened(&self) -> bool {
        if self.rest.lock().until.is_some_and(|until| until > Instant::now()) {
            return false;
        }
        self.rest.lock().until = None;
        *self.open.write() = None;
        self.open();
        let up = self.up.load(Relaxed);
        if up {
            tracing::info!(path = %self.settings.path.display(), "the disk tier is on again");
        }
        up
    }
}
