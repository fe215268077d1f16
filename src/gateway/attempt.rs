//! One attempt: metered from its sending to its end, however it ends, and settled exactly once.

use std::sync::{Arc, OnceLock};

use super::Gateway;
use super::fare::{Fare, Seat};
use super::fly::Flight;
use super::leg::Leg;
use crate::exchange::Flown;
use crate::response::recording::{Recorder, Recording};
use crate::route::Target;
use crate::route::health::{Busy, Leave};
use crate::route::verdict::Verdict;

/// What ends attempts from outside: why the flight itself was ended, once it was.
pub(super) type Cut = OnceLock<&'static str>;

/// One attempt under way. Dropped before it has ended it was cut, or lost a race.
pub(super) struct Attempt<'f> {
    pub(super) flown: Flown,
    gateway: &'f Gateway,
    target: Arc<Target>,
    cut: &'f Cut,
    leave: Option<Leave>,
    busy: Option<Busy>,
    fare: Option<&'f Fare>,
    /// What it holds of the limits of its provider.
    seat: Option<Seat>,
    /// Nothing more is learned of it: it is in the books.
    closed: bool,
    recording: &'f Recording,
    /// Where in the recording its own answer begins: another one's half may be before that.
    begun: usize,
}

impl Gateway {
    /// Begins an attempt.
    pub(super) fn attempt<'f>(
        &'f self,
        flight: &'f Flight,
        leg: &mut Leg,
        seat: Option<Seat>,
        recorder: &'f Recorder,
        cut: &'f Cut,
    ) -> Attempt<'f> {
        let target = leg.target();
        let asked = match &target.model {
            Some(model) => Some(model.clone()),
            None => flight.model.clone(),
        };
        let now = self.io.clock.now();
        let flown =
            Flown::new(target.account.name.clone(), flight.endpoint, flight.tenant.clone(), asked, now);
        let busy = target.occupy();
        if let Some(fare) = &flight.fare {
            fare.depart(target.asked(flight.model.as_deref()), None);
        }
        if let Some(seat) = &seat {
            seat.depart();
        }
        let (leave, fare, recording) = (leg.asking.leave.take(), flight.fare.as_ref(), recorder.recording());
        Attempt {
            flown,
            gateway: self,
            target: leg.target().clone(),
            cut,
            leave,
            busy,
            fare,
            seat,
            closed: false,
            recording,
            begun: recording.place(),
        }
    }
}

impl Attempt<'_> {
    /// The head of the answer is there: it may say what is left to the key.
    pub(super) fn learned(&self, headers: &http::HeaderMap) {
        if let Some(leave) = &self.leave {
            leave.learned(headers, self.gateway.io.clock.now(), self.gateway.io.clock.wall());
        }
    }

    /// The head goes out: it says how the limits stand that count this attempt.
    pub(super) fn tell_limits(&self) {
        if let (Some(fare), Some(seat)) = (self.fare, &self.seat) {
            fare.tell(|| seat.standings());
        }
    }

    /// The target has begun to answer, or its answer is the client's affair.
    pub(super) fn answered(&mut self) {
        if let Some(leave) = &mut self.leave {
            leave.succeeded(self.gateway.io.clock.now());
        }
    }

    /// The attempt has failed.
    pub(super) fn failed(&mut self, verdict: &Verdict) {
        self.flown.billed = verdict.billed;
        if let Some(leave) = &mut self.leave {
            leave.failed(verdict, self.gateway.io.clock.now());
        }
    }
}

impl Attempt<'_> {
    /// Puts it into the books: what it consumed is settled where it counts.
    pub(super) fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.busy.take();
        if self.flown.result == Flown::UNDER_WAY {
            self.flown.result = match self.cut.get() {
                Some(reason) => reason,
                None => {
                    // It has been slow for this long, whatever it would have come to.
                    let now = self.gateway.io.clock.now();
                    self.target.observe(now.saturating_duration_since(self.flown.started), now);
                    "outrun"
                }
            };
        }
        if let Some(fare) = self.fare {
            let own = || self.recording.frames_from(self.begun);
            let used = self.gateway.meter(fare, &mut self.flown, own);
            self.flown.shared = fare.is_shared();
            fare.bill(&self.flown);
            fare.ended(self.flown.model.as_deref(), None, used);
            if let Some(seat) = self.seat.take() {
                seat.settle(used);
            }
        }
        self.gateway.kept.telemetry.flown(&self.flown, self.gateway.io.clock.now());
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.close();
    }
}
