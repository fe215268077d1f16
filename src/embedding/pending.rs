//! Inputs being fetched: whoever asks for one of them waits for the same vector.
//!
//! Whoever asked first has the duty to say what became of the input, and holds it until then; the
//! others hold tickets. Like the flights of whole requests, but what is shared is one input, and one
//! call carries many of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::request::identity::Credential;
use crate::request::key::CacheKey;

/// Spreads the inputs so that unrelated requests rarely meet at a lock.
const SHARDS: usize = 16;

/// The inputs being fetched in this process. `O` is what becomes of one.
pub struct Pending<O> {
    shards: [Mutex<HashMap<CacheKey, Arc<Slot<O>>>>; SHARDS],
}

/// One input being fetched.
struct Slot<O> {
    /// What became of it; `None` inside: nothing, whoever fetched it has given up.
    outcome: OnceLock<Option<O>>,
    landed: Notify,
    waiting: AtomicUsize,
    interest: Arc<Interest>,
    credential: Credential,
}

/// How many still wait for anything that one request fetches.
#[derive(Default)]
pub struct Interest {
    waiting: AtomicUsize,
    left: Notify,
}

/// Waits for an input.
pub struct Ticket<O>(Arc<Slot<O>>);

/// Has to say what became of an input. Dropped without having said it, it says that nothing did, so
/// that nobody waits for ever.
pub struct Duty<O> {
    slot: Arc<Slot<O>>,
    /// Where the input is listed, so that others find it.
    listed: Option<(Arc<Pending<O>>, CacheKey)>,
}

/// A seat for an input.
pub enum Seat<O, V> {
    /// This request fetches it.
    Owner(Duty<O>, Ticket<O>),
    /// Another request does.
    Shared(Ticket<O>),
    /// It is stored by now.
    Landed(V),
}

impl<O> Default for Pending<O> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(HashMap::new())) }
    }
}

impl<O: Clone> Pending<O> {
    fn shard(&self, key: &CacheKey) -> &Mutex<HashMap<CacheKey, Arc<Slot<O>>>> {
        &self.shards[key.id() as usize % SHARDS]
    }

    /// Joins those who wait for the input under `key`, or takes on to fetch it. `landed` looks among
    /// the stored vectors; it is asked where the input would be fetched, while nobody can land it.
    pub fn join<V>(
        self: &Arc<Self>,
        key: CacheKey,
        credential: Credential,
        interest: &Arc<Interest>,
        max_waiters: usize,
        landed: impl FnOnce() -> Option<V>,
    ) -> Seat<O, V> {
        let mut shard = self.shard(&key).lock();
        let entry = shard.entry(key);
        if let Entry::Occupied(slot) = &entry
            && slot.get().waiting.load(SeqCst) <= max_waiters
            && slot.get().interest.is_some()
        {
            return Seat::Shared(Ticket::new(slot.get().clone()));
        }
        if let Some(vector) = landed() {
            return Seat::Landed(vector);
        }
        let (mut duty, ticket) = Duty::new(credential, interest);
        entry.insert_entry(duty.slot.clone());
        duty.listed = Some((self.clone(), key));
        Seat::Owner(duty, ticket)
    }

    /// Whether somebody fetches the input under `key` and can be joined.
    pub fn has(&self, key: &CacheKey) -> bool {
        self.shard(key).lock().get(key).is_some_and(|slot| slot.interest.is_some())
    }

    /// Takes on to fetch the input under `key` and lists it, for features that only observe. True
    /// where somebody else fetches it already: then it is not listed.
    pub fn lead(
        self: &Arc<Self>,
        key: CacheKey,
        credential: Credential,
        interest: &Arc<Interest>,
    ) -> (Duty<O>, Ticket<O>, bool) {
        let (mut duty, ticket) = Duty::new(credential, interest);
        let mut shard = self.shard(&key).lock();
        let entry = shard.entry(key);
        let shared = matches!(&entry, Entry::Occupied(slot) if slot.get().interest.is_some());
        if !shared {
            entry.insert_entry(duty.slot.clone());
            duty.listed = Some((self.clone(), key));
        }
        (duty, ticket, shared)
    }

    /// How many wait for inputs that others fetch.
    pub fn waiters(&self) -> usize {
        let aboard = |slots: &HashMap<CacheKey, Arc<Slot<O>>>| -> usize {
            slots.values().map(|slot| slot.waiting.load(SeqCst).saturating_sub(1)).sum()
        };
        self.shards.iter().map(|shard| aboard(&shard.lock())).sum()
    }
}

impl<O: Clone> Duty<O> {
    /// To fetch an input that nobody else can join.
    pub fn new(credential: Credential, interest: &Arc<Interest>) -> (Self, Ticket<O>) {
        let slot = Arc::new(Slot {
            outcome: OnceLock::new(),
            landed: Notify::new(),
            waiting: AtomicUsize::new(0),
            interest: interest.clone(),
            credential,
        });
        let ticket = Ticket::new(slot.clone());
        (Self { slot, listed: None }, ticket)
    }

    /// Says what became of the input. What is to be stored has been stored before.
    pub fn land(self, outcome: O) {
        // A duty is done once: the cell is empty.
        let _ = self.slot.outcome.set(Some(outcome));
    }
}

impl<O> Drop for Duty<O> {
    fn drop(&mut self) {
        let _ = self.slot.outcome.set(None);
        self.slot.landed.notify_waiters();
        let Some((pending, key)) = self.listed.take() else { return };
        let mut shard = pending.shards[key.id() as usize % SHARDS].lock();
        if shard.get(&key).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            shard.remove(&key);
        }
    }
}

impl<O> Ticket<O> {
    fn new(slot: Arc<Slot<O>>) -> Self {
        slot.waiting.fetch_add(1, SeqCst);
        slot.interest.waiting.fetch_add(1, SeqCst);
        Self(slot)
    }

    /// Whose credential the input is fetched with.
    pub fn credential(&self) -> Credential {
        self.0.credential
    }
}

impl<O: Clone> Ticket<O> {
    /// Waits for what becomes of the input; `None` where whoever fetched it gave up.
    pub async fn wait(&self) -> Option<O> {
        loop {
            let landed = self.0.landed.notified();
            if let Some(outcome) = self.0.outcome.get() {
                return outcome.clone();
            }
            landed.await;
        }
    }
}

impl<O> Drop for Ticket<O> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
        if self.0.interest.waiting.fetch_sub(1, SeqCst) == 1 {
            self.0.interest.left.notify_waiters();
        }
    }
}

impl Interest {
    /// Whether anybody waits.
    pub fn is_some(&self) -> bool {
        self.waiting.load(SeqCst) > 0
    }

    /// Resolves once nobody waits any more.
    pub async fn lost(&self) {
        loop {
            let left = self.left.notified();
            if !self.is_some() {
                return;
            }
            left.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIAL: Credential = Credential([1; 16]);

    fn join(pending: &Arc<Pending<u8>>, interest: &Arc<Interest>) -> Seat<u8, ()> {
        pending.join(CacheKey::keyed(&[0; 32], b"a"), CREDENTIAL, interest, 10, || None)
    }

    #[tokio::test]
    async fn one_fetches_and_all_who_asked_meanwhile_get_it() {
        let (pending, interest) = (Arc::new(Pending::default()), Arc::new(Interest::default()));
        let Seat::Owner(duty, own) = join(&pending, &interest) else { panic!("the first fetches") };
        let Seat::Shared(other) = join(&pending, &interest) else { panic!("the second shares") };
        assert_eq!(pending.waiters(), 1);
        duty.land(7);
        assert_eq!((own.wait().await, other.wait().await), (Some(7), Some(7)));
        assert!(matches!(join(&pending, &interest), Seat::Owner(..)), "what has landed is not listed");
    }

    #[tokio::test]
    async fn a_duty_dropped_leaves_nobody_waiting_and_lost_interest_is_told() {
        let (pending, interest) = (Arc::new(Pending::default()), Arc::new(Interest::default()));
        let Seat::Owner(duty, own) = join(&pending, &interest) else { panic!("the first fetches") };
        drop(duty);
        assert_eq!(own.wait().await, None);
        assert!(interest.is_some());
        drop(own);
        interest.lost().await;
        let Seat::Owner(_duty, own) = join(&pending, &interest) else { panic!("nobody fetches") };
        drop(own);
        let again = join(&pending, &Arc::new(Interest::default()));
        assert!(matches!(again, Seat::Owner(..)), "a fetch that nobody waits for is not joined");
    }
}
