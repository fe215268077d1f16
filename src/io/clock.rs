//! Wall time. Durations and deadlines use tokio's clock, which a test can pause; this adds the
//! date to it.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Tells what time it is.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    /// Wall time at an instant of tokio's (possibly paused) clock.
    Anchored(SystemTime, Instant),
}

impl Clock {
    /// The machine's own clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `start` now and then moves with tokio's clock, paused or not.
    pub fn anchored(start: SystemTime) -> Self {
        Self(Source::Anchored(start, Instant::now()))
    }

    /// The instant now, for measuring durations.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// The date and time now.
    pub fn wall(&self) -> SystemTime {
        match self.0 {
            Source::System => SystemTime::now(),
            Source::Anchored(start, anchor) => start + anchor.elapsed(),
        }
    }

    /// Time since 1970, UTC.
    pub fn unix(&self) -> Duration {
        self.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}
