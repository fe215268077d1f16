//! A second attempt beside a slow first one: the answer that begins sooner counts, the other call is
//! cancelled, and both are settled.

use std::pin::pin;
use std::time::Duration;

use tokio::time::sleep;

use super::Gateway;
use super::attempt::{Attempt, Cut};
use super::fare::Seat;
use super::fly::Flight;
use super::leg::{Asked, Leg};
use super::opening::{Failure, Opened};
use crate::config::Mode;
use crate::config::route::Hedge;
use crate::response::recording::Recorder;
use crate::route::course::Course;

/// An attempt and the call it makes.
pub(super) struct Run<'f> {
    pub(super) leg: Leg,
    pub(super) attempt: Attempt<'f>,
}

/// Whose answer it is.
enum Race {
    First(Result<Opened, Failure>),
    Second(Result<Opened, Failure>),
}

impl Gateway {
    /// Begins a run.
    pub(super) fn run<'f>(
        &'f self,
        flight: &'f Flight,
        mut leg: Leg,
        seat: Option<Seat>,
        recorder: &'f Recorder,
        cut: &'f Cut,
    ) -> Run<'f> {
        let attempt = self.attempt(flight, &mut leg, seat, recorder, cut);
        Run { leg, attempt }
    }

    /// Opens the answer of `first`, and beside it, once it is slow, that of another target.
    pub(super) async fn open_hedged<'f>(
        &'f self,
        flight: &'f Flight,
        mut first: Run<'f>,
        course: &mut Course,
        asked: Option<&Asked>,
        recorder: &'f Recorder,
        cut: &'f Cut,
    ) -> (Run<'f>, Result<Opened, Failure>) {
        let judged = course.route().written || course.goes_on();
        let after = asked.and_then(|asked| Some((asked, hedge_after(flight, course, &first.leg)?)));
        match after {
            None => {
                let opened = self.open(flight, &first.leg, judged, &mut first.attempt).await;
                (first, opened)
            }
            // Seldom, and large: every flight would carry the room for it.
            Some((asked, after)) => {
                Box::pin(self.race(flight, first, after, course, asked, recorder, cut)).await
            }
        }
    }

    /// The answer that begins sooner: that of `first`, or once it has been slow for `after`, that of another
    /// target.
    #[expect(clippy::too_many_arguments, reason = "what a run needs, and when the second begins")]
    async fn race<'f>(
        &'f self,
        flight: &'f Flight,
        mut first: Run<'f>,
        after: Duration,
        course: &mut Course,
        asked: &Asked,
        recorder: &'f Recorder,
        cut: &'f Cut,
    ) -> (Run<'f>, Result<Opened, Failure>) {
        // There is somebody else to ask.
        let judged = true;
        let mut second = None;
        let race = {
            let mut opening = pin!(self.open(flight, &first.leg, judged, &mut first.attempt));
            tokio::select! {
                biased;
                opened = &mut opening => Race::First(opened),
                () = sleep(after) => match self.second(flight, course, asked, recorder, cut).await {
                    None => Race::First(opening.await),
                    Some(run) => {
                        let run = second.insert(run);
                        let mut beside = pin!(self.open(flight, &run.leg, judged, &mut run.attempt));
                        tokio::select! {
                            biased;
                            opened = &mut opening => match opened {
                                Ok(opened) => Race::First(Ok(opened)),
                                Err(_) => Race::Second(beside.await),
                            },
                            opened = &mut beside => match opened {
                                Ok(opened) => Race::Second(Ok(opened)),
                                Err(_) => Race::First(opening.await),
                            },
                        }
                    }
                },
            }
        };
        match (race, second) {
            (Race::Second(opened), Some(second)) => (second, opened),
            (Race::First(opened) | Race::Second(opened), _) => (first, opened),
        }
    }

    /// The second run, where there is a target for it and limits have room.
    async fn second<'f>(
        &'f self,
        flight: &'f Flight,
        course: &mut Course,
        asked: &Asked,
        recorder: &'f Recorder,
        cut: &'f Cut,
    ) -> Option<Run<'f>> {
        if flight.hedge == Mode::Observe {
            self.kept.telemetry.observed("hedge");
            return None;
        }
        let asking = course.beside(self.io.clock.now())?;
        let (asking, seat) = self.seated(flight, course, asking).await?;
        let leg = asked.leg(asking).ok()?;
        Some(self.run(flight, leg, seat, recorder, cut))
    }
}

/// After which time a second attempt goes, where one may.
fn hedge_after(flight: &Flight, course: &Course, leg: &Leg) -> Option<Duration> {
    if flight.hedge == Mode::Skip || !course.goes_on() || leg.resumption.is_some() {
        return None;
    }
    match course.route().hedge? {
        Hedge::After(after) => Some(after),
        Hedge::P95 => leg.target().health()?.p95(),
    }
}
