//! One embedding call: its inputs go out, its vectors are told apart, stored and handed out.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use tokio::sync::Semaphore;

use super::Outcome;
use super::order::{Leg, body};
use super::toll::{Share, Tolls};
use crate::config::{Abandoned, Mode};
use crate::embedding::answer::{self, Broken};
use crate::embedding::batch::Load;
use crate::embedding::pending::Interest;
use crate::embedding::share::divide;
use crate::embedding::stored::{Origin, Vector};
use crate::error::ApiError;
use crate::exchange::Told;
use crate::gateway::fare::Fare;
use crate::gateway::{Gateway, READ_ASIDE};
use crate::response::price::Cost;
use crate::response::recording::{Completed, Ending, Form, Frame, Playback, Read, Recording, ResponseHead};

/// The largest answer to an embedding call that is taken apart, in bytes: 2,048 vectors of 4,096
/// dimensions written as numbers.
const LARGEST: usize = 256 << 20;

/// A reply to an embedding call.
pub struct Reply {
    pub(super) head: Arc<ResponseHead>,
    pub(super) body: Bytes,
    /// What the whole call took and consumed.
    pub(super) done: Completed,
    /// Whose request made the call; others only added to it.
    pub(super) lead: Arc<Interest>,
    /// What is said of limits that count the call.
    pub(super) told: Option<Told>,
    /// Requests in it.
    pub(super) legs: usize,
    /// Its vectors are stored.
    pub(super) stored: bool,
}

/// What came of a call.
enum Came {
    Reply(Reply),
    /// It failed.
    Failed(ApiError),
    /// Nobody waits any more.
    Abandoned,
}

impl Gateway {
    /// Makes the call for `legs`, of one group, and tells everybody who waits.
    ///
    /// Boxed, for a call that is refused becomes several.
    pub(super) fn call_inputs(
        self: Arc<Self>,
        mut legs: Vec<Leg>,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if self.config.coalesce.abandoned == Abandoned::Stop {
                legs.retain(|leg| leg.order.interest.is_some());
            }
            match self.reply_to(&legs).await {
                Came::Abandoned => {}
                Came::Failed(error) => fail(legs, &Outcome::Failed(error)),
                // One input that the provider refuses makes it refuse a whole call, so each caller's
                // part goes alone, and only the one with the bad input hears of it.
                Came::Reply(reply) if legs.len() > 1 && judges_inputs(reply.head.status) => {
                    self.side_by_side(legs).await;
                }
                Came::Reply(reply) if !reply.head.status.is_success() => {
                    fail(legs, &Outcome::AsIs(Arc::new(reply)));
                }
                Came::Reply(reply) if reply.body.len() > READ_ASIDE => {
                    // Megabytes of numbers take milliseconds to read, which other requests should not
                    // wait for. A panic in there drops the legs, which tells everybody.
                    let _ = tokio::task::spawn_blocking(move || self.hand_out(legs, reply)).await;
                }
                Came::Reply(reply) => self.hand_out(legs, reply),
            }
        })
    }

    /// Makes a call for each of these legs, a bounded number at a time.
    pub(super) async fn side_by_side(self: Arc<Self>, legs: Vec<Leg>) {
        let places = Arc::new(Semaphore::new(self.config.batch.parallel));
        for leg in legs {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let call = self.clone().call_inputs(vec![leg]);
            tokio::spawn(async move {
                call.await;
                drop(place);
            });
        }
    }

    async fn reply_to(self: &Arc<Self>, legs: &[Leg]) -> Came {
        let Some(first) = legs.first() else { return Came::Abandoned };
        let stop = self.config.coalesce.abandoned == Abandoned::Stop;
        let inputs: usize = legs.iter().map(Load::inputs).sum();
        self.kept.telemetry.embedded(inputs);
        let (recorder, playback) = Recording::start();
        let request = first.order.request(body(legs));
        let fare = self.fare_of_call(&request, &first.order.decision, tolls(legs)).await;
        let told = fare.as_ref().and_then(Fare::told);
        self.depart(&request, &first.order.decision, fare, recorder, None);
        let read = async {
            match read(&playback).await {
                Ok((head, body, done)) => Came::Reply(Reply {
                    head,
                    body,
                    done,
                    lead: first.order.interest.clone(),
                    told,
                    legs: legs.len(),
                    stored: false,
                }),
                Err(error) => Came::Failed(error),
            }
        };
        let lost = async {
            for leg in legs {
                leg.order.interest.lost().await;
            }
        };
        tokio::select! {
            biased;
            came = read => came,
            // Interest may come back to one leg while another's is waited for; then the fetch of
            // that input is asked for again by whoever came.
            () = lost, if stop => Came::Abandoned,
        }
    }

    /// Takes an answer apart and gives everybody what is theirs.
    fn hand_out(&self, legs: Vec<Leg>, mut reply: Reply) {
        let Some(first) = legs.first() else { return };
        let inputs = legs.iter().map(Load::inputs).sum();
        let coded = reply
            .head
            .headers
            .get(header::CONTENT_ENCODING)
            .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
        let read = if coded || reply.head.form == Form::Events {
            Err(Broken::Form)
        } else {
            answer::read(first.order.api, &reply.body, inputs)
        };
        let vectors = match read {
            Ok(vectors) => vectors,
            // What is no answer at all is the caller's to judge, as without pareto.
            Err(Broken::Form | Broken::Error) if legs.len() == 1 && first.whole => {
                return fail(legs, &Outcome::AsIs(Arc::new(reply)));
            }
            Err(broken) => {
                let error = ApiError::broken_answer(&reply.head.provider, &broken.to_string());
                return fail(legs, &Outcome::Failed(error));
            }
        };
        let weights: Vec<u64> = legs.iter().flat_map(|leg| &leg.pieces).map(|piece| piece.weight).collect();
        let tokens = reply.done.usage.map(|usage| divide(usage.input, &weights));
        let costs = reply.done.cost.map(|cost| divide(cost.pico_usd(), &weights));
        let origin = Arc::new(self.origin(first, &reply));
        let mut duties = Vec::with_capacity(inputs);
        let mut vectors = vectors.into_iter().enumerate();
        let mut stored = true;
        for leg in legs {
            let plan = leg.order.decision.plan.cache;
            let mut own = Vec::with_capacity(leg.pieces.len());
            for (piece, (at, floats)) in leg.pieces.into_iter().zip(&mut vectors) {
                let vector = Arc::new(Vector {
                    key: piece.key,
                    floats,
                    tokens: tokens.as_ref().map(|tokens| tokens[at]),
                    cost: costs.as_ref().map(|costs| Cost::from_pico_usd(costs[at])),
                    generation: leg.order.begun,
                    origin: origin.clone(),
                });
                own.push(vector.clone());
                duties.push((piece.duty, vector));
            }
            // As long as it may stand in for one that the provider fails to bring.
            let keep = plan.ttl.saturating_add(plan.if_error);
            let kept = plan.store && self.kept.vectors.store_many(own, keep);
            stored &= kept && plan.mode != Mode::Skip;
        }
        reply.stored = stored;
        reply.body = Bytes::new();
        let reply = Arc::new(reply);
        for (duty, vector) in duties {
            duty.land(Outcome::Vector(vector, reply.clone()));
        }
    }

    fn origin(&self, first: &Leg, reply: &Reply) -> Origin {
        let order = &first.order;
        Origin {
            model: order.request(Bytes::new()).model().map(Box::from),
            answered: reply.done.model.clone(),
            provider: reply.head.provider.clone(),
            tenant: order.tenant().into(),
            stored: self.io.clock.now(),
            ttl: order.decision.plan.cache.ttl,
        }
    }
}

/// What the requests of these legs hold of their limits.
fn tolls(legs: &[Leg]) -> Option<Tolls> {
    let share = |leg: &Leg| Share {
        toll: leg.order.toll.clone(),
        weights: leg.pieces.iter().map(|piece| piece.weight).collect(),
    };
    // Most fall under none.
    let limited = legs.iter().any(|leg| leg.order.toll.is_some());
    limited.then(|| Tolls::of(legs.iter().map(share).collect()))
}

/// Tells everybody who waits for these legs the same.
fn fail(legs: Vec<Leg>, outcome: &Outcome) {
    for piece in legs.into_iter().flat_map(|leg| leg.pieces) {
        piece.duty.land(outcome.clone());
    }
}

/// Statuses by which a provider refuses what was asked, rather than who asks or when.
fn judges_inputs(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 413 | 422)
}

/// Reads a recording to its end.
async fn read(playback: &Playback) -> Result<(Arc<ResponseHead>, Bytes, Completed), ApiError> {
    let head = playback.head().await?;
    let (mut frames, mut body) = (Vec::new(), BytesMut::new());
    let done = loop {
        match playback.read(&mut frames).await {
            Read::End(Ending::Complete(done)) => break done,
            Read::End(Ending::Failed(error) | Ending::Told(error)) => return Err(error),
            Read::Frames => {}
        }
        for frame in frames.drain(..) {
            match frame {
                Frame::Piece(bytes) => body.extend_from_slice(&bytes),
                Frame::Event(event) => body.extend_from_slice(event.bytes()),
                Frame::KeepAlive | Frame::Comment(_) => {}
            }
        }
        if body.len() > LARGEST {
            let what = "The provider's answer is larger than any answer to embeddings.";
            return Err(ApiError::unavailable(what));
        }
    };
    Ok((head, body.freeze(), done))
}

impl Reply {
    /// From the sending of the call to the end of its answer.
    pub(super) fn upstream(&self) -> Duration {
        self.done.upstream
    }
}
