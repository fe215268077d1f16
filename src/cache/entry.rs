//! A finished answer and what is known of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::request::key::CacheKey;
use crate::request::plan::CachePlan;
use crate::response::price::Cost;
use crate::response::recording::{Form, Frame};
use crate::response::shape::{self, Unfoldable, round_trips};
use crate::response::usage::Usage;
use crate::response::view::{View, events};
use crate::sse::{Decoder, Item};

/// A stored answer, in the form it came in.
#[derive(Debug)]
pub struct Entry {
    /// What it answers: finds it and proves it.
    pub key: CacheKey,
    /// Its status.
    pub status: StatusCode,
    /// The headers it is replayed with, all that do not change from one replay to the next.
    pub headers: HeaderMap,
    /// How `body` is framed.
    pub form: Form,
    /// A JSON body, or events one after the other with their usage frame.
    pub body: Bytes,
    /// What fetching it consumed.
    pub usage: Option<Usage>,
    /// What that cost, where the model's price was known.
    pub cost: Option<Cost>,
    /// The model asked for.
    pub model: Option<Box<str>>,
    /// Who answered.
    pub provider: Arc<str>,
    /// For whom it was fetched.
    pub tenant: Box<str>,
    /// What it may be purged by.
    pub tag: Option<Box<str>>,
    /// When it was stored.
    pub stored: Instant,
    /// How long it is fresh.
    pub ttl: Duration,
    /// The latest purge known when its call began (see [`super::purges`]).
    pub generation: u64,
    /// Whether the other form says the same; found out when first asked for.
    pub proof: OnceLock<bool>,
}

/// What an entry is worth to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it, and fetch a new one.
    Revalidate,
    /// Keep it at hand in case the provider fails.
    IfError,
    /// Not for this request.
    Unusable,
}

/// Bytes of an entry beside its body and headers' text: the header map's slots above all. From the
/// growth of the process over stored answers of 1 KB.
const OVERHEAD: u64 = 2048;

impl Entry {
    /// Bytes in memory.
    pub fn weight(&self) -> u64 {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        (self.body.len() + headers) as u64 + OVERHEAD
    }

    /// How long ago it was stored.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.stored)
    }

    /// Seconds it stays fresh; negative once it is stale.
    pub fn seconds_left(&self, now: Instant) -> i64 {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        seconds(self.ttl).saturating_sub(seconds(self.age(now)))
    }

    /// Whether it is past its lifetime, if only by a moment that whole seconds do not show.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.age(now) > self.ttl
    }

    /// What it is worth to a request with this plan (RFC 9111 section 5.2.1, RFC 5861).
    pub fn freshness(&self, plan: &CachePlan, now: Instant) -> Freshness {
        let age = self.age(now);
        let lifetime = self.ttl.saturating_sub(plan.min_fresh);
        let past = age.saturating_sub(lifetime);
        let young = plan.max_age.is_none_or(|most| age <= most.saturating_add(plan.max_stale));
        let expired = age > lifetime;
        let acceptable = plan.max_age.map_or(self.ttl, |most| most.min(self.ttl));
        if young && (!expired || past <= plan.max_stale) {
            Freshness::Fresh
        } else if young && plan.min_fresh.is_zero() && past <= plan.while_revalidate {
            Freshness::Revalidate
        } else if !plan.if_error.is_zero() && age.saturating_sub(acceptable) <= plan.if_error {
            Freshness::IfError
        } else {
            Freshness::Unusable
        }
    }

    /// The whole answer as `view` asks for it.
    ///
    /// # Errors
    /// The answer cannot be said in that form without losing something: for this reader there is
    /// no stored answer.
    pub fn body(&self, view: View) -> Result<Bytes, Unfoldable> {
        let own_form = view.stream == (self.form == Form::Events);
        if own_form && (view.usage || self.form == Form::Whole) {
            return Ok(self.body.clone());
        }
        let frames = self.frames();
        if !own_form && !*self.proof.get_or_init(|| self.round_trips(view, &frames)) {
            return Err(Unfoldable("the other form would not say the same"));
        }
        view.whole(self.form, &frames)
    }

    /// An answer is shown in its other form only where that form leads back to it.
    fn round_trips(&self, view: View, frames: &[Frame]) -> bool {
        match self.form {
            Form::Whole => round_trips(view.shape, shape::Form::Body(&self.body)),
            Form::Events => round_trips(view.shape, shape::Form::Events(&events(frames))),
        }
    }

    /// The answer as it was recorded.
    pub fn frames(&self) -> Vec<Frame> {
        if self.form == Form::Whole {
            return vec![Frame::Piece(self.body.clone())];
        }
        let mut decoder = Decoder::new(self.body.len());
        decoder.push(self.body.clone());
        let mut frames = Vec::new();
        while let Ok(Some(item)) = decoder.next_item() {
            if let Item::Event(event) = item {
                frames.push(Frame::Event(event));
            }
        }
        frames
    }
}
