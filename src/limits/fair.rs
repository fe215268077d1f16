//! Who of those that wait is next: weighted fair between tenants (start-time fair queueing, Goyal,
//! Vin and Cheng 1996), by urgency and then in order of arrival within a tenant.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The place of one waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// How urgent a request is among its tenant's: `u` of RFC 9218, 0 the most urgent, 7 the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Urgency(pub u8);

impl Default for Urgency {
    /// What RFC 9218 says holds without a header.
    fn default() -> Self {
        Self(3)
    }
}

/// A tenant's turns are further apart the less weight it has, in these parts.
const TURN: u64 = 1 << 20;

/// Those that wait.
pub struct FairQueue<T> {
    tenants: HashMap<Arc<str>, Tenant<T>>,
    /// Tenants by when their turn is: the virtual start of their next, then who came first.
    turns: BTreeSet<(u64, u64, Arc<str>)>,
    /// Tenants by how many of theirs wait: a full queue asks that of each who comes.
    lengths: BTreeSet<(usize, Arc<str>)>,
    tickets: HashMap<Ticket, (Arc<str>, Urgency)>,
    /// The virtual time: the start of the turn served last.
    served: u64,
    next: u64,
    most: usize,
}

struct Tenant<T> {
    waiting: BTreeMap<(Urgency, Ticket), T>,
    start: u64,
    first: u64,
    turn: u64,
}

/// What came of a request to wait.
pub enum Entered<T> {
    /// It waits.
    In(Ticket),
    /// It waits; another, of the tenant with the most waiting, had to leave for it.
    Instead(Ticket, T),
    /// There is no room; it has the most waiting itself.
    Full(T),
}

impl<T> FairQueue<T> {
    /// A queue for up to `most` waiters.
    pub fn new(most: usize) -> Self {
        Self {
            tenants: HashMap::new(),
            turns: BTreeSet::new(),
            lengths: BTreeSet::new(),
            tickets: HashMap::new(),
            served: 0,
            next: 0,
            most: most.max(1),
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Lets one wait. A tenant of weight 2 gets two turns for one of weight 1.
    pub fn push(&mut self, tenant: &str, weight: u32, urgency: Urgency, waiter: T) -> Entered<T> {
        let mut pushed_out = None;
        if self.tickets.len() >= self.most {
            match self.last_of_longest(tenant) {
                Some(ticket) => pushed_out = self.remove(ticket),
                None => return Entered::Full(waiter),
            }
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        let known = self.tenants.get_key_value(tenant).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            // One that comes (back) starts now: it has saved up nothing by its absence.
            let turn = (TURN / u64::from(weight.max(1))).max(1);
            let name: Arc<str> = tenant.into();
            self.turns.insert((self.served, ticket.0, name.clone()));
            let tenant = Tenant { waiting: BTreeMap::new(), start: self.served, first: ticket.0, turn };
            self.tenants.insert(name.clone(), tenant);
            name
        });
        if let Some(tenant) = self.tenants.get_mut(&name) {
            self.lengths.remove(&(tenant.waiting.len(), name.clone()));
            tenant.waiting.insert((urgency, ticket), waiter);
            self.lengths.insert((tenant.waiting.len(), name.clone()));
        }
        self.tickets.insert(ticket, (name, urgency));
        match pushed_out {
            Some(out) => Entered::Instead(ticket, out),
            None => Entered::In(ticket),
        }
    }

    /// The last waiter of the tenant with the most, if that has more than `tenant` would have: the
    /// burst of one pushes out its own, never another's.
    fn last_of_longest(&self, tenant: &str) -> Option<Ticket> {
        let own = self.tenants.get(tenant).map_or(0, |tenant| tenant.waiting.len());
        let (length, name) = self.lengths.last()?;
        let ((_, ticket), _) = self.tenants.get(name)?.waiting.last_key_value()?;
        (*length > own + 1).then_some(*ticket)
    }

    /// Who is next.
    pub fn peek(&self) -> Option<(Ticket, &T)> {
        let (_, _, name) = self.turns.first()?;
        let ((_, ticket), waiter) = self.tenants.get(name)?.waiting.first_key_value()?;
        Some((*ticket, waiter))
    }

    /// Takes out one that is served: its tenant's next turn comes after those of the others.
    pub fn serve(&mut self, ticket: Ticket) -> Option<T> {
        let (name, _) = self.tickets.get(&ticket)?.clone();
        if let Some(tenant) = self.tenants.get_mut(&name) {
            self.turns.remove(&(tenant.start, tenant.first, name.clone()));
            self.served = self.served.max(tenant.start);
            tenant.start += tenant.turn;
            self.turns.insert((tenant.start, tenant.first, name));
        }
        self.remove(ticket)
    }

    /// Takes out one that leaves unserved.
    pub fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let (name, urgency) = self.tickets.remove(&ticket)?;
        let tenant = self.tenants.get_mut(&name)?;
        self.lengths.remove(&(tenant.waiting.len(), name.clone()));
        let waiter = tenant.waiting.remove(&(urgency, ticket));
        if tenant.waiting.is_empty() {
            self.turns.remove(&(tenant.start, tenant.first, name.clone()));
            self.tenants.remove(&name);
        } else {
            self.lengths.insert((tenant.waiting.len(), name));
        }
        waiter
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn enter(queue: &mut FairQueue<String>, tenant: &str, number: u32) -> Ticket {
        match queue.push(tenant, 1, Urgency::default(), format!("{tenant}{number}")) {
            Entered::In(ticket) | Entered::Instead(ticket, _) => ticket,
            Entered::Full(_) => panic!("the queue is full"),
        }
    }

    fn next(queue: &mut FairQueue<String>) -> Option<String> {
        let (ticket, _) = queue.peek()?;
        queue.serve(ticket)
    }

    fn all(mut queue: FairQueue<String>) -> Vec<String> {
        std::iter::from_fn(|| next(&mut queue)).collect()
    }

    #[test]
    fn a_tenant_with_a_thousand_waits_as_long_as_one_with_one() {
        let mut queue = FairQueue::new(10_000);
        for number in 0..1000 {
            enter(&mut queue, "greedy", number);
        }
        next(&mut queue);
        for tenant in 0..99 {
            enter(&mut queue, &format!("modest{tenant}-"), 0);
        }
        let order = all(queue);
        let last = order.iter().rposition(|name| name.starts_with("modest")).unwrap();
        assert!(last < 2 * 100, "each of the 99 is served within two turns of all, not as {last}");
        assert_eq!(order.len(), 999 + 99);
    }

    #[test]
    fn weights_are_turns() {
        let mut queue = FairQueue::new(100);
        for number in 0..30 {
            queue.push("heavy", 3, Urgency::default(), format!("heavy{number}"));
            queue.push("light", 1, Urgency::default(), format!("light{number}"));
        }
        let first: Vec<_> = all(queue).into_iter().take(20).collect();
        let heavy = first.iter().filter(|name| name.starts_with("heavy")).count();
        assert!((14..=16).contains(&heavy), "{first:?}");
    }

    #[test]
    fn the_urgent_go_first_within_their_tenant_only() {
        let mut queue = FairQueue::new(100);
        for (tenant, urgency, name) in
            [("a", 3, "a1"), ("a", 7, "a2"), ("a", 0, "a3"), ("b", 5, "b1"), ("a", 0, "a4")]
        {
            queue.push(tenant, 1, Urgency(urgency), name.to_owned());
        }
        assert_eq!(all(queue), ["a3", "b1", "a4", "a1", "a2"]);
    }

    #[test]
    fn in_a_full_queue_the_greedy_give_way_and_nobody_else() {
        let mut queue = FairQueue::new(3);
        for number in 0..3 {
            enter(&mut queue, "greedy", number);
        }
        let pushed = queue.push("greedy", 1, Urgency::default(), "greedy3".to_owned());
        assert!(matches!(pushed, Entered::Full(name) if name == "greedy3"));
        let pushed = queue.push("modest", 1, Urgency::default(), "modest0".to_owned());
        assert!(matches!(pushed, Entered::Instead(_, name) if name == "greedy2"));
        let pushed = queue.push("modest", 1, Urgency::default(), "modest1".to_owned());
        assert!(matches!(pushed, Entered::Full(_)), "two and one would only be one and two");
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let mut queue = FairQueue::new(10);
        let tickets: Vec<_> = (0..3).map(|number| enter(&mut queue, "a", number)).collect();
        assert_eq!(queue.remove(tickets[0]).as_deref(), Some("a0"));
        assert_eq!(queue.remove(tickets[0]), None);
        assert_eq!(queue.remove(tickets[2]).as_deref(), Some("a2"));
        assert_eq!(queue.peek().map(|(ticket, _)| ticket), Some(tickets[1]));
        assert_eq!(next(&mut queue).as_deref(), Some("a1"));
        assert!(queue.is_empty() && queue.tenants.is_empty());
        assert!(queue.turns.is_empty() && queue.lengths.is_empty());
    }

    proptest! {
        /// Between two turns of a tenant, no other of the same weight gets more than two.
        #[test]
        fn nobody_is_passed_by_twice(counts in prop::collection::vec(1u32..20, 2..8)) {
            let mut queue = FairQueue::new(1000);
            for (tenant, count) in counts.iter().enumerate() {
                for number in 0..*count {
                    enter(&mut queue, &format!("t{tenant}-"), number);
                }
            }
            let order = all(queue);
            prop_assert_eq!(order.len(), counts.iter().sum::<u32>() as usize);
            let tenant = |name: &String| name.split('-').next().unwrap().to_owned();
            for (at, name) in order.iter().enumerate() {
                let own = tenant(name);
                let Some(gap) = order[at + 1..].iter().position(|other| tenant(other) == own) else { continue };
                for other in &order[at + 1..at + 1 + gap] {
                    let between = order[at + 1..at + 1 + gap].iter().filter(|name| tenant(name) == tenant(other)).count();
                    prop_assert!(between <= 2);
                }
            }
        }

        /// Within a tenant and an urgency, first come is first served.
        #[test]
        fn first_come_first_served(who in prop::collection::vec(0u8..4, 1..100)) {
            let mut queue = FairQueue::new(1000);
            for (number, tenant) in (0..).zip(&who) {
                enter(&mut queue, &format!("t{tenant}-"), number);
            }
            let order = all(queue);
            for tenant in 0..4 {
                let own: Vec<u32> = order.iter()
                    .filter_map(|name| name.strip_prefix(&format!("t{tenant}-"))?.parse().ok())
                    .collect();
                prop_assert!(own.is_sorted());
            }
        }
    }
}
