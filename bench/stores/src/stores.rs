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
