//! Look-ups under way in the tiers below the memory: all who miss the same key at once share one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::Found;
use crate::request::key::CacheKey;

type Cell<T> = Arc<OnceCell<Option<Found<T>>>>;

/// The look-ups under way.
pub struct Lookups<T>(Mutex<HashMap<CacheKey, Cell<T>>>);

/// Takes a look-up off the list with the last who waits for it.
struct Waiting<'l, T> {
    lookups: &'l Lookups<T>,
    key: CacheKey,
    cell: Cell<T>,
}

impl<T> Default for Lookups<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Lookups<T> {
    /// What `look` finds, for this caller and all who ask until it is found. Where the caller that
    /// looks goes away, the next one looks.
    pub async fn share(
        &self,
        key: CacheKey,
        look: impl Future<Output = Option<Found<T>>>,
    ) -> Option<Found<T>> {
        let cell = self.0.lock().entry(key).or_default().clone();
        let waiting = Waiting { lookups: self, key, cell };
        waiting.cell.get_or_init(|| look).await.clone()
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        let mut list = self.lookups.0.lock();
        // Two hold an unfinished one that nobody else waits for: the list and this.
        let over = self.cell.initialized() || Arc::strong_count(&self.cell) <= 2;
        if over && list.get(&self.key).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell)) {
            list.remove(&self.key);
        }
    }
}
