//! What one request holds of its limits, and gives back however it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Limits;
use super::ledger::{Amounts, Held, Part, Standing};

/// A request that was let through. Dropped, it gives back all that was not used.
pub struct Permit {
    limits: Arc<Limits>,
    held: Vec<Held>,
    /// Its call has not been made: it does not count as a request yet.
    waits: AtomicBool,
    /// No attempt has taken over what is held of tokens and money.
    whole: bool,
}

/// One call on a permit: what it consumes is settled once. Dropped without that, as when its task is
/// cut off, it gives everything back if its call was never sent; else all that was reserved counts as
/// used, for the provider may have done all of it.
pub struct Attempt {
    limits: Arc<Limits>,
    held: Vec<Held>,
    sent: AtomicBool,
    open: bool,
}

impl Permit {
    pub(super) fn new(limits: Arc<Limits>, held: Vec<Held>) -> Self {
        Self { limits, held, waits: AtomicBool::new(true), whole: true }
    }

    /// Counts the request: its call is being made.
    pub fn depart(&self) {
        if self.waits.swap(false, Relaxed) {
            let one = self.taken(Part::Request);
            self.limits.settle(&self.held, Part::Request, &one);
        }
    }

    /// The attempt that uses what this permit holds of tokens and money; a second one gets nothing.
    pub fn attempt(&mut self) -> Attempt {
        let held = if std::mem::take(&mut self.whole) { self.held.clone() } else { Vec::new() };
        Attempt { limits: self.limits.clone(), held, sent: AtomicBool::new(false), open: true }
    }

    /// Counts an answer that caused no call: as a request, and its tokens, but no money.
    pub fn count_hit(mut self, input: u64, output: u64) {
        self.depart();
        self.whole = false;
        self.limits.settle(&self.held, Part::Consumption, &Amounts::consumed(input, output, 0));
    }

    /// What was reserved of one part, as used.
    fn taken(&self, part: Part) -> Amounts {
        self.held.first().map_or(Amounts::NONE, |held| held.amounts.only(part))
    }

    /// How the counts it is held from stand.
    pub fn standings(&self) -> Vec<Standing> {
        self.limits.standings(&self.held)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if *self.waits.get_mut() {
            self.limits.settle(&self.held, Part::Request, &Amounts::NONE);
        }
        if self.whole {
            self.limits.settle(&self.held, Part::Consumption, &Amounts::NONE);
        }
        self.limits.settle(&self.held, Part::Place, &Amounts::NONE);
    }
}

impl Attempt {
    /// The call goes out: from now on the provider may bill it.
    pub fn sent(&self) {
        self.sent.store(true, Relaxed);
    }

    /// Counts what the call consumed: tokens, and money in pico-USD. A call that was not billed
    /// consumed nothing.
    pub fn settle(mut self, used: &Amounts) {
        self.open = false;
        self.limits.settle(&self.held, Part::Consumption, used);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        if !*self.sent.get_mut() {
            return self.limits.settle(&self.held, Part::Consumption, &Amounts::NONE);
        }
        for held in &self.held {
            self.limits.settle(std::slice::from_ref(held), Part::Consumption, &held.amounts);
        }
    }
}
