//! A flight's attempts, one after the other, until one of them is answered: one budget of attempts and
//! one deadline for all of them.

use std::borrow::Cow;

use tokio::time::{Instant, sleep};

use super::Gateway;
use super::attempt::Cut;
use super::decide::Decision;
use super::fly::Flight;
use super::leg::{Asked, Leg};
use super::opening::{Failure, Opened, Shown};
use super::record::Recorded;
use super::resume::Broken;
use super::translate::Wording;
use crate::config::Mode;
use crate::dialect::Untranslatable;
use crate::error::ApiError;
use crate::io::Io;
use crate::request::ApiRequest;
use crate::response::headers::{SHOULD_RETRY, boolean};
use crate::response::recording::Recorder;
use crate::response::unresumed::Unresumed;
use crate::response::usage::Usage;
use crate::route::course::{Course, Onward};
use crate::route::needs::Needs;
use crate::route::verdict::Next;
use crate::route::{Criteria, Order, Target, Unservable, same_language};

/// Tokens of an answer, to compare what models cost.
const TYPICAL_OUTPUT: u64 = 500;

/// Where a flight begins, and where it may go on.
pub(super) struct Departure {
    pub(super) course: Course,
    pub(super) leg: Leg,
    /// What is said again to the next target; `None` where there is none.
    pub(super) asked: Option<Box<Asked>>,
}

impl Gateway {
    /// Asks one target after the other and records the first answer.
    pub(super) async fn travel(
        &self,
        flight: &Flight,
        course: &mut Course,
        leg: Leg,
        asked: Option<&Asked>,
        recorder: &Recorder,
        cut: &Cut,
    ) -> Recorded {
        let deadline = flight.deadline;
        // Slower before it is refused: a key without room waits for it as long as a retry would.
        let pause = leg.asking.pause.min(course.route().retries.max);
        if !pause.is_zero() {
            sleep(pause).await;
        }
        let mut run = match self.first_seat(flight, leg, course, asked).await {
            Ok((leg, seat)) => self.run(flight, leg, seat, recorder, cut),
            Err(error) => return error.into(),
        };
        let mut broken: Option<Broken> = None;
        loop {
            let (mut ended, opened) = self.open_hedged(flight, run, course, asked, recorder, cut).await;
            let attempts = course.made();
            let failure = match opened {
                Ok(opened) => {
                    let recorded = self.record(flight, opened, attempts, recorder, &mut ended).await;
                    match self.broke(flight, recorded, &mut ended, course, asked, recorder).await {
                        Ok((lost, failure)) => {
                            broken = Some(lost);
                            failure
                        }
                        Err(recorded) => return recorded,
                    }
                }
                Err(failure) if broken.is_some() => failure.of_rest(),
                Err(failure) => failure,
            };
            ended.attempt.close();
            if broken.is_none()
                && let Some(leg) = self.unproved(&ended.leg, course, &failure, flight, recorder)
                && let Ok(seat) = self.seat(flight, leg.target(), false).await
            {
                drop(ended);
                run = self.run(flight, leg, seat, recorder, cut);
                continue;
            }
            let unresumed = Self::unresumed(flight, course);
            let onward = asked.and_then(|asked| {
                self.onward(flight, course, &failure, recorder, deadline).map(|onward| (asked, onward))
            });
            let onward = match onward {
                Some((asked, Onward { asking, wait })) => {
                    let seated = self.seated(flight, course, asking).await;
                    seated.map(|(asking, seat)| (asked, asking, seat, wait))
                }
                None => None,
            };
            let Some((asked, asking, seat, wait)) = onward else {
                return match (broken, told(failure, course, attempts)) {
                    (Some(broken), _) => broken.end(unresumed, recorder).await,
                    (None, Ok(opened)) => self.record(flight, opened, attempts, recorder, &mut ended).await,
                    (None, Err(error)) => error.into(),
                };
            };
            drop(ended);
            drop(failure);
            if !wait.is_zero() {
                sleep(wait).await;
            }
            let target = asking.target.name.clone();
            let leg = match &broken {
                Some(broken) => asked.rest(asking, &broken.resumption),
                None => asked.leg(asking),
            };
            let leg = match leg {
                Ok(leg) => leg,
                Err(error) => return unsaid(target, &error).into(),
            };
            run = self.run(flight, leg, seat, recorder, cut);
        }
    }

    /// The course of `request`.
    ///
    /// # Errors
    /// No target of its route can serve it as asked.
    pub(super) fn course(
        &self,
        request: &ApiRequest,
        decision: &Decision,
        wording: Option<&Wording>,
    ) -> Result<Course, ApiError> {
        let needs = || Needs::of(request.endpoint, &request.body, request.wants_stream());
        let plotted =
            self.by_criteria(request, decision, wording, |criteria| decision.route.plot(needs, criteria));
        plotted.map_err(|Unservable(skipped)| ApiError::unservable(&skipped))
    }

    /// How `request` would go through its route now.
    pub(super) fn preview(
        &self,
        request: &ApiRequest,
        decision: &Decision,
        wording: Option<&Wording>,
    ) -> Order {
        let needs = Needs::of(request.endpoint, &request.body, request.wants_stream());
        self.by_criteria(request, decision, wording, |criteria| decision.route.preview(&needs, criteria))
    }

    /// Asks a route by what `request` requires of its targets.
    fn by_criteria<T>(
        &self,
        request: &ApiRequest,
        decision: &Decision,
        wording: Option<&Wording>,
        ask: impl FnOnce(&Criteria) -> T,
    ) -> T {
        let (asked, about) = (request.model(), typical(request));
        ask(&Criteria {
            obstacle: &|target| obstacle(request, decision, wording, target),
            price: &|target| Some(self.prices.cost(target.asked(asked)?, &about)?.pico_usd()),
            now: self.io.clock.now(),
        })
    }

    /// The same leg without the proofs that its target did not take, if it has any and may be asked again.
    fn unproved(
        &self,
        leg: &Leg,
        course: &mut Course,
        failure: &Failure,
        flight: &Flight,
        recorder: &Recorder,
    ) -> Option<Leg> {
        if failure.verdict.next != Next::Unproved || !Self::is_wanted(flight, recorder) {
            return None;
        }
        let call = leg.unproved(flight.endpoint)?;
        let asking = course.again(&leg.asking, self.io.clock.now())?;
        let words = leg.words.clone();
        self.acts_on_failure(flight, course).then_some(Leg { asking, call, words, resumption: None })
    }

    /// Whether anybody still waits for the answer.
    fn is_wanted(flight: &Flight, recorder: &Recorder) -> bool {
        recorder.recording().readers() > 0 || flight.is_alone()
    }

    /// Whether a failed attempt is followed by the one that would follow it; else that is noted, and it was
    /// the last.
    fn acts_on_failure(&self, flight: &Flight, course: &mut Course) -> bool {
        let observed = flight.failover == Mode::Observe;
        if observed {
            self.kept.telemetry.observed("failover");
            course.end();
        }
        !observed
    }

    /// Why a stream that broke off does not go on where nobody is asked next.
    fn unresumed(flight: &Flight, course: &Course) -> Unresumed {
        match flight.failover {
            Mode::Observe => Unresumed::Observed,
            _ if !course.goes_on() => Unresumed::NoAttemptLeft,
            _ => Unresumed::NoneReady,
        }
    }

    /// Who is asked next, if anybody is.
    fn onward(
        &self,
        flight: &Flight,
        course: &mut Course,
        failure: &Failure,
        recorder: &Recorder,
        deadline: Instant,
    ) -> Option<Onward> {
        if !Self::is_wanted(flight, recorder) {
            return None;
        }
        let Io { clock, chance, .. } = &self.io;
        let onward = course.next(&failure.verdict, clock.now(), deadline, chance.share())?;
        self.acts_on_failure(flight, course).then_some(onward)
    }
}

/// What a request consumes, to compare what models cost. About four bytes make a token; how long the answer
/// gets nobody knows yet.
fn typical(request: &ApiRequest) -> Usage {
    Usage { input: request.body.len() as u64 / 4, output: TYPICAL_OUTPUT, ..Usage::default() }
}

/// Why a target of a written route cannot be asked whatever it takes, where it cannot.
fn obstacle(
    request: &ApiRequest,
    decision: &Decision,
    wording: Option<&Wording>,
    target: &Target,
) -> Option<Cow<'static, str>> {
    match (&decision.pinned, wording) {
        (Some(maker), _) if **maker != *target.account.name => Some(Cow::Borrowed("state")),
        (_, Some(wording)) => wording.obstacle(target, request.model()),
        (_, None) if !same_language(request.endpoint, target) => Some(Cow::Borrowed("dialect")),
        (_, None) => is_another_model(request, decision, target).then_some(Cow::Borrowed("model")),
    }
}

/// Whether a target's vectors could not be compared with those of the route.
fn is_another_model(request: &ApiRequest, decision: &Decision, target: &Target) -> bool {
    let asked = request.model();
    request.endpoint.embeds() && target.asked(asked) != decision.route.embedder(request.endpoint).asked(asked)
}

/// A target has no words for something in a request.
pub(super) fn unsaid(target: Box<str>, error: &Untranslatable) -> ApiError {
    ApiError::unservable(&[(target, error.to_string().into())])
}

/// What the client is told of the last failure. Of a route of the file every provider that could help
/// has been tried by then: the client's SDK must not multiply the load.
fn told(failure: Failure, course: &Course, attempts: u32) -> Result<Opened, ApiError> {
    match failure.shown {
        Shown::Ours(error) => Err(ApiError { attempts, ..error }),
        Shown::Theirs(mut opened) => {
            let retryable = failure.verdict.next != Next::Nobody;
            if course.route().written && retryable {
                opened.headers.insert(SHOULD_RETRY, boolean(false));
            }
            Ok(*opened)
        }
    }
}
