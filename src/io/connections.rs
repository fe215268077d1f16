//! Counts the connections to providers, so that a pool that does not reuse is seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::RwLock;

/// Counters of all connections to providers.
#[derive(Default)]
pub struct Connections {
    opened: AtomicU64,
    reused: AtomicU64,
    active: RwLock<HashMap<String, Arc<AtomicI64>>>,
}

/// A call that holds a connection; dropping it gives the count back.
pub struct Active(Arc<AtomicI64>);

impl Connections {
    /// Counts a connection taken for a call: a new one, or one from the pool.
    pub fn opened(&self, reused: bool) {
        let counter = if reused { &self.reused } else { &self.opened };
        counter.fetch_add(1, Relaxed);
    }

    /// Marks a call to `provider` as under way until the mark is dropped.
    pub fn active(&self, provider: &str) -> Active {
        let known = self.active.read().get(provider).cloned();
        let count =
            known.unwrap_or_else(|| self.active.write().entry(provider.to_owned()).or_default().clone());
        count.fetch_add(1, Relaxed);
        Active(count)
    }

    /// Connections made anew since the start.
    pub fn opened_total(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    /// Calls that found a connection in the pool since the start.
    pub fn reused_total(&self) -> u64 {
        self.reused.load(Relaxed)
    }

    /// Calls under way by provider. Bounded by the providers ever configured.
    pub fn active_by_provider(&self) -> Vec<(String, i64)> {
        self.active.read().iter().map(|(name, count)| (name.clone(), count.load(Relaxed))).collect()
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
