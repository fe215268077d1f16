//! What the tier on disk does on its two threads, and what they and requests share: the open store, whether
//! it works, and when a failing disk is tried again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};

use super::segments::{Recalled, Segments, is_damage};
use crate::cache::purges::{Purge, Purges};
use crate::config::storage::Disk as Settings;
use crate::request::key::CacheKey;

/// A write under way for longer is one on a disk that stands still; most end in microseconds.
const STILL: Duration = Duration::from_secs(1);
/// For how long a failing disk is left alone: at first, and at most.
const REST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// What requests and the two threads share.
pub(super) struct Shared {
    settings: Settings,
    purges: Arc<Mutex<Purges>>,
    /// `None` while it is left alone.
    pub open: RwLock<Option<Arc<Segments>>>,
    /// Purges that are not on disk yet.
    pub unsaved: Mutex<VecDeque<(u64, Purge)>>,
    pub up: AtomicBool,
    pub bytes: AtomicU64,
    pub damaged: AtomicU64,
    pub skipped: AtomicU64,
    /// Bytes that wait to be written.
    pub queued: AtomicU64,
    pub errors: AtomicU64,
    /// Since when the write under way has been.
    writing: Mutex<Option<Instant>>,
    rest: Mutex<Rest>,
}

struct Rest {
    until: Option<Instant>,
    next: Duration,
}

/// What somebody wants to know.
pub(super) struct Read {
    pub keys: Vec<CacheKey>,
    pub answer: oneshot::Sender<Vec<Option<Vec<u8>>>>,
}

/// What is to be written.
pub(super) enum Write {
    Entries(Vec<(CacheKey, Vec<u8>)>),
    /// There are purges to save.
    Purges,
    /// Answered once all before it is written, or cannot be.
    Written(oneshot::Sender<()>),
}

/// Bytes of entries.
pub(super) fn size(entries: &[(CacheKey, Vec<u8>)]) -> u64 {
    entries.iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

impl Shared {
    /// A store that is not open yet.
    pub fn new(settings: Settings, purges: Arc<Mutex<Purges>>) -> Arc<Self> {
        Arc::new(Self {
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
            writing: Mutex::new(None),
            rest: Mutex::new(Rest { until: None, next: REST.0 }),
        })
    }

    /// Opens the store; it is up then, or rests.
    fn open(&self) {
        match self.opened() {
            Ok((segments, purges)) => {
                self.recall(purges);
                self.bytes.store(segments.bytes(), Relaxed);
                *self.open.write() = Some(Arc::new(segments));
                self.up.store(true, Relaxed);
                if self.errors.load(Relaxed) > 0 {
                    tracing::info!(path = %self.settings.path.display(), "the disk tier is on again");
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Takes in what the store remembers. Where that is news, purges made without it have numbers that the
    /// store is beyond, and get new ones: what they remove is what was stored before them.
    fn recall(&self, purges: Recalled) {
        let mut known = self.purges.lock();
        let before = known.latest();
        for (generation, purge) in purges {
            known.add(generation, purge);
        }
        if known.latest() > before {
            for (generation, purge) in &mut *self.unsaved.lock() {
                *generation = known.next();
                known.add(*generation, purge.clone());
            }
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

    /// Leaves the disk alone for a while.
    pub fn fail(&self, error: &dyn std::fmt::Display) {
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

    /// Reads until nobody can ask any more.
    pub fn read(&self, mut jobs: mpsc::Receiver<Read>) {
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

    /// Opens the store, says so, and writes until nobody can store any more.
    pub fn write(&self, jobs: Receiver<Write>, opened: SyncSender<()>) {
        self.open();
        let _ = opened.send(());
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
            match (open, job) {
                (Some(segments), job) => match self.timed(|| self.save(&segments, job)) {
                    Ok(()) => self.bytes.store(segments.bytes(), Relaxed),
                    Err(error) => {
                        self.fail(&error);
                        // What could not write must be opened anew; its lock goes with it.
                        *self.open.write() = None;
                    }
                },
                (None, Some(Write::Entries(entries))) => {
                    self.skipped.fetch_add(entries.len() as u64, Relaxed);
                }
                (None, _) => {}
            }
        }
    }

    fn timed<T>(&self, write: impl FnOnce() -> T) -> T {
        *self.writing.lock() = Some(Instant::now());
        let written = write();
        *self.writing.lock() = None;
        written
    }

    /// Finds a disk that reads need not touch and on which no write ends.
    pub fn look_after_writes(&self) {
        let still = self.writing.lock().is_some_and(|since| since.elapsed() > STILL);
        if still && self.up.load(Relaxed) {
            self.fail(&"a write takes too long");
        }
    }

    fn save(&self, segments: &Segments, job: Option<Write>) -> fjall::Result<()> {
        self.save_purges(segments)?;
        match job {
            None | Some(Write::Purges) => {}
            Some(Write::Written(done)) => drop(done.send(())),
            Some(Write::Entries(entries)) => {
                for (key, bytes) in entries {
                    let stored = segments.put(&key, bytes)?;
                    self.skipped.fetch_add(u64::from(!stored), Relaxed);
                }
                self.rest.lock().next = REST.0;
            }
        }
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
        self.up.load(Relaxed)
    }
}
