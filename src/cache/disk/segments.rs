//! The store: a few key spaces of a log-structured merge tree (fjall), written one after the other.
//!
//! When the newest has its share of the size, a new one is begun and the oldest is dropped as a whole:
//! eviction in order of age that costs nothing per entry. A look-up asks the newest first; filters in
//! memory answer for those that do not have it.
//!
//! fjall hands each write to the operating system before it returns, so a killed process loses
//! nothing; after a power cut the last writes may be missing and a torn one is found by the journal's
//! checksum, or at the latest by the entry's own.

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use crate::cache::purges::{Purge, Purges};
use crate::config::storage::Disk as Settings;
use crate::request::key::CacheKey;

/// Segments in use at most.
const SEGMENTS: u64 = 8;
/// Shares of the size: one for each segment, and room for one to be rewritten while it is compacted.
const SHARES: u64 = 10;
/// The journal's bound; fjall has no lower one.
const JOURNAL: u64 = 64 << 20;
/// What one segment gathers in memory before it becomes a file.
const MEMTABLE: u64 = 8 << 20;
/// Blocks held in memory. Entries that are asked for again are in the memory tier anyway.
const BLOCKS: u64 = 8 << 20;
/// What the names of segments begin with; a number that only grows follows.
const NAME: &str = "entries-";
/// Remembered purges. Beyond, the oldest are forgotten by purging everything before them.
const PURGES: usize = 8192;

/// An open store.
pub struct Segments {
    database: Database,
    /// Oldest first; never empty.
    segments: Vec<(u64, Keyspace)>,
    purges: Keyspace,
    /// Bytes written to the newest segment.
    written: u64,
    share: u64,
}

impl Segments {
    /// Opens or creates it, and takes what it remembers of purges into `purges`.
    pub fn open(settings: &Settings, purges: &mut Purges) -> fjall::Result<Self> {
        let database = Database::builder(settings.path.join("store"))
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
        let written = segments.last().map_or(0, |(_, segment)| segment.disk_space());
        let share = settings.size.saturating_sub(JOURNAL) / SHARES;
        let store = Self { database, segments, purges: remembered, written, share };
        store.recall(purges)?;
        Ok(store)
    }

    fn recall(&self, purges: &mut Purges) -> fjall::Result<()> {
        let mut count = 0;
        for item in self.purges.iter() {
            let (key, value) = item.into_inner()?;
            let generation = key.as_ref().try_into().map(u64::from_be_bytes);
            if let (Ok(generation), Ok(purge)) = (generation, serde_json::from_slice(&value)) {
                purges.add(generation, purge);
            }
            count += 1;
        }
        if count > PURGES {
            let latest = purges.latest();
            self.purges.clear()?;
            self.purged(latest, &Purge::default())?;
            purges.add(latest, Purge::default());
        }
        Ok(())
    }

    /// What is stored under a key, the latest of it.
    pub fn get(&self, key: &CacheKey) -> fjall::Result<Option<Vec<u8>>> {
        for (_, segment) in self.segments.iter().rev() {
            if let Some(bytes) = segment.get(key.bytes())? {
                return Ok(Some(bytes.to_vec()));
            }
        }
        Ok(None)
    }

    /// Stores under a key; the oldest segment makes room.
    pub fn put(&mut self, key: &CacheKey, bytes: Vec<u8>) -> fjall::Result<()> {
        let size = (bytes.len() + key.bytes().len()) as u64;
        let Some((newest, segment_of_newest)) = self.segments.last() else { return Ok(()) };
        if self.written > 0 && self.written + size > self.share {
            let number = newest + 1;
            self.segments.push((number, segment(&self.database, number)?));
            self.written = 0;
            while self.segments.len() as u64 > SEGMENTS {
                let (_, oldest) = self.segments.remove(0);
                self.database.delete_keyspace(oldest)?;
            }
            return self.put(key, bytes);
        }
        segment_of_newest.insert(key.bytes(), bytes)?;
        self.written += size;
        Ok(())
    }

    /// Remembers a purge.
    pub fn purged(&self, generation: u64, purge: &Purge) -> fjall::Result<()> {
        let text = serde_json::to_vec(purge).unwrap_or_default();
        self.purges.insert(generation.to_be_bytes(), text)
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        let older = self.segments.iter().rev().skip(1).map(|(_, segment)| segment.disk_space());
        older.sum::<u64>() + self.written
    }
}

fn segment(database: &Database, number: u64) -> fjall::Result<Keyspace> {
    database
        .keyspace(&format!("{NAME}{number}"), || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE))
}
