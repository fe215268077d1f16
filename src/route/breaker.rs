//! A circuit breaker: a target that keeps failing is left alone for a while, then asked once.
//!
//! Pure: `now` is passed in. Closed, it counts the calls of a sliding window; it opens on too many
//! failures in a row or on too large a share of them. Open, it admits nothing until its rest is over;
//! then one probe goes, whose success closes it and whose failure doubles the rest (M. Nygard, Release
//! It!, chapter 5; the sliding window of slices as in resilience4j).

use std::time::Duration;

use tokio::time::Instant;

/// How long what happened counts.
pub const WINDOW: Duration = Duration::from_secs(30);
/// The window moves in this many slices.
const SLICES: usize = 10;
/// Fewer calls than this in the window prove nothing by their share.
pub const FEWEST: u32 = 10;
/// The share of failures that opens, in percent.
pub const SHARE: u32 = 50;
/// The failures in a row that open.
pub const IN_A_ROW: u32 = 5;
/// The first rest.
pub const REST: Duration = Duration::from_secs(5);
/// The longest rest.
pub const LONGEST_REST: Duration = Duration::from_secs(60);
/// A probe that has not been heard of for this long has been lost; another may go.
pub const PROBE: Duration = Duration::from_secs(60);

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Open,
    /// It may, and what becomes of it decides.
    Probe,
    /// Not before this moment.
    Refused(Instant),
}

/// What is shown of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls go.
    Closed,
    /// A probe may go, or is on its way.
    HalfOpen,
    /// No calls go.
    Open,
}

#[derive(Clone, Copy, Debug)]
enum Position {
    Closed,
    /// Since its opening it has rested this often in a row.
    Open {
        until: Instant,
        rests: u32,
    },
    /// A probe is under way, here or at another sidecar; from `until` on it counts as lost.
    Probing {
        until: Instant,
        rests: u32,
        elsewhere: bool,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Which slice of time since the breaker's beginning.
    number: u64,
    calls: u32,
    failures: u32,
}

/// A circuit breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    begun: Instant,
    position: Position,
    slices: [Slice; SLICES],
    in_a_row: u32,
    /// When it opened or closed last.
    changed: Option<Instant>,
}

impl Breaker {
    /// A closed breaker that has seen nothing.
    pub fn new(now: Instant) -> Self {
        let slices = [Slice::default(); SLICES];
        Self { begun: now, position: Position::Closed, slices, in_a_row: 0, changed: None }
    }

    /// Whether a call would be admitted now. Changes nothing.
    pub fn would_admit(&self, now: Instant) -> Admission {
        match self.position {
            Position::Closed => Admission::Open,
            Position::Open { until, .. } if until > now => Admission::Refused(until),
            Position::Open { .. } => Admission::Probe,
            Position::Probing { until, .. } if until > now => Admission::Refused(until),
            Position::Probing { .. } => Admission::Probe,
        }
    }

    /// Asks whether a call may go now. A probe that is admitted must be reported by
    /// [`Breaker::succeeded`], [`Breaker::failed`] or [`Breaker::forgotten`].
    pub fn admit(&mut self, now: Instant) -> Admission {
        let admission = self.would_admit(now);
        if admission == Admission::Probe {
            let (Position::Open { rests, .. } | Position::Probing { rests, .. }) = self.position else {
                return admission;
            };
            self.position = Position::Probing { until: now + PROBE, rests, elsewhere: false };
        }
        admission
    }

    /// A call has succeeded. The answer to a call from before the opening closes nothing unless it is
    /// the probe's: `probe` tells.
    pub fn succeeded(&mut self, probe: bool, now: Instant) {
        if probe {
            self.close(now);
        }
        if matches!(self.position, Position::Closed) {
            self.slice(now).calls += 1;
            self.in_a_row = 0;
        }
    }

    /// A call has failed, and the target is to blame.
    pub fn failed(&mut self, probe: bool, now: Instant) {
        match self.position {
            Position::Closed => {
                let slice = self.slice(now);
                slice.calls += 1;
                slice.failures += 1;
                self.in_a_row += 1;
                let (calls, failures) = self.counted(now);
                let share = calls >= FEWEST && failures * 100 >= calls * SHARE;
                if share || self.in_a_row >= IN_A_ROW {
                    self.open(now, now + REST, 0);
                }
            }
            Position::Open { rests, .. } | Position::Probing { rests, .. } if probe => {
                let rests = rests.saturating_add(1);
                self.open(now, now + rest(rests), rests);
            }
            Position::Open { .. } | Position::Probing { .. } => {}
        }
    }

    /// A call has come to nothing that says something of the target: cancelled, or refused for what
    /// was asked. If it was the probe, the next call is.
    pub fn forgotten(&mut self, probe: bool, now: Instant) {
        if let (Position::Probing { rests, .. }, true) = (self.position, probe) {
            self.position = Position::Open { until: now, rests };
        }
    }

    /// Opens it by what happened at `since`, here or at another sidecar.
    pub fn open(&mut self, since: Instant, until: Instant, rests: u32) {
        self.position = Position::Open { until, rests };
        self.changed = Some(since);
    }

    /// Closes it by what happened at `since`, here or at another sidecar. What was counted is forgotten.
    pub fn close(&mut self, since: Instant) {
        *self = Self { begun: self.begun, changed: Some(since), ..Self::new(since) };
    }

    /// Another sidecar probes, until this moment at the latest.
    pub fn leave_probe(&mut self, until: Instant) {
        if let Position::Open { rests, .. } | Position::Probing { rests, .. } = self.position {
            self.position = Position::Probing { until, rests, elsewhere: true };
        }
    }

    /// Another sidecar probes no more: if that was waited for, the next call here may.
    pub fn take_probe(&mut self, now: Instant) {
        if let Position::Probing { rests, elsewhere: true, .. } = self.position {
            self.position = Position::Open { until: now, rests };
        }
    }

    /// When it opened or closed last; `None`: it has been closed from its beginning.
    pub fn changed(&self) -> Option<Instant> {
        self.changed
    }

    /// Until when it rests, where it is not closed, and after how many failed probes.
    pub fn rest(&self) -> Option<(Instant, u32)> {
        match self.position {
            Position::Closed => None,
            Position::Open { until, rests } => Some((until, rests)),
            // Its rest is over.
            Position::Probing { rests, .. } => Some((self.changed.unwrap_or(self.begun), rests)),
        }
    }

    /// The end of the rest that began with the last opening, had it lasted half as long again; `None` where it
    /// is closed.
    pub fn end_of_longer_rest(&self) -> Option<Instant> {
        let (_, rests) = self.rest()?;
        Some(self.changed? + rest(rests) * 3 / 2)
    }

    /// Calls that have failed since the last success.
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// What is shown.
    pub fn state(&self, now: Instant) -> State {
        match self.position {
            Position::Closed => State::Closed,
            Position::Open { until, .. } if until > now => State::Open,
            Position::Open { .. } | Position::Probing { .. } => State::HalfOpen,
        }
    }

    /// Calls and failures within the window.
    pub fn counted(&self, now: Instant) -> (u32, u32) {
        let current = self.number(now);
        let recent = self.slices.iter().filter(|slice| slice.number + SLICES as u64 > current);
        recent.fold((0, 0), |(calls, failures), slice| (calls + slice.calls, failures + slice.failures))
    }

    fn number(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.begun).as_millis();
        // From SLICES on: what was never used has number 0 and is always out of the window.
        u64::try_from(passed / (WINDOW.as_millis() / SLICES as u128)).unwrap_or(u64::MAX - 64) + SLICES as u64
    }

    fn slice(&mut self, now: Instant) -> &mut Slice {
        let number = self.number(now);
        let slice = &mut self.slices[(number % SLICES as u64) as usize];
        if slice.number != number {
            *slice = Slice { number, calls: 0, failures: 0 };
        }
        slice
    }
}

/// The rest after this many failed probes.
fn rest(rests: u32) -> Duration {
    REST.saturating_mul(1 << rests.min(16)).min(LONGEST_REST)
}

impl State {
    /// The name shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }

    /// The value of `breaker_state`: 0 closed, 1 half-open, 2 open.
    pub const fn value(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}
