//! A map: nothing on disk, so that what it takes is what the measurement and the threads take.

use std::collections::HashMap;
use std::path::Path;

use parking_lot::RwLock;

use super::threaded::Engine;
use crate::Outcome;
use crate::payload::Key;

/// A map.
#[derive(Default)]
pub struct Memory {
    entries: RwLock<HashMap<Key, Vec<u8>>>,
}

impl Engine for Memory {
    fn open(_: &Path, _: u64) -> Outcome<Self> {
        Ok(Self::default())
    }

    fn get(&self, key: &Key) -> Outcome<Option<Vec<u8>>> {
        Ok(self.entries.read().get(key).cloned())
    }

    fn put(&self, entries: Vec<(Key, Vec<u8>)>) -> Outcome<()> {
        self.entries.write().extend(entries);
        Ok(())
    }
}
