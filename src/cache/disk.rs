//! The tier on disk. The store does blocking work on two threads of its own, behind bounded queues: a
//! request waits for a read up to a bound, and for a write never.
//!
//! A disk that fails or is full is left alone for a while, longer each time, and then tried again. A
//! store that is damaged is given up for an empty one.

mod segments;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};

use super::purges::{Purge, Purges};
use crate::config::storage::Disk as Settings;
use crate::request::key::CacheKey;
use segments::{Recalled, Segments, is_damage};

/// Reads and writes that may wait, of any number of entries; more are a miss and not stored.
const QUEUE: usize = 1024;
/// Bytes of the writes that may wait.
const QUEUED_BYTES: u64 = 64 << 20;
/// Longer than this no request waits for the disk.
const PATIENCE: Duration = Duration::from_millis(50);
/// Purges that may wait for the disk to work again; beyond, everything is purged.
const UNSAVED: usize = 1024;
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
    open: RwLock<Option<Arc<Segments>>>,
    /// Purges that are not on disk yet.
    unsaved: Mutex<VecDeque<(u64, Purge)>>,
    up: AtomicBool,
    bytes: AtomicU64,
    damaged: AtomicU64,
    skipped: AtomicU64,
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
    /// There are purges to save.
    Purges,
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
            unsaved: Mutex::default(),
            up: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
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
        let (size, count) = (size(&entries), entries.len() as u64);
        // A full queue: the disk is slower than what is stored.
        if self.shared.queued.fetch_add(size, Relaxed) + size > QUEUED_BYTES
            || self.writes.try_send(Write::Entries(entries)).is_err()
        {
            self.shared.queued.fetch_sub(size, Relaxed);
            self.shared.skipped.fetch_add(count, Relaxed);
        }
    }

    /// Remembers a purge for the next start, once the disk works.
    pub fn purged(&self, generation: u64, purge: &Purge) {
        let mut unsaved = self.shared.unsaved.lock();
        if unsaved.len() == UNSAVED {
            unsaved.clear();
            unsaved.push_back((generation, Purge::default()));
        } else {
            unsaved.push_back((generation, purge.clone()));
        }
        drop(unsaved);
        // A full queue will look for purges as well.
        let _ = self.writes.try_send(Write::Purges);
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Relaxed)
    }

    /// Parts of the store that were found damaged and given up.
    pub fn damaged(&self) -> u64 {
        self.shared.damaged.load(Relaxed)
    }

    /// Entries not written because the disk was behind.
    pub fn skipped(&self) -> u64 {
        self.shared.skipped.load(Relaxed)
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
        match self.opened() {
            Ok((segments, purges)) => {
                let mut known = self.purges.lock();
                for (generation, purge) in purges {
                    known.add(generation, purge);
                }
                drop(known);
                self.bytes.store(segments.bytes(), Relaxed);
                *self.open.write() = Some(Arc::new(segments));
                self.up.store(true, Relaxed);
            }
            Err(error) => self.fail(&error),
        }
    }

    fn opened(&self) -> fjall::Result<(Segments, Recalled)> {
        Segments::open(&self.settings).or_else(|error| {
            if !is_damage(&error) {
                return Err(error);
            }
            let path = self.settings.path.display();
            tracing::warn!(%error, %path, "the store on disk is damaged and begun anew");
            self.damaged.fetch_add(1, Relaxed);
            Segments::discard(&self.settings)?;
            Segments::open(&self.settings)
        })
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
            let found = keys.iter().map(|key| self.get(key));
            let _ = answer.send(found.collect());
        }
    }

    fn get(&self, key: &CacheKey) -> Option<Vec<u8>> {
        let segments = self.open.read().clone().filter(|_| self.up.load(Relaxed))?;
        match segments.get(key) {
            Ok((found, damaged)) => {
                self.damaged.fetch_add(damaged, Relaxed);
                found
            }
            Err(error) => {
                self.fail(&error);
                None
            }
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
            let open = if self.up.load(Relaxed) || self.reopened() { self.open.read().clone() } else { None };
            let Some(segments) = open else {
                if let Some(Write::Entries(entries)) = &job {
                    self.skipped.fetch_add(entries.len() as u64, Relaxed);
                }
                continue;
            };
            match self.save(&segments, job) {
                Ok(()) => self.bytes.store(segments.bytes(), Relaxed),
                Err(error) => {
                    self.fail(&error);
                    // What could not write must be opened anew; its lock goes with it.
                    *self.open.write() = None;
                }
            }
        }
    }

    fn save(&self, segments: &Segments, job: Option<Write>) -> fjall::Result<()> {
        self.save_purges(segments)?;
        let Some(Write::Entries(entries)) = job else { return Ok(()) };
        for (key, bytes) in entries {
            let stored = segments.put(&key, bytes)?;
            self.skipped.fetch_add(u64::from(!stored), Relaxed);
        }
        self.rest.lock().next = REST.0;
        Ok(())
    }

    /// A purge that was not saved would be forgotten at the next start, and what it removed served again.
    fn save_purges(&self, segments: &Segments) -> fjall::Result<()> {
        loop {
            let Some((generation, purge)) = self.unsaved.lock().front().cloned() else { return Ok(()) };
            segments.purged(generation, &purge)?;
            self.unsaved.lock().retain(|(other, _)| *other != generation);
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn key(number: usize) -> CacheKey {
        CacheKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    async fn find(disk: &Disk, key: CacheKey) -> Vec<u8> {
        let found = async {
            loop {
                if let Some(bytes) = disk.get(key).await {
                    return bytes;
                }
                // One that rests takes writes only once it is tried again.
                disk.put(key, b"text".to_vec());
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(90), found).await.unwrap()
    }

    /// Both threads wait for a lock, as they would in a read and a write that never return.
    #[tokio::test]
    async fn a_disk_that_stands_still_holds_no_request_up() {
        let directory = tempfile::TempDir::new().unwrap();
        let settings = Settings { path: directory.path().to_owned(), size: 256 << 20 };
        let disk = Disk::start(settings, Arc::default()).unwrap();
        assert_eq!(find(&disk, key(0)).await, b"text");
        let ((stalled, is_stalled), (release, released)) = (channel(), channel::<()>());
        let shared = disk.shared.clone();
        let standing = std::thread::spawn(move || {
            let _held = shared.open.write();
            stalled.send(()).unwrap();
            let _ = released.recv();
        });
        is_stalled.recv().unwrap();
        // One bound of a read, whoever asks; the test's one thread is the event loop.
        assert!(disk.get(key(0)).await.is_none());
        assert!(!disk.is_up() && disk.errors() == 1);
        for number in 0..4 * QUEUE {
            assert!(disk.get(key(0)).await.is_none());
            disk.put(key(number), vec![0; 64 << 10]);
            disk.purged(number as u64, &Purge::default());
        }
        assert!(disk.skipped() > 0 && disk.shared.queued.load(Relaxed) <= QUEUED_BYTES);
        assert!(disk.shared.unsaved.lock().len() <= UNSAVED);
        drop(release);
        standing.join().unwrap();
        assert_eq!(find(&disk, key(1 << 20)).await, b"text");
        assert!(disk.is_up());
    }
}
