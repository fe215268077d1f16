//! What blocks, behind one thread that reads and one that writes, as the product has its own: handing
//! work over costs each candidate the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use crate::Outcome;
use crate::payload::Key;
use crate::store::Store;

/// Reads and writes that may wait; more are a miss and not stored.
const QUEUE: usize = 1024;
/// Writes that are done as one.
const BATCH: usize = 256;
/// How often what is not safe yet is made so, and how long what failed is left alone.
const PAUSE: Duration = Duration::from_millis(500);
/// Longer than this no caller waits for a read.
const PATIENCE: Duration = Duration::from_millis(50);

/// A store whose calls take as long as the disk does.
pub trait Engine: Sized + Send + Sync + 'static {
    /// Whether nothing works after a write has failed, until it is opened again.
    const FAILS_WHOLE: bool = false;

    /// Opens or makes it, with a bound on the bytes it takes on disk.
    fn open(path: &Path, bound: u64) -> Outcome<Self>;

    /// What is stored under a key.
    fn get(&self, key: &Key) -> Outcome<Option<Vec<u8>>>;

    /// Stores these, and removes the oldest where there is no room. One thread calls this.
    fn put(&self, entries: Vec<(Key, Vec<u8>)>) -> Outcome<()>;

    /// Makes safe what is not yet; called about twice a second.
    fn sync(&self) -> Outcome<()> {
        Ok(())
    }
}

/// An engine and its threads.
pub struct Threaded<E> {
    open: Arc<RwLock<Option<Arc<E>>>>,
    reads: mpsc::Sender<(Key, oneshot::Sender<Option<Vec<u8>>>)>,
    writes: SyncSender<(Key, Vec<u8>)>,
}

impl<E: Engine> Store for Threaded<E> {
    async fn open(path: &Path, bound: u64) -> Outcome<Self> {
        let open = Arc::new(RwLock::new(Some(Arc::new(E::open(path, bound)?))));
        let ((reads, mut to_read), (writes, to_write)) = (mpsc::channel(QUEUE), sync_channel(QUEUE));
        let store = Self { open: open.clone(), reads, writes };
        let for_reads = open.clone();
        std::thread::Builder::new().name("read".to_owned()).spawn(move || {
            while let Some((key, answer)) = to_read.blocking_recv() {
                let engine: Option<Arc<E>> = for_reads.read().clone();
                let _: Result<_, _> = answer.send(engine.and_then(|engine| engine.get(&key).ok().flatten()));
            }
        })?;
        let mut writer = Writer { open, path: path.to_owned(), bound, tried: Instant::now() };
        std::thread::Builder::new().name("write".to_owned()).spawn(move || writer.run(&to_write))?;
        Ok(store)
    }

    fn put(&self, key: Key, value: Vec<u8>) {
        // A full queue: it is not stored.
        let _ = self.writes.try_send((key, value));
    }

    async fn get(&self, key: Key) -> Option<Vec<u8>> {
        let (answer, found) = oneshot::channel();
        self.reads.try_send((key, answer)).ok()?;
        tokio::time::timeout(PATIENCE, found).await.ok()?.ok()?
    }
}

impl<E> Drop for Threaded<E> {
    fn drop(&mut self) {
        self.open.write().take();
    }
}

struct Writer<E> {
    open: Arc<RwLock<Option<Arc<E>>>>,
    path: PathBuf,
    bound: u64,
    tried: Instant,
}

impl<E: Engine> Writer<E> {
    fn run(&mut self, jobs: &Receiver<(Key, Vec<u8>)>) {
        let mut synced = Instant::now();
        loop {
            let mut batch = match jobs.recv_timeout(PAUSE) {
                Ok(job) => vec![job],
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            batch.extend(jobs.try_iter().take(BATCH - batch.len()));
            let Some(engine) = self.engine() else { continue };
            let mut done = if batch.is_empty() { Ok(()) } else { engine.put(batch) };
            if done.is_ok() && synced.elapsed() >= PAUSE {
                synced = Instant::now();
                done = engine.sync();
            }
            if done.is_err() && E::FAILS_WHOLE {
                drop(engine);
                *self.open.write() = None;
                self.tried = Instant::now();
            }
        }
    }

    /// What is open, or could be opened again.
    fn engine(&mut self) -> Option<Arc<E>> {
        let mut open = self.open.write();
        if open.is_none() && self.tried.elapsed() >= PAUSE {
            self.tried = Instant::now();
            *open = E::open(&self.path, self.bound).ok().map(Arc::new);
        }
        open.clone()
    }
}
