//! The order in which the targets of a route are asked for one request, until one answers.
//!
//! Pure but for what the targets' breakers say: `now` and chance are passed in.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Route;
use super::target::{Asking, Target};
use super::verdict::{Next, Verdict};

/// The course of one request through the targets of its route.
pub struct Course {
    route: Arc<Route>,
    /// In order; empty where there is only one target and nothing to choose.
    candidates: Vec<Candidate>,
    /// The one that was asked last.
    at: usize,
    /// Attempts that may yet be made.
    left: u32,
    /// Attempts that were begun.
    made: u32,
    /// Rounds begun.
    rounds: u32,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    target: usize,
    /// It was asked in this round.
    tried: bool,
    /// It is not asked again.
    out: bool,
    /// It has asked to be left alone until then.
    not_before: Option<Instant>,
}

/// Who is asked next, and after which wait.
pub struct Onward {
    /// Who.
    pub asking: Asking,
    /// The wait before.
    pub wait: Duration,
}

impl Course {
    /// A course over the only target of a route.
    pub(super) fn single(route: Arc<Route>) -> Self {
        Self { candidates: Vec::new(), at: 0, left: route.retries.attempts, made: 0, rounds: 1, route }
    }

    /// A course over these targets, in this order.
    pub(super) fn over(route: Arc<Route>, order: impl Iterator<Item = usize>) -> Self {
        let candidate = |target| Candidate { target, tried: false, out: false, not_before: None };
        let candidates = order.map(candidate).collect();
        Self { candidates, at: 0, left: route.retries.attempts, made: 0, rounds: 1, route }
    }

    /// The route.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Whether an attempt may follow the one under way.
    pub fn goes_on(&self) -> bool {
        self.left > 0
    }

    /// Attempts begun so far.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Makes the attempt under way the last.
    pub fn end(&mut self) {
        self.left = 0;
    }

    /// Who is asked first. Where no target may be asked, the one that is ready soonest is tried all the
    /// same, once: nobody is served by trying nothing.
    pub fn first(&mut self, now: Instant) -> Asking {
        self.left = self.left.saturating_sub(1);
        self.made = 1;
        if self.candidates.is_empty() {
            let only = &self.route.targets[0];
            return only.ask(now).unwrap_or_else(|| only.ask_anyway(now));
        }
        if let Some(asking) = self.take(now) {
            return asking;
        }
        self.left = 0;
        let ready = |at: &usize| self.target(*at).would_admit(now).err();
        let least_bad = (0..self.candidates.len()).min_by_key(ready).unwrap_or(0);
        self.at = least_bad;
        self.candidates[least_bad].tried = true;
        self.target(least_bad).ask_anyway(now)
    }

    /// Who is asked beside the one under way: another target that may be asked now.
    pub fn beside(&mut self, now: Instant) -> Option<Asking> {
        if self.left == 0 {
            return None;
        }
        let asking = self.take(now)?;
        self.left -= 1;
        self.made += 1;
        Some(asking)
    }

    /// The one that was asked with `asking` once more, with the same key, for a request that was changed for
    /// it. That is an attempt like any other.
    pub fn again(&mut self, asking: &Asking, now: Instant) -> Option<Asking> {
        if self.left == 0 {
            return None;
        }
        let asking = asking.again(now)?;
        self.left -= 1;
        self.made += 1;
        Some(asking)
    }

    /// Who is asked in place of the one chosen last, which was not asked after all. That is no further
    /// attempt.
    pub fn instead(&mut self, now: Instant) -> Option<Asking> {
        self.take(now)
    }

    /// Asks only those from now on of which `able` is true. False where none is left.
    pub fn keep(&mut self, able: impl Fn(&Target) -> bool) -> bool {
        for candidate in &mut self.candidates {
            candidate.out |= !able(&self.route.targets[candidate.target]);
        }
        self.candidates.iter().any(|candidate| !candidate.out)
    }

    /// Who is asked after a failure of the one asked last. `chance` is from 0 to 1, `deadline` when the
    /// client is told at the latest.
    pub fn next(
        &mut self,
        verdict: &Verdict,
        now: Instant,
        deadline: Instant,
        chance: f64,
    ) -> Option<Onward> {
        if self.left == 0 || verdict.next == Next::Nobody {
            return None;
        }
        self.judge(verdict, now);
        let onward = self.onward(verdict, now, chance)?;
        // A wait that nobody would see the end of is not begun.
        if now + onward.wait >= deadline {
            return None;
        }
        self.left -= 1;
        self.made += 1;
        Some(onward)
    }

    fn judge(&mut self, verdict: &Verdict, now: Instant) {
        let window = self.route.targets[self.candidates.get(self.at).map_or(0, |c| c.target)].takes.context;
        let Some(failed) = self.candidates.get_mut(self.at) else { return };
        failed.not_before = verdict.wait.map(|wait| now + wait);
        match verdict.next {
            Next::Anyone | Next::Nobody => {}
            Next::Others | Next::Bigger | Next::Unproved => failed.out = true,
            // Its benched key is not used again; another of its keys may be, at once.
            Next::OtherKey => failed.tried = false,
        }
        if verdict.next == Next::Bigger {
            for candidate in &mut self.candidates {
                candidate.out |= !is_bigger(self.route.targets[candidate.target].takes.context, window);
            }
        }
    }

    fn onward(&mut self, verdict: &Verdict, now: Instant, chance: f64) -> Option<Onward> {
        if self.candidates.is_empty() {
            return match verdict.next {
                Next::OtherKey => {
                    self.route.targets[0].ask(now).map(|asking| Onward { asking, wait: Duration::ZERO })
                }
                Next::Anyone => {
                    let wait = self.backoff(chance).max(verdict.wait.unwrap_or_default());
                    let fits = wait <= self.route.retries.max;
                    self.rounds += 1;
                    fits.then(|| Onward { asking: self.route.targets[0].ask_anyway(now), wait })
                }
                Next::Nobody | Next::Others | Next::Bigger | Next::Unproved => None,
            };
        }
        if let Some(asking) = self.take(now) {
            return Some(Onward { asking, wait: Duration::ZERO });
        }
        self.another_round(now, chance)
    }

    /// The first target of the order that was not asked in this round and may be now.
    fn take(&mut self, now: Instant) -> Option<Asking> {
        for at in 0..self.candidates.len() {
            let Candidate { tried, out, not_before, .. } = self.candidates[at];
            if tried || out || not_before.is_some_and(|moment| moment > now) {
                continue;
            }
            if let Some(asking) = self.target(at).ask(now) {
                self.at = at;
                self.candidates[at].tried = true;
                return Some(asking);
            }
        }
        None
    }

    /// Every target was asked: after a wait they are asked again, the one that is ready soonest first.
    fn another_round(&mut self, now: Instant, chance: f64) -> Option<Onward> {
        let backoff = self.backoff(chance);
        self.rounds += 1;
        let ready = |at: &usize| {
            let candidate = &self.candidates[*at];
            let named = candidate.not_before.unwrap_or(now);
            self.target(*at).would_admit(now).err().unwrap_or(now).max(named)
        };
        let soonest = (0..self.candidates.len()).filter(|at| !self.candidates[*at].out).min_by_key(ready)?;
        let wait = backoff.max(ready(&soonest).saturating_duration_since(now));
        if wait > self.route.retries.max {
            return None;
        }
        self.candidates.iter_mut().for_each(|candidate| candidate.tried = false);
        self.at = soonest;
        self.candidates[soonest].tried = true;
        Some(Onward { asking: self.target(soonest).ask_anyway(now), wait })
    }

    /// Full jitter: anything up to a bound that doubles with every round (M. Brooker, Exponential
    /// Backoff And Jitter).
    fn backoff(&self, chance: f64) -> Duration {
        let retries = &self.route.retries;
        let bound = retries.base.saturating_mul(1 << (self.rounds - 1).min(16)).min(retries.max);
        bound.mul_f64(chance.clamp(0.0, 1.0))
    }

    fn target(&self, at: usize) -> &Arc<Target> {
        &self.route.targets[self.candidates[at].target]
    }
}

/// Whether a window is known to be larger. One that nobody knows may be.
fn is_bigger(window: Option<u64>, than: Option<u64>) -> bool {
    match (window, than) {
        (Some(window), Some(than)) => window > than,
        _ => true,
    }
}
