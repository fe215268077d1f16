//! What a sidecar lets pass alone while the counts that all share are away: its share of what was left.
//!
//! Of each count it takes what it last saw, and of the rest one part for each of the sidecars that were alive
//! then; a rate goes on at that part of its speed, and a budget's next window begins with that part of it. So
//! all together let pass no more than the limit, as far as each has seen what the others did. Where all is let
//! pass, the share is the whole, and says what is left rather than who passes.

use std::collections::HashMap;
use std::sync::Arc;

use super::mirror::Mirror;
use super::open::Portion;
use crate::config::limit::Measure;
use crate::limits::ledger::{Amounts, Claim, Held, LimitId, Part, Short, Standing, Subject};
use crate::limits::meter::{Gauge, Meter, Now, share};
use crate::limits::page::{Account, longer, short, standings};

/// Counts kept apart; those beyond share one.
const SUBJECTS: usize = 100_000;

/// How many sidecars share, and the place of this one among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peers {
    pub(super) all: u64,
    pub(super) place: u64,
}

impl Default for Peers {
    fn default() -> Self {
        Self { all: 1, place: 0 }
    }
}

/// The shares of this sidecar.
#[derive(Default)]
pub(super) struct Shares {
    counts: HashMap<(LimitId, u128), Share>,
}

/// One subject's counts.
pub(super) struct Share {
    name: Box<str>,
    counts: Vec<(Gauge, Meter)>,
}

impl Share {
    /// How they stand, of the limit called `limit`.
    pub(super) fn standings(&self, limit: &Arc<str>, now: Now) -> Vec<Standing> {
        let (mut gauges, meters): (Vec<_>, Vec<_>) = self.counts.iter().cloned().unzip();
        let mut account = Account { name: self.name.clone(), meters: meters.into(), changed: false };
        standings(limit, &mut gauges, &mut account, now)
    }
}

impl Shares {
    /// Begins the shares that are not there yet. `places` tells how many requests of a count are under way
    /// here.
    pub(super) fn open(
        &mut self,
        portions: &mut [Portion],
        mirror: &Mirror,
        peers: Peers,
        places: impl Fn(LimitId, u128) -> u64,
    ) {
        let now = mirror.now();
        for portion in portions {
            let known = self.counts.contains_key(&(portion.limit, portion.subject));
            if !known && self.counts.len() >= SUBJECTS {
                portion.subject = Subject::OTHER;
            }
            let at = (portion.limit, portion.subject);
            self.counts.entry(at).or_insert_with(|| {
                let seen = mirror.meters(portion.limit, portion.subject);
                let places = || places(portion.limit, portion.subject);
                let counts = seeded(portion, seen, peers, places, now);
                let name =
                    if portion.subject == Subject::OTHER { "other".into() } else { portion.name.clone() };
                Share { name, counts }
            });
        }
    }

    /// What keeps the portions from being reserved, if anything does: of several the longest.
    pub(super) fn short(&mut self, portions: &[Portion], claims: &[Claim], mirror: &Mirror) -> Option<Short> {
        let now = mirror.now();
        let mut worst = None;
        for portion in portions {
            let Some(share) = self.counts.get_mut(&(portion.limit, portion.subject)) else { continue };
            let counts = share.counts.iter_mut().map(|(gauge, meter)| (gauge, meter));
            let name = mirror.name(portion.limit);
            if let Some(short) = short(&name, portion.subject, counts, &portion.amounts, now) {
                let claim = claims.iter().position(|claim| claim.limit == portion.limit).unwrap_or(0);
                worst = Some(longer(worst, Short { claim, ..short }));
            }
        }
        worst
    }

    /// Reserves the portions, whether they fit or not.
    pub(super) fn reserve(&mut self, portions: &[Portion]) {
        for portion in portions {
            let share = self.counts.get_mut(&(portion.limit, portion.subject));
            for (gauge, meter) in share.into_iter().flat_map(|share| &mut share.counts) {
                meter.reserve(portion.amounts[gauge.measure]);
            }
        }
    }

    /// As the ledger's own.
    pub(super) fn settle(&mut self, held: &[Held], part: Part, used: &Amounts, now: Now) {
        for held in held {
            let Some(share) = self.counts.get_mut(&(held.limit, held.subject)) else { continue };
            for (gauge, meter) in share.counts.iter_mut().filter(|(gauge, _)| part.has(gauge.measure)) {
                meter.release(held.amounts[gauge.measure]);
                gauge.spend(meter, used[gauge.measure], now);
            }
        }
    }

    /// The share of a subject.
    pub(super) fn get(&self, limit: LimitId, subject: u128) -> Option<&Share> {
        self.counts.get(&(limit, subject))
    }

    /// The shares of a limit.
    pub(super) fn of(&self, limit: LimitId) -> impl Iterator<Item = &Share> {
        self.counts.iter().filter(move |((of, _), _)| *of == limit).map(|(_, share)| share)
    }

    /// The counts that all share are back.
    pub(super) fn clear(&mut self) {
        self.counts.clear();
    }
}

/// This sidecar's share of the counts it has seen.
fn seeded(
    portion: &Portion,
    seen: Option<&[Meter]>,
    peers: Peers,
    places: impl Fn() -> u64,
    now: Now,
) -> Vec<(Gauge, Meter)> {
    let seeded = portion.gauges.iter().enumerate().map(|(at, whole)| {
        let mut gauge = whole.share(peers.all, peers.place);
        let mut meter = Meter::default();
        if whole.measure == Measure::Concurrent {
            meter.reserve(places());
            return (gauge, meter);
        }
        let mut last = seen.and_then(|seen| seen.get(at)).copied().unwrap_or_default();
        let mut whole = whole.clone();
        let taken = whole.used(&mut last, now).saturating_add(last.reserved());
        let mine = share(whole.most().saturating_sub(taken), peers.all, peers.place);
        let used = gauge.most().saturating_sub(mine);
        gauge.spend(&mut meter, used, now);
        (gauge, meter)
    });
    seeded.collect()
}
