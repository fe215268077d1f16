//! The events of a reply, each with what it means for the answer.

use crate::io::upstream::{ReplyBody, UpstreamError};
use crate::response::shape::{Progress, Shape, Signal};
use crate::sse::{Decoder, Event, Item, Tail};

/// The longest event relayed, in bytes: images come as base64 in one event.
const LONGEST_EVENT: usize = 64 << 20;

/// The events of a reply under way.
pub(super) struct EventStream {
    decoder: Decoder,
    pub(super) progress: Progress,
}

/// What comes next.
pub(super) enum Step {
    Event(Event, Signal),
    Comment,
    End,
}

/// Why nothing comes.
pub(super) enum EventFault {
    Upstream(UpstreamError),
    Broken(&'static str),
}

impl EventStream {
    /// The events of an answer of this shape with so many choices.
    pub(super) fn new(shape: Shape, choices: usize) -> Self {
        Self { decoder: Decoder::new(LONGEST_EVENT), progress: Progress::new(shape).expecting(choices) }
    }

    /// The events that follow those which `progress` has seen.
    pub(super) fn following(progress: Progress) -> Self {
        Self { decoder: Decoder::new(LONGEST_EVENT), progress }
    }

    pub(super) async fn next(&mut self, body: &mut dyn ReplyBody) -> Result<Step, EventFault> {
        loop {
            match self.decoder.next_item() {
                Err(_) => return Err(EventFault::Broken("an event was too long")),
                Ok(Some(Item::Comment(_))) => return Ok(Step::Comment),
                Ok(Some(Item::Event(event))) => return self.read(event),
                Ok(None) => {}
            }
            match body.next().await.map_err(EventFault::Upstream)? {
                Some(chunk) => self.decoder.push(chunk),
                None => break,
            }
        }
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new(LONGEST_EVENT));
        match decoder.finish() {
            None => Ok(Step::End),
            Some(Tail::Event(event)) => self.read(event),
            Some(Tail::Truncated(_)) => Err(EventFault::Broken("the stream was cut inside an event")),
        }
    }

    fn read(&mut self, event: Event) -> Result<Step, EventFault> {
        match self.progress.observe(&event) {
            Signal::Malformed => Err(EventFault::Broken("an event was not what the API promises")),
            signal => Ok(Step::Event(event, signal)),
        }
    }
}
