//! A finished answer and what is known of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::stored::{Marks, Stored};
use crate::request::key::CacheKey;
use crate::response::packed::{Packer, Unpacker};
use crate::response::price::Cost;
use crate::response::recording::{Form, Frame, ResponseHead};
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
    /// What else it may be purged by.
    pub tags: Box<[Box<str>]>,
    /// When it was stored.
    pub stored: Instant,
    /// How long it is fresh.
    pub ttl: Duration,
    /// The latest purge known when its call began (see [`super::purges`]).
    pub generation: u64,
    /// Whether the other form says the same; found out when first asked for.
    pub proof: OnceLock<bool>,
}

/// Bytes of an entry beside its body and headers' text: the header map's slots above all. From the
/// growth of the process over stored answers of 1 KB.
const OVERHEAD: u64 = 2048;

impl Entry {
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

impl Stored for Entry {
    fn key(&self) -> CacheKey {
        self.key
    }

    fn weight(&self) -> u64 {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + size_of::<Box<str>>()).sum();
        (self.body.len() + headers + tags) as u64 + OVERHEAD
    }

    fn since(&self) -> Instant {
        self.stored
    }

    fn ttl(&self) -> Duration {
        self.ttl
    }

    fn marks(&self) -> Marks<'_> {
        Marks {
            tenant: &self.tenant,
            model: self.model.as_deref(),
            tags: &self.tags,
            generation: self.generation,
        }
    }

    fn compresses(&self) -> bool {
        true
    }

    fn pack(&self, out: &mut Packer) {
        out.duration(self.ttl);
        out.number(self.generation);
        out.head(self.status, self.form, &self.headers, &self.provider);
        out.usage(self.usage.as_ref());
        out.cost(self.cost);
        out.name(self.model.as_deref());
        out.text(self.tenant.as_bytes());
        out.names(&self.tags);
        out.text(&self.body);
    }

    fn unpack(key: CacheKey, stored: Instant, from: &mut Unpacker) -> Option<Self> {
        let (ttl, generation) = (from.duration()?, from.number()?);
        let ResponseHead { status, headers, form, provider, .. } = from.head()?;
        Some(Self {
            key,
            status,
            headers,
            form,
            usage: from.usage()?,
            cost: from.cost()?,
            model: from.name()?,
            provider,
            tenant: from.string()?,
            tags: from.names()?,
            body: from.text()?,
            stored,
            ttl,
            generation,
            proof: OnceLock::new(),
        })
    }
}
