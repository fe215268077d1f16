//! An answer that has begun becomes a recording: frame by frame, each event looked at once.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::Gateway;
use super::events::{EventFault, EventStream, Step};
use super::fly::Flight;
use super::hedge::Run;
use super::opening::{Begun, Opened};
use super::resume::Resumption;
use super::translate::Report;
use crate::error::ApiError;
use crate::exchange::Flown;
use crate::io::upstream::ReplyBody;
use crate::request::endpoint::Endpoint;
use crate::response::headers::repeatable;
use crate::response::recording::{Completed, Ending, Form, Frame, Recorder, ResponseHead};
use crate::response::shape::{End, Inspection, Progress, Signal, inspect};
use crate::response::view::pieces;
use crate::route::verdict::Verdict;
use crate::sse::Event;

/// What a reply came to.
pub(super) struct Recorded {
    /// How the recording ends.
    pub(super) ending: Ending,
    /// A body whose last event has come but not its end.
    pub(super) rest: Option<Box<dyn ReplyBody>>,
    /// What a stream is stored with that proved to be complete.
    pub(super) storable: Option<Storable>,
    /// It broke off in the middle of a stream, and what is known of that.
    pub(super) lost: Option<Box<Lost>>,
}

/// A stream that broke off.
pub(super) struct Lost {
    /// What that means.
    pub(super) verdict: Verdict,
    /// The provider's own word on it, which is not recorded yet.
    pub(super) told: Option<Event>,
}

impl Recorded {
    /// A stream that is not what its API promises.
    fn broken(flown: &mut Flown, what: &str) -> Self {
        flown.result = "broken";
        Self::lost(ApiError::broken_answer(&flown.provider, what), Verdict::of_broken())
    }

    /// A stream that broke off.
    fn lost(error: ApiError, verdict: Verdict) -> Self {
        Self { lost: Some(Box::new(Lost { verdict, told: None })), ..error.into() }
    }
}

/// What an answer is stored with.
pub(super) struct Storable {
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Who gave it.
    pub(super) provider: Arc<str>,
    /// The model that was asked for it.
    pub(super) model: Option<Box<str>>,
    /// What is known of it.
    pub(super) done: Completed,
}

impl From<ApiError> for Recorded {
    fn from(error: ApiError) -> Self {
        Self { ending: Ending::Failed(error), rest: None, storable: None, lost: None }
    }
}

impl From<Completed> for Recorded {
    fn from(done: Completed) -> Self {
        Self { ending: Ending::Complete(done), rest: None, storable: None, lost: None }
    }
}

impl Storable {
    fn of(headers: &HeaderMap, flown: &Flown) -> Self {
        let (provider, model) = (flown.provider.clone(), flown.model.clone());
        Self { headers: repeatable(headers), provider, model, done: Completed::default() }
    }
}

impl Gateway {
    /// Records an answer to its end. `attempts` is how many were made for it.
    pub(super) async fn record(
        &self,
        flight: &Flight,
        opened: Opened,
        attempts: u32,
        recorder: &Recorder,
        run: &mut Run<'_>,
    ) -> Recorded {
        run.attempt.tell_limits();
        let (form, flown, resumption) =
            (opened.form(), &mut run.attempt.flown, run.leg.resumption.as_deref());
        let Opened { status, headers, upstream, begun, report } = opened;
        let storable = Storable::of(&headers, flown);
        let provider = flown.provider.clone();
        match resumption {
            None => recorder.head(ResponseHead { status, headers, form, upstream, provider, attempts }),
            Some(_) => {
                self.kept.telemetry.metrics.resumed.with_label_values(&[&*provider]).inc();
                recorder.push(Resumption::note(&provider)).await;
            }
        }
        match begun {
            Begun::Events { stream, body, first, signal } => {
                self.note_ids(flight, first.data(), flown);
                let opened = OpenedEvents { stream, body, first, signal, report };
                self.record_events(flight, opened, storable, recorder, flown, resumption).await
            }
            Begun::Whole { coded, held, mut body } => {
                for piece in held {
                    recorder.push(Frame::Piece(piece)).await;
                }
                loop {
                    match body.next().await {
                        Ok(Some(piece)) => recorder.push(Frame::Piece(piece)).await,
                        Ok(None) => break,
                        Err(error) => return flown.failed(&error).into(),
                    }
                }
                let look = |recorder: &Recorder| recorder.recording().frames().map(|frames| pieces(&frames));
                if coded || !status.is_success() {
                    return opaque(status, flown).into();
                }
                // What has outgrown the recording was delivered, and that is all.
                let Some(body) = look(recorder) else { return opaque(status, flown).into() };
                let found = reported(inspect(flight.shape, &body), &report);
                self.complete(flight, status, &body, found, storable, flown).into()
            }
            Begun::Held { body, found } => {
                if !body.is_empty() {
                    recorder.push(Frame::Piece(body.clone())).await;
                }
                match found {
                    Some(found) => {
                        let found = reported(found, &report);
                        self.complete(flight, status, &body, found, storable, flown).into()
                    }
                    None => opaque(status, flown).into(),
                }
            }
        }
    }

    /// Remembers who made what an answer gives ids, where that matters.
    fn note_ids(&self, flight: &Flight, answer: &[u8], flown: &Flown) {
        if flight.endpoint == Endpoint::Responses && self.router.chooses() {
            self.kept.makers.note(answer, &flown.provider);
        }
    }

    /// What a whole body comes to. Good, it is stored before its last reader hears of the end.
    fn complete(
        &self,
        flight: &Flight,
        status: StatusCode,
        body: &bytes::Bytes,
        found: Inspection,
        storable: Storable,
        flown: &mut Flown,
    ) -> Completed {
        self.note_ids(flight, body, flown);
        let mut done = Completed { upstream: flown.started.elapsed(), ..Completed::default() };
        flown.result = if found.error.is_some() { "error_in_answer" } else { "ok" };
        done.usage = found.usage;
        done.model = found.model.map(String::into_boxed_str);
        done.cost = self.price(flown.model.as_deref(), done.model.as_deref(), done.usage);
        (flown.usage, flown.cost) = (done.usage, done.cost);
        flown.answered.clone_from(&done.model);
        if found.storable.is_ok() && status == StatusCode::OK {
            let storable = Storable { done: done.clone(), ..storable };
            done.stored = self.store(flight, storable, Form::Whole, body);
        }
        done
    }

    /// Records events as they come, from the first on.
    async fn record_events(
        &self,
        flight: &Flight,
        opened: OpenedEvents,
        storable: Storable,
        recorder: &Recorder,
        flown: &mut Flown,
        resumption: Option<&Resumption>,
    ) -> Recorded {
        let OpenedEvents { mut stream, mut body, first, signal, report } = opened;
        let mut rest = None;
        let mut next = (Frame::Event(first), signal);
        loop {
            let (frame, signal) = next;
            if let (Frame::Event(event), Signal::Terminal) = (&frame, &signal) {
                self.note_ids(flight, event.data(), flown);
            }
            let done = matches!(&frame, Frame::Event(event) if event.is_done());
            recorder.push(frame).await;
            if done || matches!(signal, Signal::Terminal) {
                rest = Some(body);
                break;
            }
            next = match stream.next(&mut *body).await {
                Ok(Step::Comment) => (Frame::KeepAlive, Signal::Content),
                Ok(Step::Event(event, Signal::Error(error))) => {
                    // Too late for a status: the provider's own event is the last.
                    flown.result = "error_in_answer";
                    let ending = Ending::Told(ApiError::broken_answer(&flown.provider, &error.message));
                    let verdict = Verdict::of_told(&error, event.data(), true);
                    let lost = Some(Box::new(Lost { verdict, told: Some(event) }));
                    return Recorded { ending, rest: None, storable: None, lost };
                }
                Ok(Step::Event(event, signal)) => (Frame::Event(event), signal),
                Ok(Step::End) => break,
                Err(EventFault::Upstream(error)) => {
                    return Recorded::lost(flown.failed(&error), Verdict::of_fault(error.fault));
                }
                Err(EventFault::Broken(what)) => return Recorded::broken(flown, what),
            };
        }
        let recorded = self.ended(&stream.progress, &report, storable, flown, resumption);
        Recorded { rest, ..recorded }
    }

    /// What a stream comes to whose events have ended.
    fn ended(
        &self,
        progress: &Progress,
        report: &Report,
        storable: Storable,
        flown: &mut Flown,
        resumption: Option<&Resumption>,
    ) -> Recorded {
        let mut storable = Some(storable);
        // What the client is told of a rest is the whole answer's: its usage, and the first one's model.
        let told = resumption.is_none().then_some(progress);
        flown.usage = report.usage().or_else(|| told?.usage());
        flown.answered = told.and_then(Progress::model).map(Box::from);
        flown.cost = self.price(flown.model.as_deref(), flown.answered.as_deref(), flown.usage);
        match progress.end() {
            End::Complete if report.paused() => storable = None,
            End::Complete => {}
            End::Unstorable(_) => storable = None,
            End::Open | End::Failed => {
                return Recorded::broken(flown, "the stream ended before the answer did");
            }
        }
        flown.result = "ok";
        let done = Completed {
            stored: false,
            upstream: flown.started.elapsed(),
            usage: flown.usage,
            model: progress.model().map(Box::from),
            cost: flown.cost,
            resumed: 0,
        };
        if let Some(resumption) = resumption {
            // Sewn together of two models' halves it is nobody's answer: good for one client, not for all.
            return resumption.whole(done).into();
        }
        let storable = storable.map(|storable| Storable { done: done.clone(), ..storable });
        Recorded { ending: Ending::Complete(done), rest: None, storable, lost: None }
    }
}

/// A stream that has begun: its first event, and the rest to come.
struct OpenedEvents {
    stream: Box<EventStream>,
    body: Box<dyn ReplyBody>,
    first: Event,
    signal: Signal,
    report: Report,
}

/// What is known of a body, with what its provider reported of it before it was translated.
fn reported(found: Inspection, report: &Report) -> Inspection {
    let storable = if report.paused() { Err("a pause") } else { found.storable };
    Inspection { storable, usage: report.usage().or(found.usage), ..found }
}

/// What is known of a body that was not looked into.
fn opaque(status: StatusCode, flown: &mut Flown) -> Completed {
    if flown.result == Flown::UNDER_WAY {
        flown.result = if status.is_success() { "ok" } else { "refused" };
    }
    Completed { upstream: flown.started.elapsed(), ..Completed::default() }
}
