//! Wall time. Durations and deadlines use tokio's clock, which a test can pause; this adds the
//! date to it.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
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
    /// The same, so many seconds off.
    Off(SystemTime, Instant, &'static AtomicI64),
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

    /// A clock as [`Clock::anchored`] that is `off` by so many seconds, which may change: as when
    /// somebody sets a machine's clock.
    pub fn stepped(start: SystemTime, off: &'static AtomicI64) -> Self {
        Self(Source::Off(start, Instant::now(), off))
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
            Source::Off(start, anchor, off) => {
                let (shown, off) = (start + anchor.elapsed(), off.load(Relaxed));
                let by = Duration::from_secs(off.unsigned_abs());
                if off < 0 { shown - by } else { shown + by }
            }
        }
    }

    /// Time since 1970, UTC.
    pub fn unix(&self) -> Duration {
        self.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}
