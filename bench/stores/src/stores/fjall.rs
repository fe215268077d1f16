//! fjall as pareto has it: the product's own tier on disk, its two threads and its bounds.

use std::path::Path;
use std::sync::Arc;

use pareto::cache::disk::Disk;
use pareto::config::storage;
use pareto::request::key::CacheKey;

use crate::Outcome;
use crate::payload::Key;
use crate::store::Store;

impl Store for Disk {
    async fn open(path: &Path, bound: u64) -> Outcome<Self> {
        Ok(Self::start(storage::Disk { path: path.to_owned(), size: bound }, Arc::default())?)
    }

    fn put(&self, key: Key, value: Vec<u8>) {
        Self::put(self, CacheKey::from_bytes(key.0), value);
    }

    async fn get(&self, key: Key) -> Option<Vec<u8>> {
        Self::get(self, CacheKey::from_bytes(key.0)).await
    }
}
