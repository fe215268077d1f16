//! A reply of a target that speaks another API, told in the client's words as it comes.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use crate::dialect::Translator;
use crate::io::upstream::{Fault, Reply, ReplyBody, ReplyHead, UpstreamError};
use crate::response::usage::Usage;
use crate::sse::{Decoder, Event, Item, Tail};

/// The longest event translated, in bytes.
const LONGEST_EVENT: usize = 64 << 20;
/// The longest body translated, in bytes.
const LONGEST_BODY: usize = 64 << 20;
/// What a client sees of a provider that only keeps its connection awake.
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// A reply in the client's words.
pub(in crate::gateway) struct Heard {
    pub(in crate::gateway) reply: Reply,
    pub(in crate::gateway) report: Report,
}

impl Heard {
    /// A stream that is translated as it is read.
    pub(super) fn streamed(head: ReplyHead, body: Box<dyn ReplyBody>, translator: Translator) -> Self {
        let decoder = Decoder::new(LONGEST_EVENT);
        let reported = Arc::new(Mutex::new(Reported::default()));
        let report = Report(Some(reported.clone()));
        let told = Told { body, decoder, translator, reported, ready: VecDeque::new(), ended: false };
        Self { reply: Reply { head, body: Box::new(told) }, report }
    }

    /// A body that was translated as a whole.
    pub(super) fn whole(head: ReplyHead, body: Bytes, translator: &Translator) -> Self {
        let report = Report(Some(Arc::new(Mutex::new(Reported::by(translator)))));
        Self { reply: Reply { head, body: Box::new(Whole(Some(body))) }, report }
    }
}

impl From<Reply> for Heard {
    fn from(reply: Reply) -> Self {
        Self { reply, report: Report::default() }
    }
}

/// What a provider has said so far of a reply under translation that the client's API may have no words for.
#[derive(Default)]
pub(in crate::gateway) struct Report(Option<Arc<Mutex<Reported>>>);

/// What was reported.
#[derive(Clone, Copy, Default)]
struct Reported {
    /// OpenAI's usage does not tell what is written to a cache for an hour from what is for five minutes.
    usage: Option<Usage>,
    paused: bool,
}

impl Reported {
    fn by(translator: &Translator) -> Self {
        Self { usage: translator.tokens().map(|tokens| tokens.usage), paused: translator.paused() }
    }
}

impl Report {
    fn reported(&self) -> Reported {
        self.0.as_ref().map(|reported| *reported.lock()).unwrap_or_default()
    }

    /// The tokens; `None` where nothing is translated, or nothing was reported.
    pub(in crate::gateway) fn usage(&self) -> Option<Usage> {
        self.reported().usage
    }

    /// Whether the provider paused, though the answer is told as whole.
    pub(in crate::gateway) fn paused(&self) -> bool {
        self.reported().paused
    }
}

/// The reply is not what the provider's API promises.
pub(super) fn broken(what: &'static str) -> UpstreamError {
    UpstreamError::new(Fault::Protocol, what)
}

/// A body, read to its end.
pub(super) async fn gathered(body: &mut dyn ReplyBody) -> Result<Bytes, UpstreamError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await? {
        if whole.len() + piece.len() > LONGEST_BODY {
            return Err(broken("the answer is too long to be translated"));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// A body that was translated as a whole.
struct Whole(Option<Bytes>);

#[async_trait]
impl ReplyBody for Whole {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        Ok(self.0.take())
    }
}

/// A stream that is translated as it is read.
struct Told {
    body: Box<dyn ReplyBody>,
    decoder: Decoder,
    translator: Translator,
    reported: Arc<Mutex<Reported>>,
    ready: VecDeque<Bytes>,
    ended: bool,
}

#[async_trait]
impl ReplyBody for Told {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.next().await? {
                Some(chunk) => {
                    self.decoder.push(chunk);
                    self.translate()?;
                }
                None => self.end()?,
            }
        }
    }
}

impl Told {
    /// Translates all whole events that have come. What only keeps the connection awake (comments,
    /// Anthropic's pings) does so for the client's.
    fn translate(&mut self) -> Result<(), UpstreamError> {
        let mut awake = false;
        loop {
            match self.decoder.next_item() {
                Err(_) => return Err(broken("an event was too long")),
                Ok(None) => break,
                Ok(Some(Item::Comment(_))) => awake = true,
                Ok(Some(Item::Event(event))) => {
                    awake |= event.name() == Some(b"ping");
                    self.tell(&event)?;
                }
            }
        }
        if awake && self.ready.is_empty() {
            self.ready.push_back(KEEP_ALIVE);
        }
        Ok(())
    }

    fn tell(&mut self, event: &Event) -> Result<(), UpstreamError> {
        let told = self
            .translator
            .event(event)
            .map_err(|why| UpstreamError::new(Fault::Protocol, why.to_string()))?;
        self.ready.extend(told.iter().map(|event| event.bytes().clone()));
        *self.reported.lock() = Reported::by(&self.translator);
        Ok(())
    }

    fn end(&mut self) -> Result<(), UpstreamError> {
        self.ended = true;
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new(LONGEST_EVENT));
        match decoder.finish() {
            Some(Tail::Truncated(_)) => {
                return Err(UpstreamError::new(Fault::Cut, "the stream was cut inside an event"));
            }
            Some(Tail::Event(event)) => self.tell(&event)?,
            None => {}
        }
        let told = self.translator.end();
        self.ready.extend(told.iter().map(|event| event.bytes().clone()));
        Ok(())
    }
}
