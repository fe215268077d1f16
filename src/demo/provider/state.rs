//! What a simulated provider remembers over all its connections.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::gate::Gate;
use super::{Behaviour, Call, Fault};
use crate::demo::chance::Chance;
use crate::request::endpoint::Endpoint;

/// Fault ids remembered for `x-sim-fault-times`; the map is emptied beyond.
const FAULT_IDS: usize = 10_000;

/// Counters, the call log, the fault queue and the gate.
pub struct State {
    /// The settings.
    pub behaviour: Behaviour,
    gate: Gate,
    counts: watch::Sender<Counts>,
    connections: AtomicU64,
    serial: AtomicU64,
    by_endpoint: [AtomicU64; Endpoint::ALL.len()],
    calls: Mutex<VecDeque<Call>>,
    faults: Mutex<Faults>,
}

/// What tests wait for.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    /// Requests received.
    pub calls: u64,
    /// Answers left by their client before the end.
    pub hung_up: u64,
}

#[derive(Default)]
struct Faults {
    queue: VecDeque<Fault>,
    always: Option<Fault>,
    by_id: HashMap<String, u32>,
}

impl State {
    /// A fresh memory.
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            gate: Gate::new(),
            counts: watch::Sender::new(Counts::default()),
            connections: AtomicU64::new(0),
            serial: AtomicU64::new(0),
            by_endpoint: Default::default(),
            calls: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Notes a connection and numbers it.
    pub fn connect(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// A number no other request has.
    pub fn number(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes a request. `call` is only asked for where calls are recorded.
    pub fn receive(&self, endpoint: Option<Endpoint>, call: impl FnOnce() -> Call) {
        if let Some(endpoint) = endpoint {
            self.by_endpoint[endpoint as usize].fetch_add(1, Ordering::Relaxed);
        }
        let limit = self.behaviour.recorded_calls;
        if limit > 0 {
            let mut calls = self.calls.lock();
            if calls.len() == limit {
                calls.pop_front();
            }
            calls.push_back(call());
        }
        self.counts.send_modify(|counts| counts.calls += 1);
    }

    /// Notes that a client left before the end.
    pub fn hang_up(&self) {
        self.counts.send_modify(|counts| counts.hung_up += 1);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().iter().cloned().collect()
    }

    pub fn count(&self, endpoint: Endpoint) -> u64 {
        self.by_endpoint[endpoint as usize].load(Ordering::Relaxed)
    }

    pub fn total(&self) -> u64 {
        self.counts.borrow().calls
    }

    pub fn hung_up(&self) -> u64 {
        self.counts.borrow().hung_up
    }

    pub async fn until(&self, mut enough: impl FnMut(&Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        // Fails only once the sender is gone, and the sender is `self`.
        let _ = counts.wait_for(|counts| enough(counts)).await;
    }

    pub fn queue(&self, fault: Fault, times: usize) {
        self.faults.lock().queue.extend(std::iter::repeat_n(fault, times));
    }

    pub fn always(&self, fault: Option<Fault>) {
        self.faults.lock().always = fault;
    }

    /// True once, where the queue's next fault strikes connections before they are read.
    pub fn refuses_connection(&self) -> bool {
        let mut faults = self.faults.lock();
        if faults.always == Some(Fault::Refuse) {
            return true;
        }
        let refuses = faults.queue.front() == Some(&Fault::Refuse);
        if refuses {
            faults.queue.pop_front();
        }
        refuses
    }

    /// What strikes the request numbered `serial`, leaving its own wishes aside.
    pub fn strike(&self, serial: u64) -> Option<Fault> {
        let mut faults = self.faults.lock();
        if let Some(fault) = faults.queue.pop_front().or(faults.always) {
            return Some(fault);
        }
        let odds = self.behaviour.odds.as_ref().filter(|odds| !odds.among.is_empty())?;
        let mut chance = Chance::new(self.behaviour.seed ^ serial.wrapping_mul(0xd6e8_feb8_6659_fd93));
        (chance.unit() < odds.rate).then(|| *chance.pick(&odds.among))
    }

    /// True for the first `times` requests of this fault id.
    pub fn still_strikes(&self, id: &str, times: u32) -> bool {
        let mut faults = self.faults.lock();
        if faults.by_id.len() >= FAULT_IDS {
            faults.by_id.clear();
        }
        let seen = faults.by_id.entry(id.to_owned()).or_default();
        *seen += 1;
        *seen <= times
    }
}
