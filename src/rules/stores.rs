//! How many files vector stores have, as their provider said a moment ago.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::request::identity::Credential;

/// How long a count holds. A store that is filled past us is searched again after at most this.
pub const HOLDS: Duration = Duration::from_secs(5);

/// Stores whose counts are remembered; of more, the least used are asked for again.
const MOST_STORES: usize = 10_000;

/// One store as one caller sees it: whether it exists is for its provider to say to each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreKey {
    /// Who asks.
    pub credential: Credential,
    /// The provider account.
    pub account: Box<str>,
    /// The store's id.
    pub store: Box<str>,
}

#[derive(Clone, Copy)]
struct Known {
    /// `None` where the provider did not say.
    files: Option<u64>,
    read: Instant,
}

/// The counts of stores, each read once for all who ask at the same time.
pub struct Stores {
    known: Cache<StoreKey, Known>,
    /// Writes seen so far: a count read around one may be of before it.
    writes: AtomicU64,
}

impl Default for Stores {
    fn default() -> Self {
        Self { known: Cache::new(MOST_STORES), writes: AtomicU64::new(0) }
    }
}

impl Stores {
    /// How many files the store has that can be found in: remembered, or as `read` says. `None` where
    /// the provider does not say; it is not asked again for a moment either.
    pub async fn files(
        &self,
        key: StoreKey,
        now: impl Fn() -> Instant,
        read: impl Future<Output = Option<u64>>,
    ) -> Option<u64> {
        if let Some(known) = self.known.get(&key) {
            if now().saturating_duration_since(known.read) < HOLDS {
                return known.files;
            }
            self.known.remove(&key);
        }
        let writes = self.writes.load(SeqCst);
        match self.known.get_value_or_guard_async(&key).await {
            Ok(known) => known.files,
            Err(guard) => {
                let files = read.await;
                if self.writes.load(SeqCst) == writes {
                    // Fails where the place was taken away meanwhile: then it is not remembered.
                    let _ = guard.insert(Known { files, read: now() });
                }
                files
            }
        }
    }

    /// What is remembered of a store, without asking.
    pub fn remembered(&self, key: &StoreKey, now: Instant) -> Option<u64> {
        let known = self.known.get(key)?;
        known.files.filter(|_| now.saturating_duration_since(known.read) < HOLDS)
    }

    /// A write to this store, or to files of any (`None`), was seen to pass.
    pub fn wrote(&self, store: Option<&str>) {
        self.writes.fetch_add(1, SeqCst);
        self.known.retain(|key, _| store.is_some_and(|store| *key.store != *store));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn key(store: &str) -> StoreKey {
        StoreKey { credential: Credential([1; 16]), account: "a".into(), store: store.into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_holds_for_a_moment_and_until_a_write() {
        let (stores, reads) = (Stores::default(), Cell::new(0));
        let read = |store: &'static str| {
            stores.files(key(store), Instant::now, async {
                reads.set(reads.get() + 1);
                Some(reads.get())
            })
        };
        assert_eq!((read("a").await, read("a").await), (Some(1), Some(1)));
        tokio::time::advance(HOLDS).await;
        assert_eq!(read("a").await, Some(2));
        assert_eq!(read("b").await, Some(3));
        stores.wrote(Some("a"));
        assert_eq!((read("a").await, read("b").await), (Some(4), Some(3)));
        stores.wrote(None);
        assert_eq!(read("b").await, Some(5));
        assert_eq!(stores.remembered(&key("b"), Instant::now()), Some(5));
        assert_eq!(stores.remembered(&key("c"), Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_read_around_a_write_is_not_remembered() {
        let stores = Stores::default();
        let read = stores.files(key("a"), Instant::now, async {
            stores.wrote(Some("a"));
            Some(0)
        });
        assert_eq!(read.await, Some(0));
        assert_eq!(stores.files(key("a"), Instant::now, async { Some(1) }).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_at_once_ask_once_even_if_the_first_leaves() {
        let stores = Stores::default();
        let never = stores.files(key("a"), Instant::now, std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(1), never).await.is_err());
        let reads = Cell::new(0);
        let read = || {
            stores.files(key("a"), Instant::now, async {
                tokio::task::yield_now().await;
                reads.set(reads.get() + 1);
                None
            })
        };
        assert_eq!(tokio::join!(read(), read(), read()), (None, None, None));
        assert_eq!(reads.get(), 1, "not knowing is remembered too");
    }
}
