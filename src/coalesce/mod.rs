//! Flights: one upstream call for all who ask the same at the same time (single-flight), in this
//! process and, with a Redis, across sidecars.

pub mod follower;
pub mod leader;
pub mod shared;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::request::key::CacheKey;
use crate::response::recording::{Playback, Recorder, Recording};

/// Spreads the flights so that unrelated requests rarely meet at a lock.
const SHARDS: usize = 16;

/// The calls under way in this process, each on the terms `T` that whoever joins it is told.
pub struct Flights<T> {
    shards: [Mutex<HashMap<CacheKey, Flight<T>>>; SHARDS],
}

struct Flight<T> {
    recording: Arc<Recording>,
    terms: T,
}

/// A seat on a flight.
pub enum Seat<T> {
    /// This request makes the call.
    Leader(Recorder, Playback, Landing<T>),
    /// Another request's call, and its terms.
    Follower(Playback, T),
    /// None: the answer is stored by now.
    Landed,
}

/// Takes the flight off the list when dropped.
pub struct Landing<T> {
    flights: Arc<Flights<T>>,
    key: CacheKey,
    recording: Arc<Recording>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(HashMap::new())) }
    }
}

impl<T> Flights<T> {
    fn shard(&self, key: &CacheKey) -> &Mutex<HashMap<CacheKey, Flight<T>>> {
        let index = key.id() as usize % SHARDS;
        &self.shards[index]
    }
}

impl<T: Clone> Flights<T> {
    /// Joins the flight under `key`, or opens one. A flight that nobody may join any more, or that
    /// has `max_waiters` already, is replaced by a new one on the list; the old one flies on for
    /// those aboard.
    ///
    /// `landed` says whether the answer has been stored meanwhile; it is asked where a flight
    /// would be opened, while no flight of this key can land, so that of many requests around a
    /// landing none calls again.
    pub fn join(
        self: &Arc<Self>,
        key: CacheKey,
        terms: T,
        max_waiters: usize,
        landed: impl FnOnce() -> bool,
    ) -> Seat<T> {
        let mut shard = self.shard(&key).lock();
        let slot = shard.entry(key);
        if let Entry::Occupied(flight) = &slot
            && flight.get().recording.readers() <= max_waiters
            && let Some(playback) = flight.get().recording.join()
        {
            return Seat::Follower(playback, flight.get().terms.clone());
        }
        if landed() {
            return Seat::Landed;
        }
        let (recorder, playback, landing) = self.open(slot, key, terms);
        Seat::Leader(recorder, playback, landing)
    }

    /// Takes a seat on the flight under `key`, if there is one with room: its playback and
    /// its terms.
    pub fn follow(&self, key: &CacheKey, max_waiters: usize) -> Option<(Playback, T)> {
        let shard = self.shard(key).lock();
        let flight = shard.get(key).filter(|flight| flight.recording.readers() <= max_waiters)?;
        Some((flight.recording.join()?, flight.terms.clone()))
    }

    /// Opens a flight under `key`, for features that only observe: `None` where there is one that
    /// could be joined.
    pub fn lead(self: &Arc<Self>, key: CacheKey, terms: T) -> Option<(Recorder, Playback, Landing<T>)> {
        let mut shard = self.shard(&key).lock();
        let slot = shard.entry(key);
        if let Entry::Occupied(flight) = &slot
            && flight.get().recording.joinable()
        {
            return None;
        }
        Some(self.open(slot, key, terms))
    }

    fn open(
        self: &Arc<Self>,
        slot: Entry<'_, CacheKey, Flight<T>>,
        key: CacheKey,
        terms: T,
    ) -> (Recorder, Playback, Landing<T>) {
        let (recorder, playback) = Recording::start();
        let recording = recorder.recording().clone();
        slot.insert_entry(Flight { recording: recording.clone(), terms });
        (recorder, playback, Landing { flights: self.clone(), key, recording })
    }

    /// Flights under way, and readers aboard them beyond their leaders.
    pub fn waiters(&self) -> usize {
        let aboard = |flights: &HashMap<CacheKey, Flight<T>>| -> usize {
            flights.values().map(|flight| flight.recording.readers().saturating_sub(1)).sum()
        };
        self.shards.iter().map(|shard| aboard(&shard.lock())).sum()
    }
}

impl<T> Landing<T> {
    /// What the flight is for.
    pub fn key(&self) -> CacheKey {
        self.key
    }
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(&self.key).lock();
        if shard.get(&self.key).is_some_and(|flight| Arc::ptr_eq(&flight.recording, &self.recording)) {
            shard.remove(&self.key);
        }
    }
}
