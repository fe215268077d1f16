//! What of a request's inputs is stored: in memory, in the tiers below it, or too old and only at hand
//! in case the provider fails.

use std::sync::Arc;

use tokio::time::Instant;

use super::seats::Source;
use crate::cache::stored::{Freshness, Stored};
use crate::cache::{Found, Tier};
use crate::config::Mode;
use crate::embedding::input::Input;
use crate::embedding::pending::{Interest, Pending, Seat};
use crate::embedding::stored::Vector;
use crate::gateway::Gateway;
use crate::gateway::decide::Decision;
use crate::request::ApiRequest;
use crate::request::key::CacheKey;
use crate::request::plan::CachePlan;

/// The inputs being looked for in the tiers below the memory: one look for all who miss the same.
pub type Looking = Arc<Pending<Option<Found<Vector>>>>;

/// What is known of a request's inputs, each of them once.
pub(super) struct Known {
    /// The vector of each, and how it came by it.
    pub(super) vectors: Vec<Option<(Arc<Vector>, Source)>>,
    /// Vectors that are too old, by place.
    spares: Vec<(usize, Arc<Vector>)>,
}

impl Known {
    /// Of so many inputs nothing is known yet.
    pub(super) fn nothing(inputs: usize) -> Self {
        Self { vectors: vec![None; inputs], spares: Vec::new() }
    }

    /// Whether every input has its vector.
    pub(super) fn is_whole(&self) -> bool {
        self.vectors.iter().all(Option::is_some)
    }

    /// Puts what is too old in place of what did not come. False where something is still missing.
    pub(super) fn make_do(&mut self) -> bool {
        for (at, vector) in self.spares.drain(..) {
            self.vectors[at].get_or_insert((vector, Source::Stored(Tier::Memory)));
        }
        self.is_whole()
    }

    fn take(&mut self, at: usize, found: Found<Vector>, plan: &CachePlan, now: Instant) {
        match found.entry.freshness(plan, now) {
            Freshness::Fresh => self.vectors[at] = Some((found.entry, Source::Stored(found.tier))),
            // Nothing is fetched behind the client's back: a stale vector is as right as a new one, so
            // the new one is for who waits for it.
            Freshness::Revalidate | Freshness::IfError => self.spares.push((at, found.entry)),
            Freshness::Unusable => {}
        }
    }
}

impl Gateway {
    /// What is stored of these inputs and may be given to this request.
    pub(super) async fn known(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        distinct: &[(CacheKey, &Input<'_>)],
    ) -> Known {
        let (plan, now) = (&decision.plan.cache, self.io.clock.now());
        let mut known = Known::nothing(distinct.len());
        if !plan.lookup {
            return known;
        }
        for (at, (key, _)) in distinct.iter().enumerate() {
            if let Some(found) = self.kept.vectors.find(key) {
                known.take(at, found, plan, now);
            }
        }
        if self.kept.vectors.has_lower() && !known.is_whole() {
            self.look_below(request, plan, distinct, &mut known).await;
        }
        known
    }

    /// Looks for what is missing in the tiers below the memory, all of it at once.
    async fn look_below(
        &self,
        request: &ApiRequest<'_>,
        plan: &CachePlan,
        distinct: &[(CacheKey, &Input<'_>)],
        known: &mut Known,
    ) {
        let (looking, credential) = (&self.kept.looking, request.credential());
        let missing = |known: &Known| (0..distinct.len()).filter(|at| known.vectors[*at].is_none()).collect();
        let mut left: Vec<usize> = missing(known);
        // Whoever looks may go away; then one of those who waited for it looks.
        while !left.is_empty() {
            let interest = Arc::new(Interest::default());
            let (mut own, mut keys, mut others) = (Vec::new(), Vec::new(), Vec::new());
            for at in left.drain(..) {
                let key = distinct[at].0;
                let landed = || self.fresh_vector(&key, plan);
                match looking.join(key, credential, &interest, usize::MAX, landed) {
                    Seat::Owner(duty, ticket) => {
                        keys.push(key);
                        own.push((at, duty, ticket));
                    }
                    Seat::Shared(ticket) => others.push((at, ticket)),
                    Seat::Landed(vector) => {
                        known.vectors[at] = Some((vector, Source::Stored(Tier::Memory)));
                    }
                }
            }
            let now = self.io.clock.now();
            for ((at, duty, _ticket), found) in own.into_iter().zip(self.kept.vectors.fetch_many(&keys).await)
            {
                duty.land(found.clone());
                if let Some(found) = found {
                    known.take(at, found, plan, now);
                }
            }
            for (at, ticket) in others {
                match ticket.wait().await {
                    Some(Some(found)) => known.take(at, found, plan, now),
                    Some(None) => {}
                    None => left.push(at),
                }
            }
        }
    }

    /// The vector under a key in memory, if a request with this plan may have it.
    pub(in crate::gateway) fn fresh_vector(&self, key: &CacheKey, plan: &CachePlan) -> Option<Arc<Vector>> {
        let vector = self.kept.vectors.find(key).filter(|_| plan.lookup && plan.mode == Mode::Act)?.entry;
        (vector.freshness(plan, self.io.clock.now()) == Freshness::Fresh).then_some(vector)
    }
}
