//! The store: a few key spaces of a log-structured merge tree (fjall), written one after the other.
//!
//! When the newest has its share of the size, a new one is begun and the oldest is dropped as a whole:
//! eviction in order of age that costs nothing per entry. A look-up asks the newest first; filters in
//! memory answer for those that do not have it.
//!
//! fjall hands each write to the operating system before it returns, so a killed process loses
//! nothing; after a power cut the last writes may be missing and a torn one is found by the journal's
//! checksum, or at the latest by the entry's own. What is found damaged is given up, a segment or the
//! whole store: all of it can be fetched again.
//!
//! Why fjall: small entries take no more than their bytes, and it says when a write failed. Measured
//! against others in `bench/README.md`, "Which store".

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fjall::{AbstractTree, Database, Keyspace, KeyspaceCreateOptions};
use parking_lot::RwLock;

use crate::cache::purges::Purge;
use crate::config::storage::Disk as Settings;
use crate::request::key::CacheKey;

/// Segments in use at most.
const SEGMENTS: u64 = 8;
/// Shares of the size: one for each segment, and room for one to be rewritten while it is compacted.
const SHARES: u64 = 10;
/// From which size on the journal is cut off; fjall has no lower one.
const JOURNAL: u64 = 64 << 20;
/// The journal, and the one before it until all in it is in segments.
const JOURNALS: u64 = 2 * JOURNAL;
/// Gathered writes that may wait to become files. With more, fjall holds up who writes, and for ever
/// where a full disk has ended its worker; what comes then is not stored.
const FLUSHES: usize = 2;
/// Files not yet merged in the newest segment, for the same reason.
const UNMERGED: usize = 16;
/// What one segment gathers in memory before it becomes a file, which is done here: fjall's own way is a
/// message to its worker with each write from there on, and a worker that was busy meanwhile waits for ever
/// for room among a thousand of them (fjall 3.1, `worker_pool.rs`).
const MEMTABLE: u64 = 8 << 20;
/// Blocks held in memory. Entries that are asked for again are in the memory tier anyway.
const BLOCKS: u64 = 8 << 20;
/// The directory of the store.
const STORE: &str = "store";
/// What the names of segments begin with; a number that only grows follows.
const NAME: &str = "entries-";
/// Remembered purges. Beyond, the oldest are forgotten by purging everything before them.
const PURGES: usize = 8192;

/// An open store. One writes, others read.
pub struct Segments {
    database: Database,
    /// Oldest first; never empty.
    segments: RwLock<Vec<(u64, Keyspace)>>,
    purges: Keyspace,
    /// Bytes written to the newest segment.
    written: AtomicU64,
    share: u64,
}

/// Purges and their generations.
pub type Recalled = Vec<(u64, Purge)>;

/// Whether an error says that what is on disk is not as it was written, rather than that the disk fails.
pub fn is_damage(error: &fjall::Error) -> bool {
    use fjall::Error::{Decompress, InvalidTag, InvalidTrailer, JournalRecovery, Storage, Unrecoverable};
    match error {
        Storage(inner) => !matches!(inner, fjall::LsmError::Io(error) if !is_cut(error)),
        fjall::Error::Io(error) => is_cut(error),
        Decompress(_) | InvalidTag(_) | InvalidTrailer | JournalRecovery(_) | Unrecoverable => true,
        // Another version's store, which a cache need not read.
        fjall::Error::InvalidVersion(_) => true,
        _ => false,
    }
}

/// A file that is missing or ends too early.
fn is_cut(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | NotFound | UnexpectedEof)
}

impl Segments {
    /// Opens or creates it, and says what it remembers of purges.
    pub fn open(settings: &Settings) -> fjall::Result<(Self, Recalled)> {
        let database = Database::builder(settings.path.join(STORE))
            .cache_size(BLOCKS)
            .max_journaling_size(JOURNAL)
            .worker_threads(1)
            .open()?;
        let names = database.list_keyspace_names();
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| name.strip_prefix(NAME)?.parse().ok()).collect();
        numbers.sort_unstable();
        if numbers.is_empty() {
            numbers.push(1);
        }
        let segments = numbers
            .into_iter()
            .map(|number| Ok((number, segment(&database, number)?)))
            .collect::<fjall::Result<Vec<_>>>()?;
        let remembered = database.keyspace("purges", KeyspaceCreateOptions::default)?;
        let written = AtomicU64::new(segments.last().map_or(0, |(_, segment)| segment.disk_space()));
        let share = settings.size.saturating_sub(JOURNALS) / SHARES;
        let segments = RwLock::new(segments);
        let store = Self { database, segments, purges: remembered, written, share };
        let recalled = store.recall()?;
        Ok((store, recalled))
    }

    /// Gives up all that is stored.
    pub fn discard(settings: &Settings) -> std::io::Result<()> {
        std::fs::remove_dir_all(settings.path.join(STORE))
    }

    fn recall(&self) -> fjall::Result<Recalled> {
        let mut recalled = Recalled::new();
        for item in self.purges.iter() {
            let (key, value) = item.into_inner()?;
            let generation = key.as_ref().try_into().map(u64::from_be_bytes);
            if let (Ok(generation), Ok(purge)) = (generation, serde_json::from_slice(&value)) {
                recalled.push((generation, purge));
            }
        }
        if recalled.len() > PURGES {
            let latest = recalled.iter().map(|(generation, _)| *generation).max().unwrap_or_default();
            self.purges.clear()?;
            self.purged(latest, &Purge::default())?;
            recalled = vec![(latest, Purge::default())];
        }
        Ok(recalled)
    }

    /// What is stored under a key, the latest of it. A segment that turns out damaged has nothing, and
    /// is given up; how many those were comes with it.
    pub fn get(&self, key: &CacheKey) -> fjall::Result<(Option<Vec<u8>>, u64)> {
        let segments = self.segments.read().clone();
        let mut damaged = 0;
        for (number, segment) in segments.into_iter().rev() {
            match segment.get(key.bytes()) {
                Ok(Some(bytes)) => return Ok((Some(bytes.to_vec()), damaged)),
                Ok(None) => {}
                Err(error) if is_damage(&error) => {
                    tracing::warn!(%error, "a part of the store on disk is damaged and given up");
                    self.drop_segment(number, segment)?;
                    damaged += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((None, damaged))
    }

    fn drop_segment(&self, number: u64, segment: Keyspace) -> fjall::Result<()> {
        self.segments.write().retain(|(other, _)| *other != number);
        self.database.delete_keyspace(segment)
    }

    /// Stores under a key; the oldest segment makes room. False where the disk is behind, and this was
    /// not stored.
    pub fn put(&self, key: &CacheKey, bytes: Vec<u8>) -> fjall::Result<bool> {
        let size = (bytes.len() + key.bytes().len()) as u64;
        let written = self.written.load(Relaxed);
        let full = written > 0 && written + size > self.share;
        let newest = self.segments.read().last().cloned();
        let newest = match newest {
            Some((_, newest)) if !full => newest,
            Some((number, before)) => {
                // A journal is kept for as long as anything in it is in memory alone.
                before.rotate_memtable()?;
                self.begin(number + 1)?
            }
            None => self.begin(1)?,
        };
        if self.database.outstanding_flushes() > FLUSHES || newest.l0_table_count() > UNMERGED {
            return Ok(false);
        }
        if newest.tree.active_memtable().size() >= MEMTABLE {
            newest.rotate_memtable()?;
        }
        newest.insert(key.bytes(), bytes)?;
        self.written.fetch_add(size, Relaxed);
        Ok(true)
    }

    /// Begins a segment, and drops what there is no room for beside it.
    fn begin(&self, number: u64) -> fjall::Result<Keyspace> {
        let newest = segment(&self.database, number)?;
        self.written.store(0, Relaxed);
        let mut segments = self.segments.write();
        segments.push((number, newest.clone()));
        let over = (segments.len() as u64).saturating_sub(SEGMENTS);
        let dropped: Vec<_> = segments.drain(..usize::try_from(over).unwrap_or_default()).collect();
        drop(segments);
        for (_, oldest) in dropped {
            self.database.delete_keyspace(oldest)?;
        }
        Ok(newest)
    }

    /// Remembers a purge.
    pub fn purged(&self, generation: u64, purge: &Purge) -> fjall::Result<()> {
        let text = serde_json::to_vec(purge).unwrap_or_default();
        self.purges.insert(generation.to_be_bytes(), text)
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        let segments = self.segments.read();
        let older = segments.iter().rev().skip(1).map(|(_, segment)| segment.disk_space());
        older.sum::<u64>() + self.written.load(Relaxed)
    }
}

fn segment(database: &Database, number: u64) -> fjall::Result<Keyspace> {
    database
        .keyspace(&format!("{NAME}{number}"), || KeyspaceCreateOptions::default().max_memtable_size(u64::MAX))
}
