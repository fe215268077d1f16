//! A reply becomes a recording: frame by frame, each event looked at once.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::Gateway;
use super::fly::{Flight, Told};
use crate::error::ApiError;
use crate::exchange::Flown;
use crate::io::upstream::{Reply, ReplyBody, UpstreamError};
use crate::response::headers::{JSON, repeatable};
use crate::response::recording::{Completed, Ending, Form, Frame, Recorder, ResponseHead};
use crate::response::shape::{End, Progress, ProviderError, Signal, inspect};
use crate::response::view::pieces;
use crate::sse::{Decoder, Event, Item, Tail};

/// The longest event relayed, in bytes: images come as base64 in one event.
const LONGEST_EVENT: usize = 64 << 20;

/// What a reply came to.
pub(super) struct Recorded {
    /// How the recording ends.
    pub(super) ending: Ending,
    /// A body whose last event has come but not its end.
    pub(super) rest: Option<Box<dyn ReplyBody>>,
    /// The headers to store a stream with that proved to be complete.
    pub(super) storable: Option<HeaderMap>,
}

impl From<ApiError> for Recorded {
    fn from(error: ApiError) -> Self {
        Self { ending: Ending::Failed(error), rest: None, storable: None }
    }
}

impl From<Completed> for Recorded {
    fn from(done: Completed) -> Self {
        Self { ending: Ending::Complete(done), rest: None, storable: None }
    }
}

impl Gateway {
    /// Makes the call of `flight` and records its reply to the end.
    pub(super) async fn record(&self, flight: &Flight, recorder: &Recorder, flown: &mut Flown) -> Recorded {
        let reply = match self.io.upstream.call(&flight.call).await {
            Ok(reply) => reply,
            Err(error) => return flown.failed(&error).into(),
        };
        flown.status = Some(reply.head.status);
        let is = |name, wanted: &str| {
            reply
                .head
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|value| value.starts_with(wanted))
        };
        let coded = reply.head.headers.contains_key(header::CONTENT_ENCODING)
            && !is(header::CONTENT_ENCODING, "identity");
        if reply.head.status.is_success() && is(header::CONTENT_TYPE, "text/event-stream") && !coded {
            self.record_events(flight, reply, recorder, flown).await
        } else {
            self.record_whole(flight, reply, recorder, flown, coded).await
        }
    }

    /// Records a body as it is. Whole and good, it is stored before its last reader hears of the end.
    async fn record_whole(
        &self,
        flight: &Flight,
        reply: Reply,
        recorder: &Recorder,
        flown: &mut Flown,
        coded: bool,
    ) -> Recorded {
        let Reply { head, mut body } = reply;
        let status = head.status;
        let kept = repeatable(&head.headers);
        recorder.head(ResponseHead {
            status,
            headers: head.headers,
            form: Form::Whole,
            upstream: flown.started.elapsed(),
        });
        loop {
            match body.next().await {
                Ok(Some(piece)) => recorder.push(Frame::Piece(piece)).await,
                Ok(None) => break,
                Err(error) => return flown.failed(&error).into(),
            }
        }
        let mut done = Completed { upstream: flown.started.elapsed(), ..Completed::default() };
        if !status.is_success() || coded {
            flown.result = if status.is_success() { "ok" } else { "refused" };
            return done.into();
        }
        let Some(frames) = recorder.recording().frames() else { return done.into() };
        let body = pieces(&frames);
        let found = inspect(flight.shape, &body);
        flown.result = if found.error.is_some() { "error_in_answer" } else { "ok" };
        done.usage = found.usage;
        done.model = found.model.map(String::into_boxed_str);
        done.cost = self.price(flight, done.model.as_deref(), done.usage);
        if found.storable.is_ok() && status == StatusCode::OK {
            let told = Told { usage: done.usage, cost: done.cost, model: done.model.as_deref() };
            done.stored = self.store(flight, kept, Form::Whole, &body, told);
        }
        done.into()
    }

    /// Records events as they come. The head is held back until the first event shows that there
    /// is an answer: until then a failure can still be a proper status.
    async fn record_events(
        &self,
        flight: &Flight,
        reply: Reply,
        recorder: &Recorder,
        flown: &mut Flown,
    ) -> Recorded {
        let Reply { head, mut body } = reply;
        let provider = &*flight.account.name;
        let mut stream = EventStream {
            decoder: Decoder::new(LONGEST_EVENT),
            progress: Progress::new(flight.shape).expecting(flight.choices),
        };
        let (mut rest, mut storable) = (None, Some(repeatable(&head.headers)));
        let mut head = Some(ResponseHead {
            status: head.status,
            headers: head.headers,
            form: Form::Events,
            upstream: Duration::ZERO,
        });
        loop {
            let step = match stream.next(&mut *body).await {
                Ok(step) => step,
                Err(EventFault::Upstream(error)) => return flown.failed(&error).into(),
                Err(EventFault::Broken(what)) => {
                    flown.result = "broken";
                    return ApiError::broken_answer(provider, what).into();
                }
            };
            let (frame, signal) = match step {
                Step::Comment if head.is_some() => continue,
                Step::Comment => (Frame::KeepAlive, Signal::Content),
                Step::Event(event, Signal::Error(error)) => {
                    flown.result = "error_in_answer";
                    return told(&event, head.take(), &error, recorder, flown).await;
                }
                Step::Event(event, signal) => (Frame::Event(event), signal),
                Step::End => break,
            };
            if let Some(mut head) = head.take() {
                head.upstream = flown.started.elapsed();
                recorder.head(head);
            }
            let done = matches!(&frame, Frame::Event(event) if event.is_done());
            recorder.push(frame).await;
            if done || matches!(signal, Signal::Terminal) {
                rest = Some(body);
                break;
            }
        }
        if head.is_some() {
            flown.result = "broken";
            return ApiError::broken_answer(provider, "the stream was empty").into();
        }
        flown.usage = stream.progress.usage();
        flown.answered = stream.progress.model().map(Box::from);
        flown.cost = self.price(flight, flown.answered.as_deref(), flown.usage);
        match stream.progress.end() {
            End::Complete => {}
            End::Unstorable(_) => storable = None,
            End::Open | End::Failed => {
                flown.result = "broken";
                return ApiError::broken_answer(provider, "the stream ended before the answer did").into();
            }
        }
        flown.result = "ok";
        let done = Completed {
            stored: false,
            upstream: flown.started.elapsed(),
            usage: flown.usage,
            model: flown.answered.clone(),
            cost: flown.cost,
        };
        Recorded { ending: Ending::Complete(done), rest, storable }
    }
}

/// The provider said inside a 200 that it failed. Before anything was sent that becomes a proper
/// status; after, its own event is the last.
async fn told(
    event: &Event,
    head: Option<ResponseHead>,
    error: &ProviderError,
    recorder: &Recorder,
    flown: &Flown,
) -> Recorded {
    let Some(mut head) = head else {
        recorder.push(Frame::Event(event.clone())).await;
        let ending = Ending::Told(ApiError::broken_answer(&flown.provider, &error.message));
        return Recorded { ending, rest: None, storable: None };
    };
    head.status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY);
    head.form = Form::Whole;
    head.upstream = flown.started.elapsed();
    head.headers.insert(header::CONTENT_TYPE, JSON);
    recorder.head(head);
    recorder.push(Frame::Piece(bytes::Bytes::copy_from_slice(event.data()))).await;
    Completed { upstream: flown.started.elapsed(), ..Completed::default() }.into()
}

/// The events of a reply, each with what it means for the answer.
struct EventStream {
    decoder: Decoder,
    progress: Progress,
}

enum Step {
    Event(Event, Signal),
    Comment,
    End,
}

enum EventFault {
    Upstream(UpstreamError),
    Broken(&'static str),
}

impl EventStream {
    async fn next(&mut self, body: &mut dyn ReplyBody) -> Result<Step, EventFault> {
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
