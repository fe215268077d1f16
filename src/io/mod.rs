//! All that is neither configuration nor request: time, chance, the network. Passed in, so that a test
//! can hold the clock and script the provider.

pub mod chance;
pub mod clock;
pub mod connections;
pub mod detached;
pub mod envelope;
pub mod pingora;
pub mod redis;
pub mod resolver;
pub mod upstream;

use std::sync::Arc;

use chance::Chance;
use clock::Clock;
use upstream::Upstream;

/// The outside world as the rest of the program sees it.
#[derive(Clone)]
pub struct Io {
    /// Tells the time.
    pub clock: Clock,
    /// Waits by chance, and makes ids.
    pub chance: Chance,
    /// Reaches the providers.
    pub upstream: Arc<dyn Upstream>,
}
