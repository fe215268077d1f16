//! What is known of targets and their keys. It outlives a reload, by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::condition::{Condition, Shown};
use super::latency::Latency;
use super::shared::{Lease, SharedHealths};
use super::verdict::Verdict;

/// What is known of all targets, by name.
#[derive(Default)]
pub struct Healths {
    targets: Mutex<HashMap<Box<str>, Arc<Health>>>,
    slots: Mutex<HashMap<Box<str>, Arc<Slot>>>,
    shared: Option<Arc<SharedHealths>>,
}

/// What is known of one target, whichever key it is called with.
pub struct Health {
    busy: AtomicUsize,
    latency: Mutex<Latency>,
}

/// What is known of one target called with one key.
pub struct Slot {
    name: Box<str>,
    shown_as: Box<str>,
    condition: Mutex<Condition>,
    /// Who tells other sidecars of it, and hears of it from them.
    shared: Option<Arc<SharedHealths>>,
}

/// What tells a slot from every other, here and at other sidecars.
pub struct Identity<'n> {
    /// Its target and a digest of its key.
    pub name: &'n str,
    /// What it is called in the log.
    pub shown_as: &'n str,
    /// Its key is pareto's own.
    pub owned: bool,
}

/// Leave to make one call, to be told how it went. Dropped untold, it has said nothing of the target.
pub struct Leave {
    slot: Arc<Slot>,
    probe: bool,
    /// It goes although it may not.
    forced: bool,
    told: bool,
}

/// Counts a call as under way while it lives.
pub struct Busy(Arc<Health>);

impl Healths {
    /// Nothing is known yet but what other sidecars will tell through `shared`.
    pub fn new(shared: Option<Arc<SharedHealths>>) -> Self {
        Self { shared, ..Self::default() }
    }

    /// What is shared with other sidecars, where anything is.
    pub fn shared(&self) -> Option<&Arc<SharedHealths>> {
        self.shared.as_ref()
    }

    /// The target of this name, new if there was none.
    pub fn target(&self, name: &str, now: Instant) -> Arc<Health> {
        let new = || Health { busy: AtomicUsize::new(0), latency: Mutex::new(Latency::new(now)) };
        self.targets.lock().entry(name.into()).or_insert_with(|| Arc::new(new())).clone()
    }

    /// The target and key of this name.
    pub fn slot(&self, identity: &Identity, now: Instant) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        if let Some(known) = slots.get(identity.name) {
            return known.clone();
        }
        let slot = Arc::new(Slot {
            name: identity.name.into(),
            shown_as: identity.shown_as.into(),
            condition: Mutex::new(Condition::new(identity.owned, now)),
            shared: self.shared.clone(),
        });
        if let Some(shared) = &self.shared {
            shared.join(&slot);
        }
        slots.insert(identity.name.into(), slot.clone());
        slot
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
    /// What tells it from every other.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is called in the log.
    pub fn shown_as(&self) -> &str {
        &self.shown_as
    }

    pub(super) fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock()
    }

    /// Whether a call may go now, or from when on.
    ///
    /// # Errors
    /// From when on.
    pub fn would_admit(&self, now: Instant) -> Result<(), Instant> {
        self.condition().would_admit(now)
    }

    /// Leave for a call, if it may go now.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Option<Leave> {
        let probe = self.condition().admit(now)?;
        Some(Leave { slot: self.clone(), probe, forced: false, told: false })
    }

    /// The share that is left of what the provider allows this key; 1 where nothing is known.
    pub fn room(&self, now: Instant) -> f64 {
        self.condition().allowance().room(now)
    }

    /// How long the provider will refuse this key, by what it said is left to it.
    pub fn pause(&self, now: Instant) -> Duration {
        let until = self.condition().allowance().exhausted(now);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Leave for a call that goes whatever is known: there is nobody better. Its success ends the rest;
    /// its failure says nothing new.
    pub fn force(self: &Arc<Self>) -> Leave {
        Leave { slot: self.clone(), probe: false, forced: true, told: false }
    }

    /// What operators are shown.
    pub fn shown(&self, now: Instant) -> Shown {
        self.condition().shown(now)
    }

    /// Notes something that other sidecars may have to be told.
    fn note(&self, noted: impl FnOnce(&mut Condition)) {
        let news = {
            let mut condition = self.condition();
            let before = condition.untold();
            noted(&mut condition);
            condition.untold() != before
        };
        if let Some(shared) = self.shared.as_ref().filter(|_| news) {
            shared.wake();
        }
    }
}

impl Leave {
    /// The answer's headers say what is left to the key.
    pub fn learned(&self, headers: &HeaderMap, now: Instant, wall: SystemTime) {
        self.slot.condition().learn(headers, now, wall);
    }

    /// Whether its call is to find out if the target works again.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// Whether the call of a probe goes: only one sidecar of all probes. Where another does, this becomes
    /// leave for a call that goes although it may not.
    pub async fn stands(&mut self) -> bool {
        let Some(shared) = self.slot.shared.clone().filter(|_| self.probe) else { return true };
        match shared.lease(&self.slot).await {
            Lease::Ours => true,
            Lease::Needless => {
                self.probe = false;
                true
            }
            Lease::Theirs => {
                (self.probe, self.forced) = (false, true);
                false
            }
        }
    }

    /// The target has answered.
    pub fn succeeded(&mut self, now: Instant) {
        self.told = true;
        let (probe, forced) = (self.probe, self.forced);
        self.slot.note(|condition| condition.succeeded(probe, forced, now));
    }

    /// The call has failed.
    pub fn failed(&mut self, verdict: &Verdict, now: Instant) {
        self.told = true;
        let probe = self.probe;
        self.slot.note(|condition| condition.failed(probe, verdict, now));
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if !self.told {
            let probe = self.probe;
            self.slot.note(|condition| condition.forgotten(probe, Instant::now()));
        }
    }
}
