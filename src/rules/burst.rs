//! Bursts: several requests of one conversation within a moment, of which only the last is sent. Pure.
//!
//! A request that may be part of one waits. A later one that carries the same conversation further, by
//! turns of the user only, comes to stand behind it; when the last of such a queue departs, those
//! before it are told. One that leaves while it waits is as if it had never come.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::request::conversation::Conversation;

/// Conversations that may wait at one time; a request of one more is sent at once.
const MOST_CONVERSATIONS: usize = 10_000;
/// Requests of one conversation that may wait for each other; the next begins a new burst.
const MOST_MERGED: usize = 16;

/// Names one conversation of one caller.
pub type BurstKey = [u8; 32];

/// Names one waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// The requests that wait, by conversation. `T` is how one of them is told.
pub struct Bursts<T> {
    waiting: Mutex<Waiting<T>>,
}

struct Waiting<T> {
    queues: HashMap<BurstKey, Vec<Member<T>>>,
    next: u64,
}

/// One request that waits.
struct Member<T> {
    ticket: Ticket,
    said: Prefix,
    caller: T,
}

/// A conversation up to some turn, in the space of two digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    rest: [u8; 32],
    turns: usize,
    digest: [u8; 32],
}

/// What an arrival came to.
pub enum Arrival<T> {
    /// It waits, with this ticket.
    Waits {
        /// What it departs or leaves with.
        ticket: Ticket,
        /// Who waited for something else and should go now: the last of a queue, and those before it.
        displaced: Option<(T, Vec<T>)>,
    },
    /// There is no room: it should go at once.
    Full,
}

impl<T> Default for Bursts<T> {
    fn default() -> Self {
        Self { waiting: Mutex::new(Waiting { queues: HashMap::new(), next: 0 }) }
    }
}

impl<T> Bursts<T> {
    /// Lets a request wait.
    pub fn arrive(&self, key: BurstKey, conversation: &Conversation, caller: T) -> Arrival<T> {
        let mut waiting = self.waiting.lock();
        if waiting.queues.len() >= MOST_CONVERSATIONS && !waiting.queues.contains_key(&key) {
            return Arrival::Full;
        }
        let ticket = Ticket(waiting.next);
        waiting.next += 1;
        let queue = waiting.queues.entry(key).or_default();
        let joins =
            queue.len() < MOST_MERGED && queue.last().is_none_or(|last| extends(conversation, &last.said));
        let before = if joins { Vec::new() } else { std::mem::take(queue) };
        let said = Prefix::of(conversation, conversation.turns.len());
        queue.push(Member { ticket, said, caller });
        Arrival::Waits { ticket, displaced: last_and_others(before) }
    }

    /// Lets the last of a queue go: those before it, who will not be sent. `None` where it is not the
    /// last, or has been told to go.
    pub fn depart(&self, key: &BurstKey, ticket: Ticket) -> Option<Vec<T>> {
        let mut waiting = self.waiting.lock();
        if waiting.queues.get(key)?.last()?.ticket != ticket {
            return None;
        }
        let queue = waiting.queues.remove(key)?;
        last_and_others(queue).map(|(_, others)| others)
    }

    /// Takes one that hung up out of its queue. Where it was the last, `look` gets the one that is
    /// last now.
    pub fn leave(&self, key: &BurstKey, ticket: Ticket, look: impl FnOnce(&T)) {
        let mut waiting = self.waiting.lock();
        let Some(queue) = waiting.queues.get_mut(key) else { return };
        let Some(at) = queue.iter().position(|member| member.ticket == ticket) else { return };
        queue.remove(at);
        match queue.last() {
            Some(last) if at == queue.len() => look(&last.caller),
            Some(_) => {}
            None => drop(waiting.queues.remove(key)),
        }
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().queues.values().map(Vec::len).sum()
    }
}

fn last_and_others<T>(mut queue: Vec<Member<T>>) -> Option<(T, Vec<T>)> {
    let last = queue.pop()?;
    Some((last.caller, queue.into_iter().map(|member| member.caller).collect()))
}

impl Prefix {
    fn of(conversation: &Conversation, turns: usize) -> Self {
        let mut hasher = blake3::Hasher::new();
        for said in conversation.turns.iter().take(turns) {
            hasher.update(&said.digest);
        }
        Self { rest: conversation.rest, turns, digest: *hasher.finalize().as_bytes() }
    }
}

/// Whether `later` is `earlier` and further turns of the user, at least one.
fn extends(later: &Conversation, earlier: &Prefix) -> bool {
    let added = later.turns.get(earlier.turns..).unwrap_or_default();
    !added.is_empty() && added.iter().all(|said| said.by_user) && Prefix::of(later, earlier.turns) == *earlier
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::conversation::Said;

    const KEY: BurstKey = [1; 32];

    /// A conversation of one letter a turn, a small one the user's.
    fn conversation(said: &str) -> Conversation {
        let turn = |letter: u8| Said { by_user: letter.is_ascii_lowercase(), digest: [letter; 32] };
        Conversation { rest: [0; 32], turns: said.bytes().map(turn).collect() }
    }

    fn arrive(bursts: &Bursts<&'static str>, said: &'static str) -> (Ticket, Option<&'static str>) {
        match bursts.arrive(KEY, &conversation(said), said) {
            Arrival::Waits { ticket, displaced } => (ticket, displaced.map(|(last, _)| last)),
            Arrival::Full => panic!("there is room"),
        }
    }

    #[test]
    fn only_turns_of_the_user_carry_a_conversation_further() {
        for (earlier, later, further) in [
            ("Sa", "Sab", true),
            ("Sa", "Sabc", true),
            ("Sa", "Sa", false),
            ("Sab", "Sa", false),
            ("Sa", "Sb", false),
            ("Sa", "Sbc", false),
            ("Sa", "SaAb", false),
            ("Sa", "Tab", false),
        ] {
            let prefix = Prefix::of(&conversation(earlier), earlier.len());
            assert_eq!(extends(&conversation(later), &prefix), further, "{earlier} {later}");
        }
        let other = Conversation { rest: [9; 32], ..conversation("Sab") };
        assert!(!extends(&other, &Prefix::of(&conversation("Sa"), 2)), "another model");
    }

    #[test]
    fn the_last_departs_and_those_before_it_are_told() {
        let bursts = Bursts::default();
        let (first, _) = arrive(&bursts, "a");
        let (second, _) = arrive(&bursts, "ab");
        let (third, displaced) = arrive(&bursts, "abc");
        assert_eq!(displaced, None);
        assert_eq!((bursts.depart(&KEY, first), bursts.depart(&KEY, second)), (None, None));
        assert_eq!(bursts.depart(&KEY, third), Some(vec!["a", "ab"]));
        assert_eq!((bursts.depart(&KEY, third), bursts.waiting()), (None, 0));
    }

    #[test]
    fn one_that_says_something_else_lets_those_before_it_go() {
        let bursts = Bursts::default();
        let (first, _) = arrive(&bursts, "a");
        let (other, displaced) = arrive(&bursts, "x");
        assert_eq!((displaced, bursts.depart(&KEY, first)), (Some("a"), None));
        assert_eq!(bursts.depart(&KEY, other), Some(vec![]));
    }

    #[test]
    fn one_that_hangs_up_is_as_if_it_had_never_come() {
        let bursts = Bursts::default();
        let (first, _) = arrive(&bursts, "a");
        let (second, _) = arrive(&bursts, "ab");
        let mut looked = None;
        bursts.leave(&KEY, second, |last| looked = Some(*last));
        assert_eq!((looked, bursts.depart(&KEY, first)), (Some("a"), Some(vec![])));
        let (third, _) = arrive(&bursts, "a");
        let (fourth, _) = arrive(&bursts, "ab");
        bursts.leave(&KEY, third, |_| panic!("the last one stays the last"));
        assert_eq!(bursts.depart(&KEY, fourth), Some(vec![]));
        bursts.leave(&KEY, fourth, |_| panic!("it is gone"));
    }

    #[test]
    fn what_waits_is_bounded() {
        let bursts = Bursts::default();
        let mut said = conversation("");
        let mut last = None;
        for _ in 0..MOST_MERGED {
            said.turns.push(Said { by_user: true, digest: [7; 32] });
            let Arrival::Waits { ticket, displaced: None } = bursts.arrive(KEY, &said, 0) else { panic!() };
            last = Some(ticket);
        }
        said.turns.push(Said { by_user: true, digest: [7; 32] });
        assert!(
            matches!(bursts.arrive(KEY, &said, 0), Arrival::Waits { displaced: Some((0, before)), .. } if before.len() == MOST_MERGED - 1)
        );
        assert_eq!(bursts.depart(&KEY, last.unwrap()), None);
        for number in 0..MOST_CONVERSATIONS as u64 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            bursts.arrive(key, &said, 0);
        }
        assert!(matches!(bursts.arrive([9; 32], &said, 0), Arrival::Full));
    }
}
