//! What every candidate is asked for, and which there are.

use std::path::Path;

use clap::ValueEnum;

use crate::Outcome;
use crate::payload::Key;

/// A store as an event loop may use it: nothing here may hold the caller's thread up.
pub trait Store: Sized + Send + Sync + 'static {
    /// Opens or makes it, with a bound on the bytes it takes on disk.
    async fn open(path: &Path, bound: u64) -> Outcome<Self>;

    /// Stores soon, or not at all where it is behind.
    fn put(&self, key: Key, value: Vec<u8>);

    /// What is stored under a key.
    async fn get(&self, key: Key) -> Option<Vec<u8>>;
}

/// A candidate, or what candidates are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Candidate {
    /// pareto's own tier on disk, on fjall.
    #[cfg(feature = "pareto")]
    Fjall,
    /// A hybrid cache's disk engine.
    #[cfg(feature = "foyer")]
    Foyer,
    /// A B-tree of copied pages.
    #[cfg(feature = "redb")]
    Redb,
    /// A file for each entry.
    Files,
    /// A map behind the same two threads: what the measurement itself takes.
    Memory,
}

impl Candidate {
    /// Those that this program was built with.
    pub fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    /// The heading of its column.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "pareto")]
            Self::Fjall => "fjall, as pareto has it",
            #[cfg(feature = "foyer")]
            Self::Foyer => "foyer",
            #[cfg(feature = "redb")]
            Self::Redb => "redb",
            Self::Files => "a file each",
            Self::Memory => "(a map: the harness)",
        }
    }

    /// Whether it has anything on disk.
    pub fn is_durable(self) -> bool {
        self != Self::Memory
    }
}
