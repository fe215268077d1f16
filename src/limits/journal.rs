//! Counts on disk, so that a restart does not make every budget new.
//!
//! A count is written down a second after it has changed, and before that whenever it may grow beyond
//! what was written: a lease, of what is used and reserved and a little more, which the request that needs
//! it waits for. So a process that is killed has never let through more than was written. The next one counts
//! leases as used, since the provider may have done all of it, and says so.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::book::Book;
use crate::io::detached::{END, in_time};

/// Orders that may wait for the disk; one more is not written.
const QUEUE: usize = 4096;
/// Orders written together at most.
const TOGETHER: usize = 512;
/// How soon after a change a count is written.
const SOON: Duration = Duration::from_secs(1);
/// No request waits longer for its lease, and none at all once one has waited in vain.
const PATIENCE: Duration = Duration::from_millis(50);
/// Stands between the limit, its dimensions and the subject in a key.
const BETWEEN: char = '\u{1e}';

/// One subject's counts as they are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The counts.
    pub counts: Vec<Count>,
}

/// One count as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// What is counted, and over which window: `tokens day Europe/Berlin`.
    pub gauge: String,
    /// What was used.
    pub used: u64,
    /// The most that may have been used since.
    pub leased: u64,
    /// When the budget's window began.
    pub start: i64,
    /// How many shares of it have been told.
    pub told: u8,
    /// Whether it has been told that it will not last.
    pub forecast_told: bool,
}

/// The counts of one subject under their key; `None` where they say nothing any more.
pub type Line = (String, Option<Record>);

enum Order {
    /// Write, then say so.
    Lease(Vec<Line>, oneshot::Sender<()>),
    /// Write when there is time.
    Note(Vec<Line>),
    /// Write and end.
    Last(Vec<Line>, SyncSender<()>),
}

/// Counts on disk.
pub struct Journal {
    orders: SyncSender<Order>,
    /// Whether the disk fails or takes too long, and has been complained of.
    behind: Arc<AtomicBool>,
    /// What the last process left, by limit, until that is asked for.
    left: Mutex<HashMap<String, Vec<(String, Record)>>>,
}

/// The first part of the keys of a limit's counts.
pub fn shelf(limit: &str, per: &str) -> String {
    format!("{limit}{BETWEEN}{per}{BETWEEN}")
}

impl Journal {
    /// Opens or creates it, and reads what the last process left.
    ///
    /// # Errors
    /// The store's, or that of a thread which cannot be started.
    pub fn open(path: &Path) -> std::io::Result<(Self, Writer)> {
        let (orders, to_write) = sync_channel(QUEUE);
        let store = Store::open(path).map_err(std::io::Error::other)?;
        let mut left: HashMap<String, Vec<(String, Record)>> = HashMap::new();
        for item in store.counts.iter() {
            let (key, value) = item.into_inner().map_err(std::io::Error::other)?;
            let key = String::from_utf8_lossy(&key).into_owned();
            let (Some(end), Ok(record)) = (key.rfind(BETWEEN), serde_json::from_slice(&value)) else {
                continue;
            };
            let (shelf, subject) = key.split_at(end + BETWEEN.len_utf8());
            left.entry(shelf.to_owned()).or_default().push((subject.to_owned(), record));
        }
        let behind = Arc::new(AtomicBool::new(false));
        let journal = Self { orders, behind: behind.clone(), left: Mutex::new(left) };
        let (path, pending, flushed) = (path.to_owned(), HashMap::new(), Instant::now());
        Ok((journal, Writer { path, store: Some(store), pending, orders: to_write, flushed, behind }))
    }

    /// What the last process left of one limit; told once.
    pub fn left(&self, shelf: &str) -> Vec<(String, Record)> {
        self.left.lock().remove(shelf).unwrap_or_default()
    }

    /// Writes leases and waits until they are written. A disk that is slow or broken keeps nobody for long:
    /// the request goes on, those after it do not wait, and a crash may then lose what they took.
    pub async fn lease(&self, lines: Vec<Line>) {
        if self.behind.load(Relaxed) {
            return self.note(lines);
        }
        let (written, waits) = oneshot::channel();
        let asked = self.orders.try_send(Order::Lease(lines, written)).is_ok();
        let in_time = asked && tokio::time::timeout(PATIENCE, waits).await.is_ok();
        if !in_time && !self.behind.swap(true, Relaxed) {
            tracing::warn!("the counts of limits are not written in time; a crash now would lose some");
        }
    }

    /// Writes when there is time.
    pub fn note(&self, lines: Vec<Line>) {
        if !lines.is_empty() {
            let _ = self.orders.try_send(Order::Note(lines));
        }
    }

    /// Writes the last counts of a process that ends in order.
    pub fn close(&self, lines: Vec<Line>) {
        let (orders, (written, waits)) = (self.orders.clone(), sync_channel(1));
        let last = move || orders.send(Order::Last(lines, written)).is_ok() && waits.recv().is_ok();
        if !in_time("limits-close", END, last, drop).unwrap_or(false) {
            tracing::error!(
                "the last counts of limits are not written; the next process does not know of them"
            );
        }
    }
}

/// The files.
struct Store {
    database: Database,
    counts: Keyspace,
}

impl Store {
    fn open(path: &Path) -> fjall::Result<Self> {
        let database = Database::builder(path).worker_threads(1).open()?;
        let counts = database.keyspace("counts", KeyspaceCreateOptions::default)?;
        Ok(Self { database, counts })
    }

    fn write(&self, lines: &HashMap<String, Option<Record>>) -> fjall::Result<()> {
        let mut batch = self.database.batch();
        for (key, record) in lines {
            match record.as_ref().and_then(|record| serde_json::to_vec(record).ok()) {
                Some(value) => batch.insert(&self.counts, key.as_bytes(), value),
                None => batch.remove(&self.counts, key.as_bytes()),
            }
        }
        batch.commit()
    }
}

/// What writes, on a thread of its own.
pub struct Writer {
    path: PathBuf,
    /// What could not write must be opened anew: until then it is none.
    store: Option<Store>,
    /// The latest of each subject that is not written yet.
    pending: HashMap<String, Option<Record>>,
    orders: Receiver<Order>,
    flushed: Instant,
    behind: Arc<AtomicBool>,
}

impl Writer {
    /// Writes until the book is gone or closed.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(mut self, book: &Arc<Book>) -> std::io::Result<()> {
        let book = Arc::downgrade(book);
        let run = move || while self.turn(&book) {};
        std::thread::Builder::new().name("limits-write".to_owned()).spawn(run).map(drop)
    }

    /// Writes what there is; whether there will be more.
    fn turn(&mut self, book: &Weak<Book>) -> bool {
        let (mut lines, mut leases, mut last) = (Vec::new(), Vec::new(), None);
        let mut next = match self.orders.recv_timeout(SOON) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        while let Some(order) = next {
            match order {
                Order::Lease(some, written) => {
                    lines.extend(some);
                    leases.push(written);
                }
                Order::Note(some) => lines.extend(some),
                Order::Last(some, written) => {
                    lines.extend(some);
                    last = Some(written);
                }
            }
            let full = lines.len() >= TOGETHER || last.is_some();
            next = if full { None } else { self.orders.try_recv().ok() };
        }
        self.pending.extend(lines);
        if last.is_some() || self.flushed.elapsed() >= SOON {
            if last.is_none() {
                let Some(book) = book.upgrade() else { return false };
                self.pending.extend(book.changed());
            }
            self.flushed = Instant::now();
            self.reopen();
        }
        self.write();
        for written in leases {
            let _ = written.send(());
        }
        last.is_none_or(|written| {
            if self.pending.is_empty() {
                let _ = written.send(());
            }
            false
        })
    }

    fn reopen(&mut self) {
        if self.store.is_none() {
            self.store = Store::open(&self.path).ok();
        }
    }

    fn write(&mut self) {
        let Some(store) = self.store.as_ref().filter(|_| !self.pending.is_empty()) else { return };
        match store.write(&self.pending) {
            Ok(()) => {
                self.pending.clear();
                if self.behind.swap(false, Relaxed) {
                    tracing::info!("the counts of limits are written again");
                }
            }
            Err(error) => {
                self.store = None;
                if !self.behind.swap(true, Relaxed) {
                    tracing::error!(%error, "the counts of limits cannot be written");
                }
            }
        }
    }
}
