//! redb, a B-tree of copied pages in one file, with the simplest eviction: a second table has the keys
//! by age, and the oldest are removed with what is stored.
//!
//! A commit that is synced for each batch would wait for the disk; a cache may lose its last half
//! second, so commits are not made durable, and one is twice a second.

use std::path::Path;

use parking_lot::Mutex;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::threaded::Engine;
use crate::Outcome;
use crate::payload::Key;

/// Values by key.
const ENTRIES: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("entries");
/// Key and size of each value by age.
const AGES: TableDefinition<u64, (&[u8; 32], u64)> = TableDefinition::new("ages");
/// Share of the bound that values may take, in tenths. A value has pages to itself whose number is a power of two, and
/// a page that is replaced is free only after the next durable commit.
const SHARE: u64 = 4;
/// Pages held in memory, as many as the product gives fjall's blocks.
const PAGES: usize = 8 << 20;

/// An open database.
pub struct Redb {
    database: Database,
    bound: u64,
    ring: Mutex<Ring>,
}

/// The ages in use and the bytes of their values.
struct Ring {
    next: u64,
    bytes: u64,
}

impl Redb {
    fn begin(&self, durability: Durability) -> Outcome<WriteTransaction> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        Ok(transaction)
    }
}

impl Engine for Redb {
    const FAILS_WHOLE: bool = true;

    fn open(path: &Path, bound: u64) -> Outcome<Self> {
        std::fs::create_dir_all(path)?;
        let database = Database::builder().set_cache_size(PAGES).create(path.join("store.redb"))?;
        let transaction = database.begin_write()?;
        let mut ring = Ring { next: 0, bytes: 0 };
        {
            transaction.open_table(ENTRIES)?;
            for kept in transaction.open_table(AGES)?.iter()? {
                let (age, value) = kept?;
                ring = Ring { next: age.value() + 1, bytes: ring.bytes + value.value().1 };
            }
        }
        transaction.commit()?;
        Ok(Self { database, bound: bound / 10 * SHARE, ring: Mutex::new(ring) })
    }

    fn get(&self, key: &Key) -> Outcome<Option<Vec<u8>>> {
        let table = self.database.begin_read()?.open_table(ENTRIES)?;
        Ok(table.get(&key.0)?.map(|value| value.value().to_vec()))
    }

    fn put(&self, entries: Vec<(Key, Vec<u8>)>) -> Outcome<()> {
        let transaction = self.begin(Durability::None)?;
        {
            let (mut values, mut ages) = (transaction.open_table(ENTRIES)?, transaction.open_table(AGES)?);
            let mut ring = self.ring.lock();
            for (key, value) in entries {
                let size = value.len() as u64;
                while ring.bytes + size > self.bound
                    && let Some((_, oldest)) = ages.pop_first()?
                {
                    let (key, size) = oldest.value();
                    values.remove(key)?;
                    ring.bytes -= size;
                }
                values.insert(&key.0, value.as_slice())?;
                ages.insert(ring.next, (&key.0, size))?;
                ring.next += 1;
                ring.bytes += size;
            }
        }
        Ok(transaction.commit()?)
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.begin(Durability::Immediate)?.commit()?)
    }
}
