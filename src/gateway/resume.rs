//! A stream that broke off in the middle goes on at a target that can go on from its text: the client
//! sees one answer, and the books all calls.

use std::sync::Arc;

use bytes::Bytes;

use super::Gateway;
use super::events::EventStream;
use super::fly::Flight;
use super::hedge::Run;
use super::leg::Asked;
use super::opening::{Failure, Shown};
use super::record::{Lost, Recorded};
use super::translate::Words;
use crate::config::Mode;
use crate::dialect::resume::{self, Partial};
use crate::dialect::{Api, Prompt};
use crate::limits::estimate::Estimate;
use crate::response::price::Cost;
use crate::response::recording::{Completed, Ending, Frame, Recorder};
use crate::response::shape::Progress;
use crate::response::unresumed::Unresumed;
use crate::response::usage::Usage;
use crate::route::course::Course;
use crate::route::verdict::Next;
use crate::sse::Event;

/// What is known of an answer that broke off, to whoever goes on with it.
pub(super) struct Resumption {
    /// What the client was told.
    pub(super) partial: Partial,
    /// What is asked for its rest.
    pub(super) prompt: Arc<Prompt>,
    /// How far the answer has come.
    progress: Progress,
    /// What all calls before have consumed, and what that costs.
    pub(super) before: Usage,
    cost: Option<Cost>,
    /// How often it broke off.
    times: u32,
}

/// An answer that broke off, until it goes on or nobody is left to ask.
pub(super) struct Broken {
    pub(super) recorded: Recorded,
    /// The provider's own word on it, not told yet.
    pub(super) told: Option<Event>,
    pub(super) resumption: Arc<Resumption>,
}

impl Broken {
    /// Nobody goes on with it: the client is told so, and the log why.
    pub(super) async fn end(self, why: Unresumed, recorder: &Recorder) -> Recorded {
        last_word(self.recorded, self.told, why, recorder).await
    }
}

/// Ends an answer with the provider's own last word, where it had one.
async fn last_word(recorded: Recorded, told: Option<Event>, why: Unresumed, recorder: &Recorder) -> Recorded {
    recorder.recording().breaks_off(why);
    if let Some(event) = told {
        recorder.push(Frame::Event(event)).await;
    }
    recorded
}

impl Failure {
    /// The same of the rest of an answer. Who refuses that cannot go on: the request itself was fine with
    /// whoever began to answer it, so another may be asked.
    pub(super) fn of_rest(mut self) -> Self {
        if self.verdict.next == Next::Nobody {
            self.verdict.next = Next::Others;
        }
        self
    }
}

impl Resumption {
    /// The events of the rest: those of the answer as a whole.
    pub(super) fn stream(&self) -> EventStream {
        EventStream::following(self.progress.clone())
    }

    /// What is known of the whole answer once its rest is complete.
    pub(super) fn whole(&self, rest: Completed) -> Completed {
        Completed {
            usage: rest.usage.map(|usage| usage.and(&self.before)),
            cost: rest.cost.zip(self.cost).map(|(rest, before)| rest + before),
            resumed: self.times,
            ..rest
        }
    }

    /// Says in the stream, to whoever reads it by eye, that another provider goes on: the headers are gone,
    /// and clients pass over a comment.
    pub(super) fn note(provider: &str) -> Frame {
        Frame::Comment(Bytes::from(format!(": x-pareto-resumed: {provider}\n\n")))
    }
}

impl Gateway {
    /// What becomes of an answer that was recorded: where it broke off and is to go on, that, and what it
    /// means for who is asked next; else how it ends.
    pub(super) async fn broke(
        &self,
        flight: &Flight,
        mut recorded: Recorded,
        run: &mut Run<'_>,
        course: &mut Course,
        asked: Option<&Asked>,
        recorder: &Recorder,
    ) -> Result<(Broken, Failure), Recorded> {
        let Some(lost) = recorded.lost.take() else { return Err(recorded) };
        let Lost { verdict, told } = *lost;
        let (Ending::Failed(error) | Ending::Told(error)) = &recorded.ending else { return Err(recorded) };
        match self.resumption(flight, run, asked, course, recorder) {
            Ok(resumption) => {
                let failure = Failure { verdict, shown: Shown::Ours(error.clone()) };
                Ok((Broken { recorded, told, resumption }, failure))
            }
            Err(why) => Err(last_word(recorded, told, why, recorder).await),
        }
    }

    /// How the answer of `run`, which broke off, could go on; from then on only targets that can do it are
    /// asked.
    ///
    /// # Errors
    /// It is to end as it is.
    fn resumption(
        &self,
        flight: &Flight,
        run: &mut Run<'_>,
        asked: Option<&Asked>,
        course: &mut Course,
        recorder: &Recorder,
    ) -> Result<Arc<Resumption>, Unresumed> {
        if !course.route().resume || flight.failover == Mode::Skip {
            return Err(Unresumed::Off);
        }
        let asked = asked.filter(|_| course.goes_on()).ok_or(Unresumed::NoAttemptLeft)?;
        let client = Api::of(flight.endpoint).ok_or(Unresumed::Endpoint)?;
        let frames = recorder.recording().frames().ok_or(Unresumed::TooLong)?;
        let events = || frames.iter().filter_map(Frame::event);
        let partial = Partial::heard(client, events())?;
        let prompt = asked.prompt(client).filter(resume::is_resumable).ok_or(Unresumed::Request)?;
        let mut progress = Progress::new(flight.shape).expecting(flight.choices);
        events().for_each(|event| {
            progress.observe(event);
        });
        let earlier = run.leg.resumption.clone();
        let (usage, cost) = self.spent(run, earlier.as_deref(), &partial);
        let before = earlier.as_ref().map_or(usage, |earlier| usage.and(&earlier.before));
        let cost = match &earlier {
            Some(earlier) => cost.zip(earlier.cost).map(|(now, before)| now + before),
            None => cost,
        };
        let prompt = Arc::new(resume::rest(&prompt, &partial, before.output));
        let times = earlier.map_or(0, |earlier| earlier.times) + 1;
        let resumption = Resumption { partial, prompt, progress, before, cost, times };
        let able = course.keep(|target| {
            let text = !resumption.partial.prefix().is_empty();
            (!text || target.goes_on) && Words::rest(target, asked.model(), &resumption).is_ok()
        });
        if able { Ok(Arc::new(resumption)) } else { Err(Unresumed::NoTarget) }
    }

    /// What a call has consumed that broke off before it said so: by the tokenizer.
    fn spent(
        &self,
        run: &mut Run<'_>,
        earlier: Option<&Resumption>,
        partial: &Partial,
    ) -> (Usage, Option<Cost>) {
        let flown = &mut run.attempt.flown;
        let model = flown.model.as_deref().unwrap_or_default();
        let estimate = Estimate::of(model, &run.leg.call.body);
        let told = earlier.map_or(0, |earlier| earlier.partial.text.len());
        let output = estimate.tokenizer.count(partial.text.get(told..).unwrap_or_default());
        let usage = Usage { input: estimate.input, output, estimated: true, ..Usage::default() };
        flown.usage = Some(usage);
        flown.cost = self.prices.cost(model, &usage);
        (usage, flown.cost)
    }
}
