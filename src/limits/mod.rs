//! Limits and budgets: a request is let through by all that apply to it, or waits, or is refused.
//!
//! The most that a request may take is reserved first, in one step over all its limits; what it took
//! is settled for each attempt, and the rest goes back, exactly once, whatever becomes of it.

pub mod alert;
pub mod book;
pub mod budget;
pub mod estimate;
pub mod fair;
pub mod images;
pub mod journal;
pub mod ledger;
pub mod meter;
mod page;
mod permit;
pub mod rate;
pub mod shared;
pub mod tokens;
mod waiting;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::limit::Limit;
use fair::Urgency;
use ledger::{Claim, Held, Ledger, LimitId, Lost, Overview, Part, Refused, Sharing, Short, Standing};
pub use permit::{Attempt, Permit};
use waiting::WaitingRoom;

/// What a request asks of all its limits.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// One claim on each limit.
    pub claims: Vec<Claim<'a>>,
    /// Who takes turns with whom.
    pub tenant: &'a str,
    /// Who goes first within a tenant.
    pub urgency: Urgency,
}

/// The limits of this process, their counts and those that wait.
pub struct Limits {
    ledger: Arc<dyn Ledger>,
    rules: ArcSwap<HashMap<LimitId, Arc<Limit>>>,
    waiting: WaitingRoom,
}

impl Limits {
    /// No limits yet; their counts will live in `ledger`.
    pub fn new(ledger: Arc<dyn Ledger>) -> Arc<Self> {
        let limits = Arc::new(Self { ledger, rules: ArcSwap::default(), waiting: WaitingRoom::default() });
        let told = Arc::downgrade(&limits);
        limits.ledger.tell_freed(Box::new(move |limit, subject| {
            if let Some(limits) = told.upgrade() {
                limits.freed_of(limit, subject);
            }
        }));
        limits
    }

    /// Makes these the limits in force, and says by which ids they are claimed. Counts of those whose
    /// definition is unchanged go on; requests under way settle where they were admitted.
    pub fn adopt(&self, limits: &[Limit]) -> Vec<(LimitId, Arc<Limit>)> {
        let ids = self.ledger.adopt(limits);
        let rules: Vec<_> = ids.into_iter().zip(limits.iter().cloned().map(Arc::new)).collect();
        self.rules.store(Arc::new(rules.iter().cloned().collect()));
        rules
    }

    /// Lets a request through all its limits at once, after waiting where a limit says so.
    ///
    /// # Errors
    /// The limit that has no room.
    pub async fn admit(self: &Arc<Self>, ask: &Ask<'_>) -> Result<Permit, Refused> {
        let short = match self.waiting.ahead(ask) {
            // Who comes now does not pass by those that wait for the same.
            Some(place) => return self.wait(ask, place).await,
            None => match self.ledger.reserve(&ask.claims).await {
                Ok(held) => return Ok(Permit::new(self.clone(), held)),
                Err(Refused::Short(short)) => short,
                Err(Refused::Lost) => return Err(Refused::Lost),
            },
        };
        let patience = self.patience(ask, &short);
        if patience.is_zero() || short.soonest.is_none_or(|soonest| soonest > patience) {
            return Err(Refused::Short(short));
        }
        let claim = &ask.claims[short.claim];
        self.wait(ask, (claim.limit, short.measure, short.subject)).await
    }

    /// As [`Limits::admit`], but now or not at all.
    ///
    /// # Errors
    /// The limit that has no room.
    pub async fn admit_now(self: &Arc<Self>, ask: &Ask<'_>) -> Result<Permit, Refused> {
        let held = self.ledger.reserve(&ask.claims).await?;
        Ok(Permit::new(self.clone(), held))
    }

    /// Whether somebody waits for what `ask` asks, who is not to be passed by.
    pub fn is_waited_for(&self, ask: &Ask<'_>) -> bool {
        self.waiting.ahead(ask).is_some()
    }

    /// A permit that holds nothing.
    pub fn nothing(self: &Arc<Self>) -> Permit {
        Permit::new(self.clone(), Vec::new())
    }

    /// How long a request may wait at the limit that has no room for it.
    fn patience(&self, ask: &Ask, short: &Short) -> Duration {
        let limit = ask.claims.get(short.claim).map(|claim| claim.limit);
        let rules = self.rules.load();
        limit.and_then(|limit| rules.get(&limit)).map_or(Duration::ZERO, |limit| limit.wait)
    }

    /// Settles one part of a hold, and lets through who waited for it.
    fn settle(self: &Arc<Self>, held: &[Held], part: Part, used: &ledger::Amounts) {
        if held.is_empty() {
            return;
        }
        if self.ledger.settle(held, part, used) {
            self.freed(held, part);
        }
    }

    /// How the counts of a hold stand.
    pub fn standings(&self, held: &[Held]) -> Vec<Standing> {
        self.ledger.standings(held)
    }

    /// How every count stands, of the limit called `name` or of all.
    pub async fn all(&self, name: Option<&str>) -> Overview {
        self.ledger.all(name).await
    }

    /// The most used budget of each limit, as a share of 1.
    pub fn budgets(&self) -> Vec<(Arc<str>, f64)> {
        self.ledger.budgets()
    }

    /// Forgets what was used of a limit, by all subjects or those of one tenant, and lets through who
    /// waited for that. How many counts that were; `None` where no limit has this name.
    ///
    /// # Errors
    /// Counts cannot be asked now.
    pub async fn reset(self: &Arc<Self>, name: &str, tenant: Option<&str>) -> Result<Option<usize>, Lost> {
        let count = self.ledger.reset(name, tenant).await;
        self.look_again();
        count
    }

    /// The process ends in order: what is counted is written down, where it is kept. Blocks until then.
    pub fn close(&self) {
        self.ledger.close();
    }

    /// How counts are shared with other sidecars, where they are.
    pub fn sharing(&self) -> Option<Sharing> {
        self.ledger.sharing()
    }

    /// Requests that wait to be let through.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
