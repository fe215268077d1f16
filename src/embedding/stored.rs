//! A vector as it is stored, and what is known of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::vector::Floats;
use crate::request::key::CacheKey;
use crate::response::price::Cost;

/// A vector and what is known of it.
#[derive(Debug)]
pub struct Vector {
    /// What it belongs to: finds it and proves it.
    pub key: CacheKey,
    /// Its numbers.
    pub floats: Floats,
    /// The tokens of its input: what the provider counted, or its share of a call's count.
    pub tokens: Option<u64>,
    /// What that costs, where the model's price is known.
    pub cost: Option<Cost>,
    /// The latest purge known when it was asked for.
    pub generation: u64,
    /// Facts it has in common with the others of its call.
    pub origin: Arc<Origin>,
}

/// What the vectors of one call have in common.
#[derive(Debug)]
pub struct Origin {
    /// The model asked for.
    pub model: Option<Box<str>>,
    /// The model that answered, as the provider names it.
    pub answered: Option<Box<str>>,
    /// Who answered.
    pub provider: Arc<str>,
    /// For whom it was fetched.
    pub tenant: Box<str>,
    /// When it came.
    pub stored: Instant,
    /// How long it is fresh.
    pub ttl: Duration,
}
