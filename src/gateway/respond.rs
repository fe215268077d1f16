//! From a plan to a response: the cache first, then a flight, then what is stale but better than
//! an error.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{StatusCode, header};

use super::Gateway;
use super::admission::Who;
use super::decide::Decision;
use super::fare::Fare;
use super::head::{Note, Served};
use super::lookup::Found;
use crate::cache;
use crate::coalesce::Seat;
use crate::config::Mode;
use crate::error::ApiError;
use crate::exchange::{Exchange, Observed, Outcome};
use crate::request::ApiRequest;
use crate::request::key::CacheKey;
use crate::request::plan::Plan;
use crate::response::headers::{EVENT_STREAM, JSON, repeatable};
use crate::response::recording::{Completed, Ending, Form, Frame, Playback, Read, Recording, ResponseHead};
use crate::response::shape::Shape;
use crate::response::view::View;
use crate::response::{Body, LiveBody};

/// A JSON answer up to this many bytes is waited for, so that its headers can say what it cost
/// and that it was stored; a larger one is streamed.
const WAITED_FOR: usize = 256 * 1024;

impl Gateway {
    pub(super) async fn respond(
        self: &Arc<Self>,
        request: &ApiRequest<'_>,
        decision: &Decision,
        exchange: &mut Exchange,
    ) -> Result<Served, ApiError> {
        let plan = &decision.plan;
        exchange.provider = Some(decision.route.targets[0].account.name.clone());
        exchange.key = plan.key;
        let mut spare = None;
        match self.look_up(request, plan, exchange).await {
            Found::Now(served) => {
                self.admit_hit(request, decision, exchange.usage, exchange).await?;
                return Ok(served);
            }
            Found::Revalidate(served) => {
                self.admit_hit(request, decision, exchange.usage, exchange).await?;
                self.revalidate(request, decision).await;
                return Ok(served);
            }
            Found::Spare(body, entry) => spare = Some((body, entry)),
            Found::Nothing => {}
        }
        exchange.outcome = if plan.bypass.is_some() { Outcome::Bypass } else { Outcome::Miss };
        if plan.cache.only_if_cached {
            return Err(ApiError::not_cached());
        }
        let fresh = self.fetch(request, decision, exchange).await;
        let failed = match &fresh {
            Ok(served) => is_failure(served.status),
            Err(error) => is_failure(error.status),
        };
        match spare {
            Some((body, entry)) if failed => {
                self.note_replay(exchange, &entry, Outcome::Stale);
                // It has aged while the provider was asked.
                Ok(self.replayed(request, &entry, body, self.io.clock.now(), cache::Tier::Memory))
            }
            _ => fresh,
        }
    }

    /// Fetches a new answer in the background, one for all who find the old one.
    async fn revalidate(self: &Arc<Self>, request: &ApiRequest<'_>, decision: &Decision) {
        let plan = &decision.plan;
        let Some(key) = plan.key else { return };
        // Without room in a limit, the old answer is all there is for now.
        let Ok(fare) = self.admit_unasked(request, decision).await else { return };
        let terms = self.terms(request);
        if let Seat::Leader(recorder, _, landing) =
            self.kept.flights.join(key, terms.clone(), usize::MAX, || self.has_fresh(plan, &key))
        {
            let fare = self.carrying(fare, terms);
            self.depart_alone(request, decision, fare, recorder, landing);
        }
    }

    /// Asks the provider, alone or with others.
    async fn fetch(
        self: &Arc<Self>,
        request: &ApiRequest<'_>,
        decision: &Decision,
        exchange: &mut Exchange,
    ) -> Result<Served, ApiError> {
        let plan = &decision.plan;
        let mut shared = plan.key.filter(|_| plan.coalesce == Mode::Act);
        loop {
            let aboard = match shared.filter(|_| self.is_limited()) {
                Some(key) => self.kept.flights.follow(&key, self.config.coalesce.max_waiters),
                None => None,
            };
            let boarded = match aboard {
                Some((playback, terms)) => {
                    self.admit_hit(request, decision, None, exchange).await?;
                    match self.ride(request, decision, &terms, exchange).await {
                        Ok(()) => Boarded::Seat(playback, Some(terms.credential)),
                        Err(turned) => return self.instead(request, decision, turned, exchange).await,
                    }
                }
                None => match self.admit(request, decision, Who::Caller, exchange).await {
                    Ok(fare) => self.board(request, decision, shared, fare, exchange),
                    Err(turned) => return self.instead(request, decision, turned, exchange).await,
                },
            };
            let (playback, followed) = match boarded {
                Boarded::Seat(playback, followed) => (playback, followed),
                Boarded::Found => match self.stored(request, plan, exchange) {
                    Found::Now(served) | Found::Revalidate(served) => return Ok(served),
                    _ => {
                        shared = None;
                        continue;
                    }
                },
            };
            let head = match playback.head().await {
                // A limit that had no room for the leader may have some for another.
                Err(error) if error.is_limit() && followed.is_some() => {
                    shared = None;
                    continue;
                }
                head => head?,
            };
            // A judgement of the leader's own key or allowance is not for a caller with another.
            if followed.is_some_and(|credential| credential != request.credential())
                && judges_caller(head.status)
            {
                shared = None;
                continue;
            }
            let followed = followed.is_some() || playback.recording().is_from_elsewhere();
            if followed {
                exchange.outcome = Outcome::Collapsed;
            }
            return self.play(request, decision, &head, playback, followed, exchange).await;
        }
    }

    /// Takes a seat on a flight, starting one where there is none.
    fn board(
        self: &Arc<Self>,
        request: &ApiRequest<'_>,
        decision: &Decision,
        shared: Option<CacheKey>,
        fare: Option<Fare>,
        exchange: &mut Exchange,
    ) -> Boarded {
        let plan = &decision.plan;
        let Some(key) = shared else {
            // Where flights are only observed they are listed, so that the next can be counted.
            let observed = plan.key.filter(|_| plan.coalesce == Mode::Observe);
            let (recorder, playback, landing) =
                match observed.map(|key| self.kept.flights.lead(key, self.terms(request))) {
                    Some(Some((recorder, playback, landing))) => (recorder, playback, Some(landing)),
                    other => {
                        if other.is_some() {
                            exchange.observed.get_or_insert(Observed::Coalesce);
                        }
                        let (recorder, playback) = Recording::start();
                        (recorder, playback, None)
                    }
                };
            self.depart(request, decision, fare, recorder, landing);
            return Boarded::Seat(playback, None);
        };
        let landed = || self.has_fresh(plan, &key);
        let terms = self.terms(request);
        match self.kept.flights.join(key, terms.clone(), self.config.coalesce.max_waiters, landed) {
            Seat::Follower(playback, theirs) => {
                if let Some(passengers) = &theirs.passengers {
                    passengers.board(&request.identity.tenant, fare);
                }
                Boarded::Seat(playback, Some(theirs.credential))
            }
            Seat::Leader(recorder, playback, landing) => {
                let fare = self.carrying(fare, terms);
                self.depart(request, decision, fare, recorder, Some(landing));
                Boarded::Seat(playback, None)
            }
            Seat::Landed => Boarded::Found,
        }
    }

    /// The response of a recording: at once where it streams, at its end where its end says more.
    async fn play(
        &self,
        request: &ApiRequest<'_>,
        decision: &Decision,
        head: &ResponseHead,
        playback: Playback,
        followed: bool,
        exchange: &mut Exchange,
    ) -> Result<Served, ApiError> {
        let mut view = self.view(request);
        if request.facts.is_unread() {
            view = View { stream: head.form == Form::Events, usage: true, ..view };
        }
        let refused = !head.status.is_success();
        let mut served = self.live(&decision.plan, head, followed);
        exchange.upstream = head.upstream;
        exchange.provider = Some(head.provider.clone());
        if head.form == Form::Events && view.stream {
            served.headers.insert(CONTENT_TYPE, EVENT_STREAM);
            served.body = Body::Live(LiveBody::new(playback, view, Vec::new()));
            return Ok(served);
        }
        let most = if head.form == Form::Whole && !view.stream { WAITED_FOR } else { usize::MAX };
        let frames = match gather(&playback, most).await {
            Gathered::All(frames, done) => {
                exchange.upstream = done.upstream;
                exchange.usage = done.usage;
                exchange.cost = done.cost;
                exchange.resumed = done.resumed;
                served.model = done.model;
                served.note = served.note.stored(done.stored);
                frames
            }
            Gathered::Failed(error) => return Err(error),
            Gathered::Large(frames) => {
                served.body = Body::Live(LiveBody::new(playback, view, frames));
                return Ok(served);
            }
        };
        let as_asked = if refused { View { stream: false, ..view } } else { view };
        let body = match as_asked.whole(head.form, &frames) {
            Ok(body) => {
                if head.form == Form::Events || as_asked.stream {
                    served.headers.insert(CONTENT_TYPE, if as_asked.stream { EVENT_STREAM } else { JSON });
                    served.headers.remove(header::CONTENT_ENCODING);
                }
                body
            }
            // Not an answer of this shape: the client gets what the provider sent.
            Err(_) if head.form == Form::Whole => crate::response::view::pieces(&frames),
            Err(error) => return Err(ApiError::broken_answer(&head.provider, &error.to_string())),
        };
        served.body = Body::Whole(body);
        Ok(served)
    }

    pub(super) fn live(&self, plan: &Plan, head: &ResponseHead, followed: bool) -> Served {
        let mut headers = if followed { repeatable(&head.headers) } else { head.headers.clone() };
        headers.remove(header::CONTENT_LENGTH);
        let note = match (plan.bypass, followed) {
            (Some(reason), _) => Note::Bypass(reason),
            (None, true) => Note::Collapsed,
            (None, false) if plan.cache.mode != Mode::Skip && !plan.cache.lookup && plan.cache.store => {
                Note::NoCache { stored: false }
            }
            (None, false) => Note::Miss { stored: false },
        };
        Served {
            status: head.status,
            headers,
            body: Body::Whole(Bytes::new()),
            note,
            age: None,
            model: None,
            attempts: head.attempts,
        }
    }

    pub(super) fn view(&self, request: &ApiRequest) -> View {
        let shape = Shape::of(request.endpoint);
        View {
            shape,
            stream: request.wants_stream() && shape != Shape::Plain,
            usage: request.facts.include_usage || !shape.usage_is_optional(),
        }
    }
}

enum Boarded {
    /// A seat, and on somebody else's flight the credential it flies with.
    Seat(Playback, Option<crate::request::identity::Credential>),
    /// The answer is in the cache by now.
    Found,
}

enum Gathered {
    All(Vec<Frame>, Completed),
    /// More than was to be waited for; the rest follows.
    Large(Vec<Frame>),
    Failed(ApiError),
}

/// Reads a recording to its end, or until it has more than `most` bytes.
async fn gather(playback: &Playback, most: usize) -> Gathered {
    let (mut frames, mut counted, mut bytes) = (Vec::new(), 0, 0);
    loop {
        match playback.read(&mut frames).await {
            Read::End(Ending::Complete(done)) => return Gathered::All(frames, done),
            Read::End(Ending::Failed(error) | Ending::Told(error)) => return Gathered::Failed(error),
            Read::Frames => {}
        }
        bytes += frames[counted..].iter().map(Frame::len).sum::<usize>();
        counted = frames.len();
        if bytes > most {
            return Gathered::Large(frames);
        }
    }
}

/// RFC 5861 section 4: the failures a stale answer may stand in for.
pub(super) fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504 | 529)
}

/// Statuses about the key or its allowance rather than about the question.
pub(super) fn judges_caller(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 402 | 403 | 429)
}
