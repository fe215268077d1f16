//! What is known of targets and their keys. It outlives a reload, by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::allowance::Allowance;
use super::breaker::{Admission, Breaker, State};
use super::latency::Latency;
use super::verdict::{Blame, Verdict};

/// How long a target rests that says it is overloaded and not for how long.
const BREATH: Duration = Duration::from_secs(1);
/// How long a key is benched that is refused, or has no money left: nobody mends that in seconds.
pub const BENCH: Duration = Duration::from_secs(300);

/// What is known of all targets, by name.
#[derive(Default)]
pub struct Healths {
    targets: Mutex<HashMap<Box<str>, Arc<Health>>>,
    slots: Mutex<HashMap<Box<str>, Arc<Slot>>>,
}

/// What is known of one target, whichever key it is called with.
pub struct Health {
    busy: AtomicUsize,
    latency: Mutex<Latency>,
}

/// What is known of one target called with one key.
pub struct Slot {
    condition: Mutex<Condition>,
}

struct Condition {
    breaker: Breaker,
    /// Neither the breaker nor the balance sends anything before this.
    rests_until: Instant,
    reason: &'static str,
    /// What the provider says is left to this key.
    allowance: Allowance,
}

/// Leave to make one call, to be told how it went. Dropped untold, it has said nothing of the target.
pub struct Leave {
    slot: Arc<Slot>,
    probe: bool,
    /// It goes although it may not.
    forced: bool,
    told: bool,
}

/// What operators are shown of a target and key.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Its breaker.
    pub state: State,
    /// Calls and failures within the breaker's window.
    pub counted: (u32, u32),
    /// How long it rests yet, and why.
    pub rest: Option<(Duration, &'static str)>,
}

/// Counts a call as under way while it lives.
pub struct Busy(Arc<Health>);

impl Healths {
    /// The target of this name, new if there was none.
    pub fn target(&self, name: &str, now: Instant) -> Arc<Health> {
        let new = || Health { busy: AtomicUsize::new(0), latency: Mutex::new(Latency::new(now)) };
        self.targets.lock().entry(name.into()).or_insert_with(|| Arc::new(new())).clone()
    }

    /// The target and key of this name.
    pub fn slot(&self, name: &str, now: Instant) -> Arc<Slot> {
        let new = || Slot {
            condition: Mutex::new(Condition {
                breaker: Breaker::new(now),
                rests_until: now,
                reason: "",
                allowance: Allowance::default(),
            }),
        };
        self.slots.lock().entry(name.into()).or_insert_with(|| Arc::new(new())).clone()
    }

    /// Forgets what no generation uses any more, so that reloads do not pile it up.
    pub fn sweep(&self) {
        self.targets.lock().retain(|_, health| Arc::strong_count(health) > 1);
        self.slots.lock().retain(|_, slot| Arc::strong_count(slot) > 1);
    }
}

impl Health {
    /// Calls under way.
    pub fn busy(&self) -> usize {
        self.busy.load(Relaxed)
    }

    /// A call is being sent.
    pub fn occupy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Relaxed);
        Busy(self.clone())
    }

    /// A first byte has come, or has not come for this long.
    pub fn observe(&self, took: Duration, now: Instant) {
        self.latency.lock().observe(took, now);
    }

    /// Seconds until a first byte, as expected: for each call that is under way, once.
    pub fn expected(&self, now: Instant) -> f64 {
        self.latency.lock().expected(now) * (self.busy() + 1) as f64
    }

    /// The time after which a call is later than 95 of 100.
    pub fn p95(&self) -> Option<Duration> {
        self.latency.lock().p95()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

impl Slot {
    /// Whether a call may go now, or from when on.
    pub fn would_admit(&self, now: Instant) -> Result<(), Instant> {
        let condition = self.condition.lock();
        match condition.breaker.would_admit(now) {
            _ if condition.rests_until > now => Err(condition.rests_until),
            Admission::Open if condition.allowance.exhausted(now).is_some() => {
                condition.allowance.exhausted(now).map_or(Ok(()), Err)
            }
            Admission::Refused(until) => Err(until),
            Admission::Open | Admission::Probe => Ok(()),
        }
    }

    /// Leave for a call, if it may go now.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Option<Leave> {
        let mut condition = self.condition.lock();
        if condition.rests_until > now || condition.allowance.exhausted(now).is_some() {
            return None;
        }
        let probe = match condition.breaker.admit(now) {
            Admission::Refused(_) => return None,
            Admission::Probe => true,
            Admission::Open => false,
        };
        condition.allowance.spend();
        drop(condition);
        Some(Leave { slot: self.clone(), probe, forced: false, told: false })
    }

    /// The share that is left of what the provider allows this key; 1 where nothing is known.
    pub fn room(&self, now: Instant) -> f64 {
        self.condition.lock().allowance.room(now)
    }

    /// How long the provider will refuse this key, by what it said is left to it.
    pub fn pause(&self, now: Instant) -> Duration {
        let until = self.condition.lock().allowance.exhausted(now);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Leave for a call that goes whatever is known: there is nobody better. Its success ends the rest;
    /// its failure says nothing new.
    pub fn force(self: &Arc<Self>) -> Leave {
        Leave { slot: self.clone(), probe: false, forced: true, told: false }
    }

    /// What operators are shown.
    pub fn shown(&self, now: Instant) -> Shown {
        let condition = self.condition.lock();
        let left = condition.rests_until.saturating_duration_since(now);
        Shown {
            state: condition.breaker.state(now),
            counted: condition.breaker.counted(now),
            rest: (!left.is_zero()).then_some((left, condition.reason)),
        }
    }
}

impl Leave {
    /// The answer's headers say what is left to the key.
    pub fn learned(&self, headers: &HeaderMap, now: Instant, wall: SystemTime) {
        self.slot.condition.lock().allowance.learn(headers, now, wall);
    }

    /// The target has answered.
    pub fn succeeded(&mut self, now: Instant) {
        self.told = true;
        let mut condition = self.slot.condition.lock();
        let ends_rest = self.probe || self.forced;
        condition.breaker.succeeded(ends_rest, now);
        if ends_rest {
            condition.rests_until = now;
        }
    }

    /// The call has failed.
    pub fn failed(&mut self, verdict: &Verdict, now: Instant) {
        self.told = true;
        let mut condition = self.slot.condition.lock();
        match verdict.blame {
            Blame::Target => condition.breaker.failed(self.probe, now),
            Blame::None | Blame::Load | Blame::Key => condition.breaker.forgotten(self.probe, now),
        }
        let (least, reason) = match verdict.blame {
            Blame::Key => (BENCH, "key refused"),
            Blame::Load => (BREATH, "rate limited"),
            Blame::Target => (Duration::ZERO, "asked to wait"),
            Blame::None => return,
        };
        let until = now + verdict.wait.unwrap_or_default().max(least);
        if until > condition.rests_until {
            condition.rests_until = until;
            condition.reason = reason;
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if !self.told {
            self.slot.condition.lock().breaker.forgotten(self.probe, Instant::now());
        }
    }
}
