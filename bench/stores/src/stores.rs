//! The candidates, and how each is set up.

pub mod files;
#[cfg(feature = "pareto")]
pub mod fjall;
#[cfg(feature = "foyer")]
pub mod foyer;
pub mod memory;
#[cfg(feature = "redb")]
pub mod redb;
pub mod threaded;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{files::Files, memory::Memory, threaded::Threaded};
    use crate::payload::{Payload, absent, key};
    use crate::store::Store;

    /// Entries; fewer than any queue holds.
    const ENTRIES: u64 = 200;

    async fn finds_what_it_stored_and_nothing_else<S: Store>() {
        let (directory, payload) = (tempfile::TempDir::new().unwrap(), Payload::new(1 << 10));
        let store = S::open(&directory.path().join("store"), 256 << 20).await.unwrap();
        for number in 0..ENTRIES {
            store.put(key(number), payload.value(number));
        }
        for number in 0..ENTRIES {
            let value = loop {
                match store.get(key(number)).await {
                    Some(value) => break value,
                    None => tokio::task::yield_now().await,
                }
            };
            assert!(payload.is(number, &value) && !payload.is(number + 1, &value));
            assert!(store.get(absent(number)).await.is_none());
        }
    }

    #[cfg(feature = "pareto")]
    #[tokio::test]
    async fn fjall_finds_what_it_stored() {
        finds_what_it_stored_and_nothing_else::<pareto::cache::disk::Disk>().await;
    }

    #[cfg(feature = "foyer")]
    #[tokio::test]
    async fn foyer_finds_what_it_stored() {
        finds_what_it_stored_and_nothing_else::<super::foyer::Foyer>().await;
    }

    #[cfg(feature = "redb")]
    #[tokio::test]
    async fn redb_finds_what_it_stored() {
        finds_what_it_stored_and_nothing_else::<Threaded<super::redb::Redb>>().await;
    }

    #[tokio::test]
    async fn files_are_found() {
        finds_what_it_stored_and_nothing_else::<Threaded<Files>>().await;
    }

    #[tokio::test]
    async fn a_map_finds_what_it_stored() {
        finds_what_it_stored_and_nothing_else::<Threaded<Memory>>().await;
    }
}
