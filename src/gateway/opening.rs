//! The first part of an attempt: from its sending until its answer has proved to be one. Until then
//! nothing has been shown to anybody, and another target may be asked.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::Gateway;
use super::attempt::Attempt;
use super::events::{EventFault, EventStream, Step};
use super::fly::Flight;
use super::leg::Leg;
use super::translate::{Heard, Report};
use crate::error::ApiError;
use crate::io::upstream::{Reply, ReplyBody, ReplyHead, UpstreamError};
use crate::response::headers::JSON;
use crate::response::recording::Form;
use crate::response::shape::{Inspection, ProviderError, Signal, inspect};
use crate::route::verdict::Verdict;
use crate::sse::Event;

/// The most of a JSON answer that is held back to see whether it is one, where another attempt could
/// follow. The gateway waits for the end of so small an answer in any case.
pub(super) const HELD_BACK: usize = 256 * 1024;

/// An answer that has begun.
pub(super) struct Opened {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// From the sending of the call to what was read of the body.
    pub(super) upstream: Duration,
    pub(super) begun: Begun,
    /// What was reported of it before it was translated.
    pub(super) report: Report,
}

/// How far its body has come.
pub(super) enum Begun {
    /// Events: the first of them, and the rest to come.
    Events { stream: Box<EventStream>, body: Box<dyn ReplyBody>, first: Event, signal: Signal },
    /// A body in pieces, compressed or not: those held back, and the rest to come.
    Whole { coded: bool, held: Vec<Bytes>, body: Box<dyn ReplyBody> },
    /// All of a body that was held back, and what it is where it was looked at.
    Held { body: Bytes, found: Option<Inspection> },
}

/// An attempt that came to nothing.
pub(super) struct Failure {
    /// What that means.
    pub(super) verdict: Verdict,
    /// What the client is told where nobody else is asked.
    pub(super) shown: Shown,
}

/// What a client is told of a failure.
pub(super) enum Shown {
    /// An error of ours.
    Ours(ApiError),
    /// The provider's own.
    Theirs(Box<Opened>),
}

impl Gateway {
    /// Makes the call of `leg` and waits until its answer has begun. With `judged`, what is wrong with
    /// it is found out as far as that can be done before its first byte is shown.
    pub(super) async fn open(
        &self,
        flight: &Flight,
        leg: &Leg,
        judged: bool,
        attempt: &mut Attempt<'_>,
    ) -> Result<Opened, Failure> {
        let (opened, report) = match self.called(leg, attempt).await {
            Ok(Heard { reply, report }) => (self.opened(flight, leg, judged, reply, attempt).await, report),
            Err(failure) => (Err(failure), Report::default()),
        };
        let opened = opened.map(|opened| Opened { report, ..opened });
        match &opened {
            Ok(_) => attempt.answered(),
            Err(failure) => attempt.failed(&failure.verdict),
        }
        opened
    }

    /// The reply to the call, in the client's words.
    async fn called(&self, leg: &Leg, attempt: &mut Attempt<'_>) -> Result<Heard, Failure> {
        let reply = match self.io.upstream.call(&leg.call).await {
            Ok(reply) => reply,
            Err(error) => {
                if error.fault.is_timeout() {
                    self.note_first_byte(leg, attempt);
                }
                return Err(fault(attempt, &error));
            }
        };
        attempt.flown.status = Some(reply.head.status);
        attempt.learned(&reply.head.headers);
        leg.heard(reply, &self.io).await.map_err(|error| fault(attempt, &error))
    }

    async fn opened(
        &self,
        flight: &Flight,
        leg: &Leg,
        judged: bool,
        reply: Reply,
        attempt: &mut Attempt<'_>,
    ) -> Result<Opened, Failure> {
        let success = reply.head.status.is_success();
        let is = |name, wanted: &str| {
            let value = reply.head.headers.get(name).and_then(|value| value.to_str().ok());
            value.is_some_and(|value| value.starts_with(wanted))
        };
        let coded = reply.head.headers.contains_key(header::CONTENT_ENCODING)
            && !is(header::CONTENT_ENCODING, "identity");
        if success && is(header::CONTENT_TYPE, "text/event-stream") && !coded {
            return self.open_events(flight, leg, reply, attempt).await;
        }
        if success && leg.resumption.is_some() {
            return Err(broken(attempt, "the rest of a stream was none"));
        }
        if success {
            self.note_first_byte(leg, attempt);
        }
        if !judged {
            let Reply { head, body } = reply;
            return Ok(opened(head, attempt, Begun::Whole { coded, held: Vec::new(), body }));
        }
        self.hold(flight, leg, reply, coded, attempt).await
    }

    fn note_first_byte(&self, leg: &Leg, attempt: &Attempt) {
        leg.target().observe(attempt.flown.started.elapsed(), self.io.clock.now());
    }

    /// Waits for the first event: it shows that there is an answer. Until then a failure can still be
    /// a proper status.
    async fn open_events(
        &self,
        flight: &Flight,
        leg: &Leg,
        reply: Reply,
        attempt: &mut Attempt<'_>,
    ) -> Result<Opened, Failure> {
        let Reply { head, mut body } = reply;
        let mut stream = match &leg.resumption {
            Some(resumption) => resumption.stream(),
            None => EventStream::new(flight.shape, flight.choices),
        };
        loop {
            match stream.next(&mut *body).await {
                Ok(Step::Comment) => {}
                Ok(Step::Event(event, Signal::Error(error))) => {
                    return Err(told(leg, head, &event, &error, attempt));
                }
                Ok(Step::Event(first, signal)) => {
                    self.note_first_byte(leg, attempt);
                    let stream = Box::new(stream);
                    return Ok(opened(head, attempt, Begun::Events { stream, body, first, signal }));
                }
                Ok(Step::End) => return Err(broken(attempt, "the stream was empty")),
                Err(EventFault::Upstream(error)) => return Err(fault(attempt, &error)),
                Err(EventFault::Broken(what)) => return Err(broken(attempt, what)),
            }
        }
    }

    /// Holds a body back until its end, or until it is too large for that, and judges it.
    async fn hold(
        &self,
        flight: &Flight,
        leg: &Leg,
        reply: Reply,
        coded: bool,
        attempt: &mut Attempt<'_>,
    ) -> Result<Opened, Failure> {
        let Reply { head, mut body } = reply;
        let (mut held, mut size) = (Vec::new(), 0);
        loop {
            match body.next().await {
                Ok(Some(piece)) => {
                    size += piece.len();
                    held.push(piece);
                }
                Ok(None) => break,
                Err(error) => return Err(fault(attempt, &error)),
            }
            if size > HELD_BACK {
                return Ok(opened(head, attempt, Begun::Whole { coded, held, body }));
            }
        }
        let body = joined(held);
        let owned = leg.target().account.key(leg.asking.key).is_some();
        if !head.status.is_success() {
            let now = self.io.clock.wall();
            let verdict = Verdict::of_refusal(head.status.as_u16(), &head.headers, &body, owned, now);
            attempt.flown.result = "refused";
            let shown = opened(head, attempt, Begun::Held { body, found: None });
            return Err(Failure { verdict, shown: Shown::Theirs(Box::new(shown)) });
        }
        if coded {
            return Ok(opened(head, attempt, Begun::Held { body, found: None }));
        }
        if body.is_empty() && head.status == StatusCode::OK {
            return Err(broken(attempt, "the answer was empty"));
        }
        let found = inspect(flight.shape, &body);
        let verdict = found.error.as_ref().map(|error| Verdict::of_told(error, &body, owned));
        let shown = opened(head, attempt, Begun::Held { body, found: Some(found) });
        match verdict {
            Some(verdict) => {
                attempt.flown.result = "error_in_answer";
                Err(Failure { verdict, shown: Shown::Theirs(Box::new(shown)) })
            }
            None => Ok(shown),
        }
    }
}

fn opened(head: ReplyHead, attempt: &Attempt, begun: Begun) -> Opened {
    let upstream = attempt.flown.started.elapsed();
    Opened { status: head.status, headers: head.headers, upstream, begun, report: Report::default() }
}

/// All pieces in one; one piece is not copied.
fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        0 | 1 => pieces.pop().unwrap_or_default(),
        _ => pieces.concat().into(),
    }
}

fn fault(attempt: &mut Attempt, error: &UpstreamError) -> Failure {
    let shown = Shown::Ours(attempt.flown.failed(error));
    Failure { verdict: Verdict::of_fault(error.fault), shown }
}

fn broken(attempt: &mut Attempt, what: &str) -> Failure {
    attempt.flown.result = "broken";
    let shown = Shown::Ours(ApiError::broken_answer(&attempt.flown.provider, what));
    Failure { verdict: Verdict::of_broken(), shown }
}

/// The provider said inside a 200 that it failed. Before anything was sent that becomes a proper
/// status.
fn told(
    leg: &Leg,
    mut head: ReplyHead,
    event: &Event,
    error: &ProviderError,
    attempt: &mut Attempt,
) -> Failure {
    attempt.flown.result = "error_in_answer";
    let owned = leg.target().account.key(leg.asking.key).is_some();
    let verdict = Verdict::of_told(error, event.data(), owned);
    head.status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY);
    head.headers.insert(header::CONTENT_TYPE, JSON);
    let body = Bytes::copy_from_slice(event.data());
    let shown = opened(head, attempt, Begun::Held { body, found: None });
    Failure { verdict, shown: Shown::Theirs(Box::new(shown)) }
}

impl Opened {
    /// How its body is framed.
    pub(super) fn form(&self) -> Form {
        if matches!(self.begun, Begun::Events { .. }) { Form::Events } else { Form::Whole }
    }
}
