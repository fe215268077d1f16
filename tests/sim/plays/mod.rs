//! Short plays, each of one rule, on the paused clock.

mod crowd;
mod failing;
mod failover;
mod outage;
mod recording;
mod resuming;
mod servers;
mod sharing;
mod stale;
mod timeouts;
mod windows;

use std::time::Duration;

/// So many seconds.
const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
