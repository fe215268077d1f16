//! All tiers of this process: its memories, what is below them, and what was purged of both.

use std::sync::Arc;

use parking_lot::Mutex;

use super::lower::{Lower, LowerReadings};
use super::memory::Sweep;
use super::purges::{Purge, Purges};

/// The memories, each of things of one kind.
pub type Memories = Arc<[Arc<dyn Sweep>]>;

/// The tiers that all caches of this process are over.
pub struct Tiers {
    memories: Memories,
    pub(super) purges: Arc<Mutex<Purges>>,
    pub(super) lower: Option<Lower>,
}

impl Tiers {
    /// These memories over the tiers in `lower`, if there are any; `purges` is what those remember.
    pub fn new(memories: Memories, lower: Option<Lower>, purges: Arc<Mutex<Purges>>) -> Self {
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
        let removed = self.memories.iter().map(|memory| memory.sweep(&|stored| purge.covers(stored))).sum();
        purges.add(generation, purge);
        removed
    }

    /// What the tiers below the memory have to tell, where there are any.
    pub fn lower(&self) -> Option<LowerReadings> {
        self.lower.as_ref().map(Lower::readings)
    }
}
