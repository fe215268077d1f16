//! One upstream call, detached from whoever asked first: call, record, meter, store.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};

use super::Gateway;
use super::decide::Decision;
use super::head::put;
use super::metering::Fare;
use super::record::Recorded;
use crate::cache::entry::Entry;
use crate::coalesce::Landing;
use crate::config::Abandoned;
use crate::error::ApiError;
use crate::exchange::Flown;
use crate::io::upstream::{Call, Fault, UpstreamError};
use crate::json::{member_span, with_member};
use crate::request::endpoint::Endpoint;
use crate::request::key::CacheKey;
use crate::request::{ApiRequest, vector_store};
use crate::response::headers;
use crate::response::price::Cost;
use crate::response::recording::{Ending, Form, Recorder, Recording};
use crate::response::shape::{self, Shape, inspect, strip_padding};
use crate::response::usage::Usage;
use crate::response::view::events;
use crate::route::{Account, outbound};
use crate::sse::Event;

/// How long the end of the body may take once the last event has come; only then is the connection
/// fit for reuse.
const FAREWELL: Duration = Duration::from_millis(250);

/// Everything one call needs, owned: whoever asked may leave.
pub(super) struct Flight {
    pub(super) account: Arc<Account>,
    pub(super) call: Call,
    pub(super) shape: Shape,
    /// How many choices a whole answer has.
    pub(super) choices: usize,
    endpoint: Endpoint,
    /// The key to store the answer under.
    key: Option<CacheKey>,
    ttl: Duration,
    /// The latest purge known when the call was begun.
    begun: u64,
    model: Option<Box<str>>,
    tenant: Box<str>,
    tag: Option<Box<str>>,
    abandoned: Abandoned,
    /// What it holds of the limits that let it through.
    fare: Option<Fare>,
}

/// What an answer says of itself.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) usage: Option<Usage>,
    pub(super) cost: Option<Cost>,
    pub(super) model: Option<&'a str>,
}

impl Flight {
    /// The model asked for.
    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Flies on although nobody listens: the answer is for the cache.
    pub(super) fn finish_alone(&mut self) {
        self.abandoned = Abandoned::Finish;
    }
}

impl Gateway {
    /// Prepares the call that `request` needs.
    pub(super) fn flight(&self, request: &ApiRequest, decision: &Decision, fare: Option<Fare>) -> Flight {
        let Decision { plan, account, .. } = decision;
        let provider = account.provider.clone();
        let shape = Shape::of(request.endpoint);
        let key = self.router.key(&provider);
        let ask = request.wants_stream() && !request.facts.include_usage && shape.usage_is_optional();
        let body = if ask { with_usage(&request.body) } else { request.body.clone() };
        let cache = &plan.cache;
        Flight {
            account: account.clone(),
            call: Call {
                target: outbound::target(&provider, &request.head.uri),
                headers: outbound::headers(&request.head.headers, provider.dialect, key),
                method: request.head.method.clone(),
                provider,
                body,
            },
            shape,
            choices: request.facts.choices,
            endpoint: request.endpoint,
            key: plan.key.filter(|_| cache.store),
            ttl: cache.ttl,
            begun: self.kept.cache.generation(),
            model: request.model().map(Box::from),
            tenant: request.identity.tenant.clone(),
            tag: request.vector_store().map(|id| format!("vector_store:{id}").into_boxed_str()),
            abandoned: self.config.coalesce.abandoned,
            fare,
        }
    }

    /// Flies: from the call to the stored answer. Ends early once nobody listens, unless the
    /// answer is wanted for the cache all the same.
    pub(super) async fn fly(
        self: Arc<Self>,
        mut flight: Flight,
        recorder: Recorder,
        landing: Option<Landing>,
    ) {
        let recording = recorder.recording().clone();
        let stop = flight.abandoned == Abandoned::Stop || flight.key.is_none();
        let mut flown = Flown::new(
            flight.account.name.clone(),
            flight.endpoint,
            flight.tenant.clone(),
            flight.model.clone(),
            self.io.clock.now(),
        );
        let mut fare = flight.fare.take();
        if let Some(fare) = &mut fare {
            fare.depart();
        }
        let total = flight.call.provider.timeouts.total;
        let recorded = tokio::select! {
            biased;
            recorded = tokio::time::timeout(total, self.record(&flight, &recorder, &mut flown)) => {
                recorded.unwrap_or_else(|_| {
                    let error = UpstreamError::new(Fault::TotalTimeout, format!("not finished within {total:?}"));
                    flown.failed(&error).into()
                })
            }
            () = recording.abandoned(), if stop => {
                flown.result = "abandoned";
                ApiError::unavailable("Everyone who asked has left.").into()
            }
        };
        let Recorded { ending, rest, storable } = recorded;
        if let Ending::Complete(done) = &ending {
            (flown.usage, flown.cost) = (done.usage, done.cost);
            flown.answered.clone_from(&done.model);
        }
        if let Some(mut fare) = fare {
            self.settle(&mut fare, &mut flown, &recording);
        }
        self.kept.telemetry.flown(&flown, self.io.clock.now());
        recorder.finish(ending);
        if let Some(headers) = storable {
            self.store_events(&flight, headers, &recording, &flown);
        }
        drop(landing);
        if let Some(mut rest) = rest {
            // Only a connection whose answer was read to the end is fit for another call.
            let _ = tokio::time::timeout(FAREWELL, rest.next()).await;
        }
    }

    /// Stores a recorded stream, once its readers have all they need.
    fn store_events(&self, flight: &Flight, headers: HeaderMap, recording: &Recording, flown: &Flown) {
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
        let told = Told { usage: flown.usage, cost: flown.cost, model: flown.answered.as_deref() };
        self.store(flight, headers, Form::Events, &body.freeze(), told);
    }

    /// Stores an answer, unless it is too large or was begun before a purge that it falls under.
    pub(super) fn store(
        &self,
        flight: &Flight,
        mut headers: HeaderMap,
        form: Form,
        body: &Bytes,
        told: Told,
    ) -> bool {
        let Some(key) = flight.key else { return false };
        if body.len() as u64 > self.config.cache.max_entry {
            return false;
        }
        let Told { usage, cost, model } = told;
        let text = |text: &str| HeaderValue::from_str(text).ok();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        put(&mut headers, headers::PROVIDER, text(&flight.account.name));
        put(&mut headers, headers::MODEL, model.or(flight.model.as_deref()).and_then(text));
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
            provider: flight.account.name.clone(),
            tenant: flight.tenant.clone(),
            tag: flight.tag.clone(),
            stored: self.io.clock.now(),
            ttl: flight.ttl,
            generation: flight.begun,
            proof: OnceLock::new(),
        };
        let stale = self.config.cache.stale_if_error.max(self.config.cache.stale_while_revalidate);
        self.kept.cache.store(Arc::new(entry), flight.ttl.saturating_add(stale))
    }

    /// A write to a vector store was seen to pass: what searches found in it may no longer hold.
    pub fn wrote(&self, method: &http::Method, path: &str) {
        let reads = matches!(*method, http::Method::GET | http::Method::HEAD | http::Method::OPTIONS);
        if let Some(id) = vector_store(path).filter(|_| !reads) {
            let purge = crate::cache::Purge { tag: Some(format!("vector_store:{id}")), ..Default::default() };
            self.kept.cache.purge(purge);
        }
    }
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

/// A request that asks for the usage frame, for our books; its other bytes are untouched.
fn with_usage(body: &Bytes) -> Bytes {
    let options = member_span(body, "stream_options").map_or(&b"{}"[..], |span| &body[span.value]);
    let asked = with_member(options, "include_usage", b"true");
    asked
        .and_then(|options| with_member(body, "stream_options", &options))
        .map_or_else(|| body.clone(), Into::into)
}
