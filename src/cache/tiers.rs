//! All tiers of this process: its memories, what is below them, and what was purged of both.

use std::sync::Arc;

use parking_lot::Mutex;

use super::lower::{Lower, LowerReadings};
use super::memory::Sweep;
use super::purges::{Purge, Purges};
use super::stored::Stored;

/// The memories, each of things of one kind, and whoever else goes by what is purged.
pub struct Memories {
    all: Box<[Arc<dyn Sweep>]>,
    heed: Heed,
}

/// Hears of every purge, made here or by another sidecar; of one made here, twice where there are others.
pub type Heed = Box<dyn Fn(&Purge) + Send + Sync>;

impl Memories {
    /// These memories; `heed` hears of purges as well.
    pub fn new(all: impl Into<Box<[Arc<dyn Sweep>]>>, heed: Heed) -> Arc<Self> {
        Arc::new(Self { all: all.into(), heed })
    }

    /// Purges what is `covered`, and says how much that was.
    pub(super) fn purge(&self, purge: &Purge, covered: &dyn Fn(&dyn Stored) -> bool) -> usize {
        (self.heed)(purge);
        if purge.is_of_any_store() {
            return 0;
        }
        self.all.iter().map(|memory| memory.sweep(covered)).sum()
    }
}

/// The tiers that all caches of this process are over.
pub struct Tiers {
    memories: Arc<Memories>,
    pub(super) purges: Arc<Mutex<Purges>>,
    pub(super) lower: Option<Lower>,
}

impl Tiers {
    /// These memories over the tiers in `lower`, if there are any; `purges` is what those remember.
    pub fn new(memories: Arc<Memories>, lower: Option<Lower>, purges: Arc<Mutex<Purges>>) -> Self {
        if let Some(lower) = &lower {
            lower.agree(&memories, &purges);
        }
        Self { memories, purges, lower }
    }

    /// Removes what `purge` describes and says how much in memory that was.
    pub fn purge(&self, purge: Purge) -> usize {
        let mut purges = self.purges.lock();
        let generation = purges.next();
        if let Some(lower) = &self.lower {
            lower.purged(generation, &purge);
        }
        let removed = self.memories.purge(&purge, &|stored| purge.covers(stored));
        purges.add(generation, purge);
        removed
    }

    /// Writes below the memory what is still to be written, for a process that ends in order.
    pub async fn close(&self) {
        if let Some(lower) = &self.lower {
            lower.close().await;
        }
    }

    /// What the tiers below the memory have to tell, where there are any.
    pub fn lower(&self) -> Option<LowerReadings> {
        self.lower.as_ref().map(Lower::readings)
    }
}
