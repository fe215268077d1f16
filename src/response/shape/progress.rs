//! An answer followed event by event while it streams.

use super::gemini::GeminiProgress;
use super::messages::MessagesProgress;
use super::openai::ChunkProgress;
use super::responses::ResponsesProgress;
use super::{Shape, Signal};
use crate::response::usage::Usage;
use crate::sse::Event;

/// What is known of a streaming answer so far: has it ended, is it whole, what did it use. One light
/// look at each event, no tree.
#[derive(Clone, Debug)]
pub struct Progress {
    choices: usize,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Chunks(ChunkProgress),
    Responses(ResponsesProgress),
    Messages(MessagesProgress),
    Gemini(GeminiProgress),
    /// No answer of this shape streams.
    Never,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More must come: if the bytes end here, the answer was cut.
    Open,
    /// Proven complete.
    Complete,
    /// At its proper end, but not worth keeping: why.
    Unstorable(&'static str),
    /// The provider has said, in the stream, that it failed.
    Failed,
}

impl Progress {
    /// A stream of this shape that has not begun.
    pub fn new(shape: Shape) -> Self {
        let state = match shape {
            Shape::Chat | Shape::Completions => State::Chunks(ChunkProgress::default()),
            Shape::Responses => State::Responses(ResponsesProgress::default()),
            Shape::Messages => State::Messages(MessagesProgress::default()),
            Shape::Gemini => State::Gemini(GeminiProgress::default()),
            Shape::Plain => State::Never,
        };
        Self { choices: 1, state }
    }

    /// How many choices the request asked for (`n`, `candidateCount`): an answer with fewer is not whole.
    pub fn expecting(mut self, choices: usize) -> Self {
        self.choices = choices.max(1);
        self
    }

    /// Takes note of the next event.
    pub fn observe(&mut self, event: &Event) -> Signal {
        match &mut self.state {
            State::Chunks(state) => state.observe(event),
            State::Responses(state) => state.observe(event),
            State::Messages(state) => state.observe(event),
            State::Gemini(state) => state.observe(event),
            State::Never => Signal::Malformed,
        }
    }

    /// How far the stream has come.
    pub fn end(&self) -> End {
        match &self.state {
            State::Chunks(state) => state.end(self.choices),
            State::Responses(state) => state.end(),
            State::Messages(state) => state.end(),
            State::Gemini(state) => state.end(self.choices),
            State::Never => End::Open,
        }
    }

    /// Whether the client has been told how the answer ended, well or badly. If the bytes end before
    /// that, it needs an error event of ours.
    pub fn ended(&self) -> bool {
        self.end() != End::Open
    }

    /// Whether the answer is proven complete and may be kept, or why not. Tool arguments are judged
    /// once the stream is folded, by [`round_trips`](super::round_trips).
    pub fn storable(&self) -> Result<(), &'static str> {
        match self.end() {
            End::Complete => Ok(()),
            End::Open => Err("the stream was cut"),
            End::Unstorable(reason) => Err(reason),
            End::Failed => Err("an error inside the answer"),
        }
    }

    /// The tokens used, as last reported.
    pub fn usage(&self) -> Option<Usage> {
        match &self.state {
            State::Chunks(state) => state.usage(),
            State::Responses(state) => state.usage(),
            State::Messages(state) => state.usage(),
            State::Gemini(state) => state.usage(),
            State::Never => None,
        }
    }

    /// The model that answers, as it names itself.
    pub fn model(&self) -> Option<&str> {
        match &self.state {
            State::Chunks(state) => state.model(),
            State::Responses(state) => state.model(),
            State::Messages(state) => state.model(),
            State::Gemini(state) => state.model(),
            State::Never => None,
        }
    }
}
