//! Reservations under way here, and those that have ended and are not settled yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::config::limit::Measure;
use crate::limits::ledger::{Amounts, Held, LimitId, Part};
use crate::limits::meter::Gauge;

/// What has ended and waits to be settled, at most: beyond, the oldest is given up and its lease lapses.
const OWED: usize = 65_536;

/// What is reserved of one limit, and what becomes of it.
#[derive(Clone)]
pub(super) struct Portion {
    pub(super) limit: LimitId,
    pub(super) subject: u128,
    pub(super) name: Box<str>,
    /// Where it is counted.
    pub(super) key: String,
    /// Where its limit's counts are listed.
    pub(super) index: String,
    /// As they were when it was reserved, whatever a reload has made of them since.
    pub(super) gauges: Vec<Gauge>,
    pub(super) amounts: Amounts,
    pub(super) used: Amounts,
    /// Which parts have ended: a bit for each.
    pub(super) closed: u8,
}

/// A reservation.
#[derive(Clone)]
pub(super) struct Reservation {
    pub(super) portions: Vec<Portion>,
    /// The ledger's epoch in which it was made; empty where it was made without the ledger.
    pub(super) epoch: Arc<str>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Reservations {
    open: HashMap<u64, Reservation>,
    owed: VecDeque<(u64, Reservation)>,
    next: u64,
}

const ALL: u8 = 0b111;

const fn bit(part: Part) -> u8 {
    match part {
        Part::Request => 0b1,
        Part::Place => 0b10,
        Part::Consumption => 0b100,
    }
}

impl Portion {
    pub(super) fn held(&self, reservation: u64) -> Held {
        Held { limit: self.limit, subject: self.subject, amounts: self.amounts, reservation }
    }
}

impl Reservations {
    /// An id that no other reservation of this process has.
    pub(super) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn insert(&mut self, id: u64, reservation: Reservation) {
        self.open.insert(id, reservation);
    }

    /// One part of `held` has ended. Whether it was made without the ledger, and whether all has ended
    /// and is now owed.
    pub(super) fn close(&mut self, held: &[Held], part: Part, used: &Amounts) -> (bool, bool) {
        let Some(id) = held.first().map(|held| held.reservation) else { return (false, false) };
        let Some(reservation) = self.open.get_mut(&id) else { return (false, false) };
        let local = reservation.epoch.is_empty();
        for held in held {
            let same =
                |portion: &&mut Portion| portion.limit == held.limit && portion.subject == held.subject;
            if let Some(portion) = reservation.portions.iter_mut().find(same) {
                for measure in Measure::ALL.into_iter().filter(|measure| part.has(*measure)) {
                    portion.used[measure] = used[measure];
                }
                portion.closed |= bit(part);
            }
        }
        let ended = reservation.portions.iter().all(|portion| portion.closed == ALL);
        if ended && let Some(reservation) = self.open.remove(&id) {
            self.owe(id, reservation);
        }
        (local, ended)
    }

    /// Something is to be settled.
    pub(super) fn owe(&mut self, id: u64, reservation: Reservation) {
        if self.owed.len() >= OWED {
            self.owed.pop_front();
            tracing::warn!(
                most = OWED,
                "too much waits to be settled with the shared counts; the oldest is given up"
            );
        }
        self.owed.push_back((id, reservation));
    }

    /// What is owed longest; it stays so until it is [`Reservations::paid`].
    pub(super) fn owed(&self, most: usize) -> Vec<(u64, Reservation)> {
        self.owed.iter().take(most).cloned().collect()
    }

    /// What was owed longest is settled. The oldest of it may have been given up meanwhile.
    pub(super) fn paid(&mut self, settled: &[(u64, Reservation)]) {
        for (id, settled) in settled {
            let first = self.owed.front();
            if first.is_some_and(|(other, owed)| other == id && owed.epoch == settled.epoch) {
                self.owed.pop_front();
            }
        }
    }

    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Those under way that the ledger of this epoch does not know.
    pub(super) fn unknown_to(&self, epoch: &str) -> Vec<(u64, Reservation)> {
        let unknown = self.open.iter().filter(|(_, reservation)| *reservation.epoch != *epoch);
        unknown.map(|(id, reservation)| (*id, reservation.clone())).collect()
    }

    /// The ledger of this epoch knows it now. Whether it is still under way.
    pub(super) fn known(&mut self, id: u64, epoch: &Arc<str>) -> bool {
        let found = self.open.get_mut(&id);
        found.map(|reservation| reservation.epoch = epoch.clone()).is_some()
    }

    /// How many places of a count are taken by requests of this process.
    pub(super) fn places(&self, limit: LimitId, subject: u128) -> u64 {
        let portions = self.open.values().flat_map(|reservation| &reservation.portions);
        let of = portions.filter(|portion| portion.limit == limit && portion.subject == subject);
        of.map(|portion| portion.amounts[Measure::Concurrent]).sum()
    }
}
