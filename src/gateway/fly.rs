//! One upstream call, detached from whoever asked first: call, record, meter, store.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{self, HeaderValue};
use tokio::time::{Instant, timeout_at};

use super::Gateway;
use super::attempt::Cut;
use super::decide::Decision;
use super::fare::Fare;
use super::head::put;
use super::leg::{Asked, Leg, Question};
use super::passengers::Landing;
use super::record::{Recorded, Storable};
use super::translate::Wording;
use super::travel::{Departure, unsaid};
use crate::cache::Purge;
use crate::cache::entry::Entry;
use crate::config::{Abandoned, Mode};
use crate::error::ApiError;
use crate::io::upstream::{Fault, UpstreamError};
use crate::request::endpoint::Endpoint;
use crate::request::key::CacheKey;
use crate::request::{ApiRequest, vector_store};
use crate::response::headers;
use crate::response::recording::{Completed, Ending, Form, Recorder, Recording};
use crate::response::shape::{self, Shape, inspect, strip_padding};
use crate::response::unresumed::Unresumed;
use crate::response::view::events;
use crate::sse::Event;

/// How long the end of the body may take once the last event has come; only then is the connection
/// fit for reuse.
const FAREWELL: Duration = Duration::from_millis(250);

/// Everything one flight needs, owned: whoever asked may leave.
pub(super) struct Flight {
    pub(super) shape: Shape,
    /// How many choices a whole answer has.
    pub(super) choices: usize,
    pub(super) endpoint: Endpoint,
    pub(super) model: Option<Box<str>>,
    pub(super) tenant: Box<str>,
    /// Whether a failed attempt is followed by another.
    pub(super) failover: Mode,
    /// Whether a slow attempt gets a second one beside it.
    pub(super) hedge: Mode,
    /// Where it begins; gone once it is under way.
    departure: Option<Departure>,
    /// The key to store the answer under.
    key: Option<CacheKey>,
    ttl: Duration,
    /// The latest purge known when the call was begun.
    begun: u64,
    /// What its answer may be purged by.
    tags: Box<[Box<str>]>,
    abandoned: Abandoned,
    alone: bool,
    /// How long all of it may take, another sidecar's call that is waited for included, and until when.
    total: Duration,
    pub(super) deadline: Instant,
    /// What it holds of the limits that let it through.
    pub(super) fare: Option<Fare>,
}

impl Flight {
    /// Flies on although nobody listens: the answer is for the cache.
    fn finish_alone(&mut self) {
        self.abandoned = Abandoned::Finish;
        self.alone = true;
    }

    /// Why it ends at its deadline.
    pub(super) fn too_late(&self) -> UpstreamError {
        UpstreamError::new(Fault::TotalTimeout, format!("not finished within {:?}", self.total))
    }

    /// Who would be asked first.
    pub(super) fn first(&self) -> Option<Box<str>> {
        Some((*self.departure.as_ref()?.leg.target().account.name).into())
    }

    /// Whether nobody listened from the start.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }
}

impl Gateway {
    /// Prepares the flight that `request` needs.
    ///
    /// # Errors
    /// No target of its route can serve it as asked.
    fn flight(
        &self,
        request: &ApiRequest,
        decision: &Decision,
        fare: Option<Fare>,
    ) -> Result<Flight, ApiError> {
        let plan = &decision.plan;
        let wording = Wording::of(request, &decision.route).map(Arc::new);
        let mut course = self.course(request, decision, wording.as_deref())?;
        let question = Question::of(request, wording.as_ref(), self.router.is_mixed());
        let asking = course.first(self.io.clock.now());
        let target = asking.target.name.clone();
        let leg = Leg::new(asking, question).map_err(|error| unsaid(target, &error))?;
        if plan.failover == Mode::Skip {
            course.end();
        }
        let asked = course.goes_on().then(|| Box::new(Asked::of(question)));
        let cache = &plan.cache;
        Ok(Flight {
            total: course.route().total,
            deadline: self.io.clock.now() + course.route().total,
            departure: Some(Departure { course, leg, asked }),
            shape: Shape::of(request.endpoint),
            choices: request.facts.choices,
            endpoint: request.endpoint,
            key: plan.key.filter(|_| cache.store),
            ttl: cache.ttl,
            begun: self.kept.cache.generation(),
            model: request.model().map(Box::from),
            tenant: request.identity.tenant.clone(),
            failover: plan.failover,
            hedge: plan.hedge,
            tags: tags(request, decision),
            abandoned: self.config.coalesce.abandoned,
            alone: false,
            fare,
        })
    }

    /// Starts the flight of `request`: its answer, or why there can be none, goes to `recorder`.
    pub(super) fn depart(
        self: &Arc<Self>,
        request: &ApiRequest,
        decision: &Decision,
        fare: Option<Fare>,
        recorder: Recorder,
        landing: Option<Landing>,
    ) {
        // In a box: tokio moves a task's future several times on its way, and this one has kilobytes.
        match self.flight(request, decision, fare) {
            Ok(flight) => match landing {
                Some(landing) if decision.plan.coalesce == Mode::Act && self.kept.shared.is_some() => {
                    tokio::spawn(Box::pin(self.clone().fly_for_all(flight, recorder, landing)));
                }
                landing => {
                    tokio::spawn(Box::pin(self.clone().fly(flight, recorder, landing)));
                }
            },
            Err(error) => recorder.finish(Ending::Failed(error)),
        }
    }

    /// The same for nobody but the cache: what fails is not told.
    pub(super) fn depart_alone(
        self: &Arc<Self>,
        request: &ApiRequest,
        decision: &Decision,
        fare: Option<Fare>,
        recorder: Recorder,
        landing: Landing,
    ) {
        let Ok(mut flight) = self.flight(request, decision, fare) else { return };
        flight.finish_alone();
        tokio::spawn(Box::pin(self.clone().fly_for_all(flight, recorder, landing)));
    }

    /// Flies: from the first attempt to the stored answer. Ends early once nobody listens, unless the
    /// answer is wanted for the cache all the same.
    pub(super) async fn fly(
        self: Arc<Self>,
        mut flight: Flight,
        recorder: Recorder,
        landing: Option<Landing>,
    ) {
        let Some(Departure { mut course, leg, asked }) = flight.departure.take() else { return };
        let recording = recorder.recording().clone();
        let stop = flight.abandoned == Abandoned::Stop || flight.key.is_none();
        let first = leg.target().account.name.clone();
        let cut = Cut::new();
        let travelled = {
            let asked = asked.as_deref();
            let travel = std::pin::pin!(self.travel(&flight, &mut course, leg, asked, &recorder, &cut));
            tokio::select! {
                biased;
                recorded = timeout_at(flight.deadline, travel) => recorded.map_err(|_| {
                    let error = flight.too_late();
                    let _ = cut.set(error.fault.name());
                    recording.breaks_off(Unresumed::Deadline);
                    ApiError::upstream(&first, &error)
                }),
                () = recording.abandoned(), if stop => {
                    let _ = cut.set("abandoned");
                    Err(ApiError::unavailable("Everyone who asked has left."))
                }
            }
        };
        let recorded = travelled.unwrap_or_else(|error| ApiError { attempts: course.made(), ..error }.into());
        if let Some(fare) = flight.fare.take() {
            fare.settle(&self.kept.telemetry);
        }
        let Recorded { ending, rest, storable, .. } = recorded;
        recorder.finish(ending);
        if let Some(storable) = storable {
            self.store_events(&flight, storable, &recording);
        }
        drop(landing);
        if let Some(mut rest) = rest {
            // Only a connection whose answer was read to the end is fit for another call.
            let _ = tokio::time::timeout(FAREWELL, rest.next()).await;
        }
    }

    /// Stores a recorded stream, once its readers have all they need.
    fn store_events(&self, flight: &Flight, storable: Storable, recording: &Recording) {
        if flight.key.is_none() {
            return;
        }
        let Some(frames) = recording.frames() else { return };
        let events: Vec<Event> = events(&frames).iter().map(strip_padding).collect();
        if !arguments_are_whole(flight.shape, &events) {
            return;
        }
        let mut body = BytesMut::with_capacity(events.iter().map(|event| event.bytes().len()).sum());
        for event in &events {
            body.extend_from_slice(event.bytes());
        }
        self.store(flight, storable, Form::Events, &body.freeze());
    }

    /// Stores an answer, unless it is too large or was begun before a purge that it falls under.
    pub(super) fn store(&self, flight: &Flight, storable: Storable, form: Form, body: &Bytes) -> bool {
        let Some(key) = flight.key else { return false };
        if body.len() as u64 > self.config.cache.max_entry {
            return false;
        }
        let Storable { mut headers, provider, model: asked, done } = storable;
        let Completed { usage, cost, model, .. } = done;
        let text = |text: &str| HeaderValue::from_str(text).ok();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        put(&mut headers, headers::PROVIDER, text(&provider));
        put(&mut headers, headers::MODEL, model.as_deref().or(asked.as_deref()).and_then(text));
        put(&mut headers, headers::SAVED, cost.and_then(|cost| headers::text(cost.to_string())));
        let entry = Entry {
            key,
            status: StatusCode::OK,
            headers,
            form,
            // A slice of a larger read buffer would keep all of that alive.
            body: Bytes::copy_from_slice(body),
            usage,
            cost,
            model: flight.model.clone(),
            provider,
            tenant: flight.tenant.clone(),
            tags: flight.tags.clone(),
            stored: self.io.clock.now(),
            ttl: flight.ttl,
            generation: flight.begun,
            proof: OnceLock::new(),
        };
        let stale = self.config.cache.stale_if_error.max(self.config.cache.stale_while_revalidate);
        self.kept.cache.store(Arc::new(entry), flight.ttl.saturating_add(stale))
    }

    /// A write to a vector store was seen to pass: what searches found in it may no longer hold, here and at
    /// sidecars on the same Redis.
    pub fn wrote(&self, method: &http::Method, path: &str) {
        let reads = matches!(*method, http::Method::GET | http::Method::HEAD | http::Method::OPTIONS);
        if reads {
            return;
        }
        if path.starts_with("/v1/files/") {
            self.kept.tiers.purge(Purge::of_store(None));
        } else if let Some(store) = vector_store(path) {
            self.kept.tiers.purge(Purge::of_store(Some(store)));
        }
    }
}

/// What an answer may be purged by: the vector store that is searched, and what the rule says.
fn tags(request: &ApiRequest, decision: &Decision) -> Box<[Box<str>]> {
    let store = request.vector_store().map(|store| Purge::store_tag(store).into_boxed_str());
    store.into_iter().chain(decision.overrides.tags.iter().flat_map(|tags| tags.iter().cloned())).collect()
}

/// Whether tool calls, which only show whole what their pieces come to, are worth keeping. Text needs
/// no second look: its stream has proved to be complete.
fn arguments_are_whole(shape: Shape, events: &[Event]) -> bool {
    let calls = |event: &Event| memchr::memmem::find(event.data(), b"tool").is_some();
    if !events.iter().any(calls) {
        return true;
    }
    shape::fold(shape, events).is_ok_and(|body| inspect(shape, &body).storable.is_ok())
}
