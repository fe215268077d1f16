//! The tier on disk. The store does blocking work on two threads of its own, behind bounded queues: a
//! request waits for a read up to a bound, and for a write never.
//!
//! A disk that fails or is full is left alone for a while, longer each time, and then tried again. A
//! store that is damaged is given up for an empty one.

mod segments;
mod threads;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::purges::{Purge, Purges};
use crate::config::storage::Disk as Settings;
use crate::io::detached::START;
use crate::request::key::CacheKey;
use threads::{Read, Shared, Write, size};

/// Reads and writes that may wait, of any number of entries; more are a miss and not stored.
const QUEUE: usize = 1024;
/// Bytes of the writes that may wait.
const QUEUED_BYTES: u64 = 64 << 20;
/// Longer than this no request waits for the disk.
const PATIENCE: Duration = Duration::from_millis(50);
/// Purges that may wait for the disk to work again; beyond, everything is purged.
const UNSAVED: usize = 1024;

/// The tier on disk.
pub struct Disk {
    shared: Arc<Shared>,
    reads: mpsc::Sender<Read>,
    writes: SyncSender<Write>,
}

impl Disk {
    /// Opens the store, and takes what it remembers of purges into `purges`. Where that fails or takes
    /// longer than a start waits for ([`START`]), the tier starts off; a disk that fails is tried again,
    /// one that takes its time is waited for.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub fn start(settings: Settings, purges: Arc<Mutex<Purges>>) -> std::io::Result<Self> {
        let shared = Shared::new(settings, purges);
        let ((reads, to_read), (writes, to_write)) = (mpsc::channel(QUEUE), sync_channel(QUEUE));
        let (opened, is_opened) = sync_channel(1);
        let (reader, writer) = (shared.clone(), shared.clone());
        std::thread::Builder::new().name("disk-read".to_owned()).spawn(move || reader.read(to_read))?;
        let write = move || writer.write(to_write, opened);
        std::thread::Builder::new().name("disk-write".to_owned()).spawn(write)?;
        if is_opened.recv_timeout(START).is_err() {
            shared.fail(&"it does not open in time");
        }
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
        self.shared.look_after_writes();
        // A full queue: the disk is slower than what is stored.
        if self.shared.queued.fetch_add(size, Relaxed) + size > QUEUED_BYTES
            || self.writes.try_send(Write::Entries(entries)).is_err()
        {
            self.shared.queued.fetch_sub(size, Relaxed);
            self.shared.skipped.fetch_add(count, Relaxed);
        }
    }

    /// Resolves once what was stored before is written, or cannot be.
    pub async fn written(&self) {
        let (done, written) = oneshot::channel();
        if self.writes.try_send(Write::Written(done)).is_ok() {
            let _ = written.await;
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
