//! Those that wait: at the count that has no room for them, in fair order, until it has.
//!
//! A request waits at one place at a time. When something is given back there, or time has brought
//! room, the next in turn asks for all its limits again; if another one is now without room it goes
//! to wait there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fair::{Entered, FairQueue, Ticket, Urgency};
use super::ledger::{Claim, Held, LimitId, Part, Refused, Short, Subject};
use super::permit::Permit;
use super::{Ask, Limits};
use crate::config::limit::Measure;

/// A count that can be without room.
pub(super) type Place = (LimitId, Measure, u128);

/// Nothing is tried more often than this for time alone.
const SHORTEST: Duration = Duration::from_millis(1);

/// All lines of those that wait.
#[derive(Default)]
pub(super) struct WaitingRoom {
    lines: Mutex<Lines>,
    /// How many wait in all: asked without the lock by every request.
    count: AtomicUsize,
}

#[derive(Default)]
struct Lines {
    at: HashMap<Place, Line>,
    seats: HashMap<u64, (Place, Ticket)>,
    next: u64,
}

/// Those that wait at one place.
struct Line {
    queue: FairQueue<Waiter>,
    /// Somebody is asking for the next in turn, and must ask again when done.
    asking: bool,
    again: bool,
    /// When time brings room.
    timer: Option<Instant>,
}

struct Waiter {
    id: u64,
    asks: Arc<Asks>,
    answer: oneshot::Sender<Result<Permit, Refused>>,
}

/// A request's claims, to be made again and again.
struct Asks {
    claims: Vec<Claim<'static>>,
    tenant: Box<str>,
    urgency: Urgency,
}

/// Leaves the line when dropped: also when the client has hung up.
struct Seat {
    limits: Arc<Limits>,
    id: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.limits.waiting.leave(self.id);
    }
}

impl WaitingRoom {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Where others wait for what `ask` asks.
    pub(super) fn ahead(&self, ask: &Ask) -> Option<Place> {
        if self.len() == 0 {
            return None;
        }
        let lines = self.lines.lock();
        let places = ask.claims.iter().flat_map(places_of);
        places.filter(|place| lines.at.contains_key(place)).min()
    }

    fn leave(&self, id: u64) {
        let mut lines = self.lines.lock();
        let left = lines.seats.remove(&id).and_then(|(place, ticket)| {
            let line = lines.at.get_mut(&place)?;
            let waiter = line.queue.remove(ticket);
            if line.queue.is_empty() && !line.asking {
                lines.at.remove(&place);
            }
            waiter
        });
        self.count.store(lines.seats.len(), Ordering::Relaxed);
        drop(lines);
        drop(left);
    }
}

/// Where a claim could be without room.
fn places_of<'c>(claim: &'c Claim) -> impl Iterator<Item = Place> + use<'c> {
    let asked = Measure::ALL.into_iter().filter(|measure| claim.amounts[*measure] > 0);
    asked.map(|measure| (claim.limit, measure, claim.subject.key))
}

impl Limits {
    /// Waits at `place` until all claims of `ask` are granted together.
    pub(super) async fn wait(self: &Arc<Self>, ask: &Ask<'_>, place: Place) -> Result<Permit, Refused> {
        let asks = Arc::new(Asks {
            claims: ask.claims.iter().map(owned).collect(),
            tenant: ask.tenant.into(),
            urgency: ask.urgency,
        });
        let (answer, granted) = oneshot::channel();
        let patience = self.rules.load().get(&place.0).map_or(Duration::ZERO, |limit| limit.wait);
        let seat = {
            let mut lines = self.waiting.lines.lock();
            let id = lines.next;
            lines.next += 1;
            let refused = self.enter(&mut lines, place, Waiter { id, asks: asks.clone(), answer });
            self.waiting.count.store(lines.seats.len(), Ordering::Relaxed);
            drop(lines);
            if let Some(waiter) = refused {
                self.turn_away(waiter);
            }
            Seat { limits: self.clone(), id }
        };
        self.ask_next(place);
        let answered = tokio::time::timeout(patience, granted).await;
        drop(seat);
        match answered {
            Ok(Ok(answer)) => answer,
            // Its time is up: what stands in its way now is the honest answer.
            Ok(Err(_)) | Err(_) => {
                let held = self.ledger.reserve(&asks.claims).await?;
                Ok(Permit::new(self.clone(), held))
            }
        }
    }

    /// Puts a waiter in line; one that has to leave for lack of room is returned.
    fn enter(&self, lines: &mut Lines, place: Place, waiter: Waiter) -> Option<Waiter> {
        let rules = self.rules.load();
        let rule = rules.get(&place.0);
        let most = rule.map_or(1, |limit| limit.max_waiting);
        let weight = rule
            .and_then(|limit| limit.weights.iter().find(|(tenant, _)| **tenant == *waiter.asks.tenant))
            .map_or(1, |(_, weight)| *weight);
        let line = lines.at.entry(place).or_insert_with(|| Line {
            queue: FairQueue::new(most),
            asking: false,
            again: false,
            timer: None,
        });
        let (id, asks) = (waiter.id, waiter.asks.clone());
        let (ticket, out) = match line.queue.push(&asks.tenant, weight, asks.urgency, waiter) {
            Entered::In(ticket) => (Some(ticket), None),
            Entered::Instead(ticket, out) => (Some(ticket), Some(out)),
            Entered::Full(waiter) => (None, Some(waiter)),
        };
        if let Some(out) = &out {
            lines.seats.remove(&out.id);
        }
        if let Some(ticket) = ticket {
            lines.seats.insert(id, (place, ticket));
        }
        out
    }

    /// Tells a waiter for whom there is no room in line what it would have waited for.
    fn turn_away(self: &Arc<Self>, waiter: Waiter) {
        let limits = self.clone();
        spawn(async move {
            let held = limits.ledger.reserve(&waiter.asks.claims).await;
            let _ = waiter.answer.send(held.map(|held| Permit::new(limits, held)));
        });
    }

    /// Something of these counts was given back.
    pub(super) fn freed(self: &Arc<Self>, held: &[Held], part: Part) {
        if self.waiting.len() == 0 {
            return;
        }
        for held in held {
            for measure in Measure::ALL.into_iter().filter(|measure| part.has(*measure)) {
                self.ask_next((held.limit, measure, held.subject));
            }
        }
    }

    /// Something of a limit was given back, whichever measure.
    pub(super) fn freed_of(self: &Arc<Self>, limit: LimitId, subject: u128) {
        if self.waiting.len() > 0 {
            for measure in Measure::ALL {
                self.ask_next((limit, measure, subject));
            }
        }
    }

    /// Asks for all that wait, wherever they do.
    pub(super) fn look_again(self: &Arc<Self>) {
        let places: Vec<Place> = self.waiting.lines.lock().at.keys().copied().collect();
        for place in places {
            self.ask_next(place);
        }
    }

    /// Asks for those that wait at `place`, one after the other, for as long as there is room.
    fn ask_next(self: &Arc<Self>, place: Place) {
        let mut lines = self.waiting.lines.lock();
        let Some(line) = lines.at.get_mut(&place) else { return };
        if std::mem::replace(&mut line.asking, true) {
            line.again = true;
            return;
        }
        drop(lines);
        let limits = self.clone();
        spawn(async move { limits.serve_line(place).await });
    }

    async fn serve_line(self: &Arc<Self>, place: Place) {
        loop {
            let (ticket, asks) = {
                let mut lines = self.waiting.lines.lock();
                let Some(line) = lines.at.get_mut(&place) else { return };
                line.again = false;
                let Some((ticket, waiter)) = line.queue.peek() else {
                    lines.at.remove(&place);
                    return;
                };
                (ticket, waiter.asks.clone())
            };
            match self.ledger.reserve(&asks.claims).await {
                Ok(held) => self.answer(place, ticket, Ok(Permit::new(self.clone(), held))),
                Err(Refused::Lost) => self.answer(place, ticket, Err(Refused::Lost)),
                Err(Refused::Short(short)) if place_of(&asks.claims, &short) == Some(place) => {
                    if self.rest(place, short.likely.max(SHORTEST)) {
                        return;
                    }
                }
                Err(Refused::Short(short)) => self.move_on(place, ticket, &asks, &short),
            }
        }
    }

    /// Tells one in line what became of it. If it has left meanwhile, its permit is dropped and with
    /// that given back.
    fn answer(&self, place: Place, ticket: Ticket, answer: Result<Permit, Refused>) {
        let mut lines = self.waiting.lines.lock();
        let waiter = lines.at.get_mut(&place).and_then(|line| line.queue.serve(ticket));
        if let Some(waiter) = &waiter {
            lines.seats.remove(&waiter.id);
        }
        self.waiting.count.store(lines.seats.len(), Ordering::Relaxed);
        drop(lines);
        if let Some(waiter) = waiter {
            let _ = waiter.answer.send(answer);
        }
    }

    /// Stops asking at `place` until something is given back or time has brought room; not if
    /// something has been given back since.
    fn rest(self: &Arc<Self>, place: Place, likely: Duration) -> bool {
        let mut lines = self.waiting.lines.lock();
        let Some(line) = lines.at.get_mut(&place) else { return true };
        if line.again {
            return false;
        }
        line.asking = false;
        let due = Instant::now() + likely.min(Duration::from_secs(3600));
        if line.timer.is_none_or(|timer| due < timer) {
            line.timer = Some(due);
            let limits = Arc::downgrade(self);
            spawn(wake(limits, place, due));
        }
        true
    }

    /// Another count has no room for the next in turn: it goes to wait there.
    fn move_on(self: &Arc<Self>, place: Place, ticket: Ticket, asks: &Asks, short: &Short) {
        let mut lines = self.waiting.lines.lock();
        let Some(waiter) = lines.at.get_mut(&place).and_then(|line| line.queue.serve(ticket)) else { return };
        lines.seats.remove(&waiter.id);
        let next = place_of(&asks.claims, short);
        let patient = self.rules.load().get(&next.map_or(place.0, |next| next.0)).is_some_and(|limit| {
            short.soonest.is_some_and(|soonest| soonest <= limit.wait) && !limit.wait.is_zero()
        });
        let (out, answer) = match next.filter(|_| patient) {
            Some(next) => (self.enter(&mut lines, next, waiter), None),
            None => (Some(waiter), Some(short.clone())),
        };
        self.waiting.count.store(lines.seats.len(), Ordering::Relaxed);
        drop(lines);
        match (out, answer) {
            (Some(waiter), Some(short)) => drop(waiter.answer.send(Err(Refused::Short(short)))),
            (Some(waiter), None) => self.turn_away(waiter),
            (None, _) => {}
        }
        if let Some(next) = next {
            self.ask_next(next);
        }
    }
}

/// Asks at `place` once `due` has come.
async fn wake(limits: Weak<Limits>, place: Place, due: Instant) {
    tokio::time::sleep_until(due).await;
    let Some(limits) = limits.upgrade() else { return };
    if let Some(line) = limits.waiting.lines.lock().at.get_mut(&place)
        && line.timer == Some(due)
    {
        line.timer = None;
    }
    limits.ask_next(place);
}

/// Where the claim that had no room is counted.
fn place_of(claims: &[Claim], short: &Short) -> Option<Place> {
    claims.get(short.claim).map(|claim| (claim.limit, short.measure, short.subject))
}

fn owned(claim: &Claim) -> Claim<'static> {
    let subject = Subject { key: claim.subject.key, name: claim.subject.name.to_string().into() };
    Claim { limit: claim.limit, subject, amounts: claim.amounts }
}

/// Runs beside whoever gave something back, which may be a destructor. Without a runtime nobody waits.
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(task);
    }
}
