//! What is known of one target called with one key, from calls made here and from the words of other
//! sidecars. Pure: `now` is passed in.
//!
//! Of two things that are said of a breaker the later one holds. An opening that another sidecar tells of
//! is believed at once: the failures that it stands for need not be made again. But what fails there may be
//! the way from there to the provider, and one sidecar that is cut off must not take the provider from all.
//! So who has found it failing leaves the next probe to the others for half a rest more; and who has opened
//! what somebody else's probe then finds to work is not believed for as long as it goes on saying so, unless
//! calls from here fail too. Rests are what the provider itself has said of a key, so they are believed of
//! anybody, and of two the longer one holds.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tokio::time::Instant;

use super::allowance::Allowance;
use super::breaker::{Admission, Breaker, State};
use super::verdict::{Blame, Verdict};
use super::word::{Fact, LINGER, Reason, Sidecar, Word};

/// How long a target rests that says it is overloaded and not for how long.
const BREATH: Duration = Duration::from_secs(1);
/// How long a key is benched that is refused, or has no money left: nobody mends that in seconds.
pub const BENCH: Duration = Duration::from_secs(300);
/// How long a sidecar is not believed whose opening was found to be wrong, from the last time on that it
/// said so. It says so again with each probe that fails, a longest rest and a half apart.
pub const DOUBT: Duration = Duration::from_secs(180);
/// Failures in a row here that are more than chance.
const SEVERAL: u32 = 2;
/// What two sidecars see within this time of each other has no order.
const SLACK: Duration = Duration::from_millis(100);

/// What is known of one target called with one key.
pub struct Condition {
    breaker: Breaker,
    rest: Rest,
    /// What the provider says is left to this key.
    allowance: Allowance,
    /// The key is pareto's own. What is refused to a caller's is nobody else's affair.
    owned: bool,
    /// Who opened or closed the breaker, and who told of the rest, where that was another sidecar.
    opener: Option<Sidecar>,
    teller: Option<Sidecar>,
    /// Who is not believed, and until when.
    doubted: Option<(Sidecar, Instant)>,
    /// This sidecar has the lease of the probe.
    leased: bool,
    untold: Untold,
}

struct Rest {
    /// Neither the breaker nor the balance sends anything before this.
    until: Instant,
    reason: Reason,
    since: Option<Instant>,
    /// When it was ended before its time.
    ended: Option<Instant>,
    /// The end that others know of.
    told: Instant,
}

/// What is yet to be told to other sidecars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untold {
    /// The breaker's state.
    pub breaker: bool,
    /// The rest.
    pub rest: bool,
    /// That this sidecar probes no longer.
    pub lease: bool,
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
    /// Another sidecar has found out that the breaker is open, or that there is a rest.
    pub learned: bool,
}

impl Untold {
    /// Whether there is anything.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

impl Condition {
    /// Nothing is known. `owned`: the key is pareto's own.
    pub fn new(owned: bool, now: Instant) -> Self {
        let rest = Rest { until: now, reason: Reason::RateLimited, since: None, ended: None, told: now };
        Self {
            breaker: Breaker::new(now),
            rest,
            allowance: Allowance::default(),
            owned,
            opener: None,
            teller: None,
            doubted: None,
            leased: false,
            untold: Untold::default(),
        }
    }

    /// Whether a call may go now, or from when on.
    ///
    /// # Errors
    /// From when on.
    pub fn would_admit(&self, now: Instant) -> Result<(), Instant> {
        match self.breaker.would_admit(now) {
            _ if self.rest.until > now => Err(self.rest.until),
            Admission::Open => self.allowance.exhausted(now).map_or(Ok(()), Err),
            Admission::Refused(until) => Err(until),
            Admission::Probe => Ok(()),
        }
    }

    /// Asks whether a call may go now, and whether it is a probe.
    pub fn admit(&mut self, now: Instant) -> Option<bool> {
        if self.rest.until > now || self.allowance.exhausted(now).is_some() {
            return None;
        }
        let probe = match self.breaker.admit(now) {
            Admission::Refused(_) => return None,
            Admission::Probe => true,
            Admission::Open => false,
        };
        self.allowance.spend();
        Some(probe)
    }

    /// What the provider says is left.
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// An answer's headers say what is left.
    pub fn learn(&mut self, headers: &HeaderMap, now: Instant, wall: SystemTime) {
        self.allowance.learn(headers, now, wall);
    }

    /// A call has been answered: the `probe`, one that was `forced` though none might go, or any other.
    pub fn succeeded(&mut self, probe: bool, forced: bool, now: Instant) {
        let decides = probe || forced;
        if decides && self.breaker.rest().is_some() {
            self.doubted = self.opener.take().map(|opener| (opener, now + DOUBT)).or(self.doubted);
            self.untold.breaker = true;
        }
        self.breaker.succeeded(decides, now);
        if decides && self.rest.until > now {
            self.end_rest(now);
            self.teller = None;
            self.untold.rest = self.owned;
        }
        self.give_up_lease(probe);
    }

    /// A call has failed.
    pub fn failed(&mut self, probe: bool, verdict: &Verdict, now: Instant) {
        let changed = self.breaker.changed();
        match verdict.blame {
            Blame::Target => self.breaker.failed(probe, now),
            Blame::None | Blame::Load | Blame::Key => self.breaker.forgotten(probe, now),
        }
        if self.breaker.changed() != changed {
            self.opener = None;
            self.untold.breaker = true;
        }
        self.give_up_lease(probe);
        let (least, reason) = match verdict.blame {
            Blame::Key => (BENCH, Reason::KeyRefused),
            Blame::Load => (BREATH, Reason::RateLimited),
            Blame::Target => (Duration::ZERO, Reason::AskedToWait),
            Blame::None => return,
        };
        let until = now + verdict.wait.unwrap_or_default().max(least);
        if until > self.rest.until && until > now {
            // Of many calls that are refused at once, each names a moment that is a little later.
            let news = self.rest.until <= now || until > self.rest.told + SLACK;
            self.rest = Rest { until, reason, since: Some(now), ended: None, told: self.rest.told };
            self.teller = None;
            if news && self.owned {
                self.rest.told = until;
                self.untold.rest = true;
            }
        }
    }

    /// A call has come to nothing that says something of the target.
    pub fn forgotten(&mut self, probe: bool, now: Instant) {
        self.breaker.forgotten(probe, now);
        self.give_up_lease(probe);
    }

    fn end_rest(&mut self, now: Instant) {
        self.rest.until = now;
        self.rest.ended = Some(now);
    }

    fn give_up_lease(&mut self, probe: bool) {
        if probe && std::mem::take(&mut self.leased) {
            self.untold.lease = true;
        }
    }

    /// What operators are shown.
    pub fn shown(&self, now: Instant) -> Shown {
        let left = self.rest.until.saturating_duration_since(now);
        let state = self.breaker.state(now);
        Shown {
            state,
            counted: self.breaker.counted(now),
            rest: (!left.is_zero()).then_some((left, self.rest.reason.name())),
            learned: (state != State::Closed && self.opener.is_some())
                || (!left.is_zero() && self.teller.is_some()),
        }
    }

    /// Hears what another sidecar tells, and says whether anything was learned from it.
    pub fn hear(&mut self, fact: &Fact, now: Instant) -> bool {
        match fact.word {
            Word::Opened(_) | Word::Closed => {
                let ours = self.breaker.changed();
                if ours.is_some_and(|ours| ours >= fact.since) {
                    self.untold.breaker |= ours.is_some_and(|ours| ours > fact.since + SLACK);
                    return false;
                }
                self.untold.breaker = false;
                self.hear_of_breaker(fact, now)
            }
            Word::Rests(reason) => {
                if !self.owned || self.rest.until >= fact.until || fact.until <= now {
                    return false;
                }
                if let Some(ended) = self.rest.ended.filter(|ended| *ended >= fact.since) {
                    self.untold.rest |= self.owned && ended > fact.since + SLACK;
                    return false;
                }
                let (until, since) = (fact.until, Some(fact.since));
                self.rest = Rest { until, reason, since, ended: None, told: until };
                self.teller = Some(fact.by);
                true
            }
            Word::Rested => {
                let ends = self.rest.until > now && self.rest.since.is_none_or(|since| since < fact.since);
                if ends {
                    self.end_rest(fact.since.min(now));
                    self.teller = Some(fact.by);
                    self.untold.rest = false;
                }
                ends
            }
        }
    }

    fn hear_of_breaker(&mut self, fact: &Fact, now: Instant) -> bool {
        let resting = self.breaker.rest().is_some();
        match fact.word {
            Word::Opened(rests) => {
                if !resting && self.doubts(fact.by, now) {
                    self.doubted = Some((fact.by, now + DOUBT));
                    return false;
                }
                self.breaker.open(fact.since, fact.until, rests);
            }
            _ => {
                if let Some(opener) = self.opener.filter(|opener| resting && *opener != fact.by) {
                    self.doubted = Some((opener, fact.since + DOUBT));
                }
                self.breaker.close(fact.since);
            }
        }
        self.opener = Some(fact.by);
        resting || fact.word != Word::Closed
    }

    fn doubts(&self, sidecar: Sidecar, now: Instant) -> bool {
        let doubted = self.doubted.is_some_and(|(doubted, until)| doubted == sidecar && until > now);
        doubted && self.breaker.in_a_row() < SEVERAL
    }

    /// What is yet to be told, which counts as told from now on.
    pub fn take_untold(&mut self) -> Untold {
        std::mem::take(&mut self.untold)
    }

    /// Takes back what could not be told.
    pub fn give_back(&mut self, Untold { breaker, rest, lease }: Untold) {
        self.untold.breaker |= breaker;
        self.untold.rest |= rest;
        self.untold.lease |= lease;
    }

    /// What is yet to be told.
    pub fn untold(&self) -> Untold {
        self.untold
    }

    /// Others know nothing of the breaker, or of the rest: tells them what still matters.
    pub fn is_unknown(&mut self, breaker: bool, rest: bool, now: Instant) {
        self.untold.breaker |= breaker && self.breaker.rest().is_some_and(|(until, _)| until + LINGER > now);
        self.untold.rest |= rest && self.owned && self.rest.until > now;
    }

    /// What there is to tell of the breaker, by sidecar `me` where no other has found it out.
    pub fn breaker_fact(&self, me: Sidecar) -> Option<Fact> {
        let since = self.breaker.changed()?;
        let (word, until) = match self.breaker.rest() {
            Some((until, rests)) => (Word::Opened(rests), until),
            None => (Word::Closed, since),
        };
        Some(Fact { by: self.opener.unwrap_or(me), word, since, until })
    }

    /// What there is to tell of the rest.
    pub fn rest_fact(&self, me: Sidecar) -> Option<Fact> {
        let (word, since) = match self.rest.ended {
            Some(ended) => (Word::Rested, ended),
            None => (Word::Rests(self.rest.reason), self.rest.since?),
        };
        Some(Fact { by: self.teller.unwrap_or(me), word, since, until: self.rest.until })
    }

    /// Whether the probe that was admitted here is still due, by what was heard since; `None` where calls
    /// go as ever.
    pub fn awaits_probe(&self, now: Instant) -> Option<bool> {
        let (until, _) = self.breaker.rest()?;
        Some(until <= now)
    }

    /// Until when a probe that is due is left to other sidecars: it was calls from here that failed.
    pub fn yields_probe(&self, now: Instant) -> Option<Instant> {
        let until = self.breaker.end_of_longer_rest().filter(|_| self.opener.is_none())?;
        (until > now).then_some(until)
    }

    /// This sidecar has the lease of the probe, or asks for it.
    pub fn lease(&mut self) {
        self.leased = true;
    }

    /// Whether this sidecar has the lease of the probe.
    pub fn is_leased(&self) -> bool {
        self.leased
    }

    /// This sidecar does not probe: it gives back what it has of a lease.
    pub fn give_lease_back(&mut self) {
        self.give_up_lease(true);
    }

    /// The probe is another sidecar's, until this moment at the latest.
    pub fn leave_probe(&mut self, until: Instant) {
        self.leased = false;
        self.breaker.leave_probe(until);
    }

    /// Another sidecar has said something: if it had the lease of the probe, it may have it no longer.
    pub fn take_probe(&mut self, now: Instant) {
        self.breaker.take_probe(now);
    }
}
