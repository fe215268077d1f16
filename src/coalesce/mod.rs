//! Flights: one upstream call for all who ask the same at the same time (single-flight), in this
//! process and, with a Redis, across sidecars.

pub mod follower;
pub mod leader;
pub mod shared;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::request::identity::Credential;
use crate::request::key::CacheKey;
use crate::response::recording::{Playback, Recorder, Recording};

/// Spreads the flights so that unrelated requests rarely meet at a lock.
const SHARDS: usize = 16;

/// The calls under way in this process.
pub struct Flights {
    shards: [Mutex<HashMap<CacheKey, Flight>>; SHARDS],
}

struct Flight {
    recording: Arc<Recording>,
    /// Whose credential the call uses: an answer that judges the credential is not for others.
    credential: Credential,
}

/// A seat on a flight.
pub enum Seat {
    /// This request makes the call.
    Leader(Recorder, Playback, Landing),
    /// Another request's call; the credential it was made with.
    Follower(Playback, Credential),
    /// None: the answer is stored by now.
    Landed,
}

/// Takes the flight off the list when dropped.
pub struct Landing {
    flights: Arc<Flights>,
    key: CacheKey,
    recording: Arc<Recording>,
}

impl Default for Flights {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(HashMap::new())) }
    }
}

impl Flights {
    fn shard(&self, key: &CacheKey) -> &Mutex<HashMap<CacheKey, Flight>> {
        let index = key.id() as usize % SHARDS;
        &self.shards[index]
    }

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
        credential: Credential,
        max_waiters: usize,
        landed: impl FnOnce() -> bool,
    ) -> Seat {
        let mut shard = self.shard(&key).lock();
        let slot = shard.entry(key);
        if let Entry::Occupied(flight) = &slot
            && flight.get().recording.readers() <= max_waiters
            && let Some(playback) = flight.get().recording.join()
        {
            return Seat::Follower(playback, flight.get().credential);
        }
        if landed() {
            return Seat::Landed;
        }
        let (recorder, playback, landing) = self.open(slot, key, credential);
        Seat::Leader(recorder, playback, landing)
    }

    /// Takes a seat on the flight under `key`, if there is one with room: its playback and the
    /// credential it flies with.
    pub fn follow(&self, key: &CacheKey, max_waiters: usize) -> Option<(Playback, Credential)> {
        let shard = self.shard(key).lock();
        let flight = shard.get(key).filter(|flight| flight.recording.readers() <= max_waiters)?;
        Some((flight.recording.join()?, flight.credential))
    }

    /// Opens a flight under `key`, for features that only observe: `None` where there is one that
    /// could be joined.
    pub fn lead(
        self: &Arc<Self>,
        key: CacheKey,
        credential: Credential,
    ) -> Option<(Recorder, Playback, Landing)> {
        let mut shard = self.shard(&key).lock();
        let slot = shard.entry(key);
        if let Entry::Occupied(flight) = &slot
            && flight.get().recording.joinable()
        {
            return None;
        }
        Some(self.open(slot, key, credential))
    }

    fn open(
        self: &Arc<Self>,
        slot: Entry<'_, CacheKey, Flight>,
        key: CacheKey,
        credential: Credential,
    ) -> (Recorder, Playback, Landing) {
        let (recorder, playback) = Recording::start();
        let recording = recorder.recording().clone();
        slot.insert_entry(Flight { recording: recording.clone(), credential });
        (recorder, playback, Landing { flights: self.clone(), key, recording })
    }

    /// Flights under way, and readers aboard them beyond their leaders.
    pub fn waiters(&self) -> usize {
        let aboard = |flights: &HashMap<CacheKey, Flight>| -> usize {
            flights.values().map(|flight| flight.recording.readers().saturating_sub(1)).sum()
        };
        self.shards.iter().map(|shard| aboard(&shard.lock())).sum()
    }
}

impl Landing {
    /// What the flight is for.
    pub fn key(&self) -> CacheKey {
        self.key
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(&self.key).lock();
        if shard.get(&self.key).is_some_and(|flight| Arc::ptr_eq(&flight.recording, &self.recording)) {
            shard.remove(&self.key);
        }
    }
}
