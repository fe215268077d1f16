//! An answer being recorded: written once by whoever flies the call, read by many, each from the
//! start, each at its own pace.
//!
//! Even the first client is only a reader. The recording itself is the buffer: it is bounded, and
//! there is no queue per reader.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::price::Cost;
use super::unresumed::Unresumed;
use super::usage::Usage;
use crate::error::ApiError;
use crate::sse::Event;

/// The most a recording holds, in bytes. An answer beyond it is still delivered, but as a moving
/// window: it is not stored, nobody joins it any more, and the call waits for its only reader or
/// leaves the slowest of several behind.
pub const MAX_RECORDING: usize = 64 << 20;

/// Status and end-to-end headers of an answer.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The headers, framing aside.
    pub headers: HeaderMap,
    /// How the body is framed.
    pub form: Form,
    /// From the sending of the call to this head.
    pub upstream: Duration,
    /// Who answered.
    pub provider: Arc<str>,
    /// How many tries it took.
    pub attempts: u32,
}

/// How an answer's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One body, in pieces that mean nothing.
    Whole,
    /// Server-sent events.
    Events,
}

/// One piece of an answer.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Some bytes of a whole body.
    Piece(Bytes),
    /// One event.
    Event(Event),
    /// The provider shows that it is alive (an SSE comment). Never stored.
    KeepAlive,
    /// An SSE comment of ours, as it is written. Never stored.
    Comment(Bytes),
}

impl Frame {
    /// Bytes of the answer in this frame.
    #[expect(clippy::len_without_is_empty, reason = "no frame is empty")]
    pub fn len(&self) -> usize {
        match self {
            Self::Piece(bytes) => bytes.len(),
            Self::Event(event) => event.bytes().len(),
            Self::KeepAlive => 1,
            Self::Comment(bytes) => bytes.len(),
        }
    }

    /// The event, where it is one.
    pub const fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}

/// How an answer ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// Properly.
    Complete(Completed),
    /// Before its end; nothing of it is stored.
    Failed(ApiError),
    /// Before its end, as the provider itself said in the last frame.
    Told(ApiError),
}

/// What is known of an answer once it is complete.
#[derive(Clone, Debug, Default)]
pub struct Completed {
    /// It is in the cache now.
    pub stored: bool,
    /// From the sending of the call to the end of the answer.
    pub upstream: Duration,
    /// What it consumed, where the provider said.
    pub usage: Option<Usage>,
    /// What that costs, where the model's price is known.
    pub cost: Option<Cost>,
    /// The model that answered, as the provider names it.
    pub model: Option<Box<str>>,
    /// How often it broke off and went on elsewhere.
    pub resumed: u32,
}

struct State {
    head: Option<Arc<ResponseHead>>,
    frames: VecDeque<Frame>,
    /// How many frames were dropped from the front: the index of the first one kept.
    dropped: usize,
    bytes: usize,
    ending: Option<Ending>,
    /// Where each reader is; `None` is a free slot.
    readers: Vec<Option<usize>>,
    reading: usize,
    /// Nobody may join: all readers left and the call is being stopped, or it outgrew its bound.
    closed: bool,
}

/// An answer under way, shared by its writer and its readers.
pub struct Recording {
    state: Mutex<State>,
    /// Another sidecar makes the call.
    elsewhere: AtomicBool,
    unresumed: OnceLock<Unresumed>,
    /// Something new to read.
    grown: Notify,
    /// A reader moved on or left.
    read: Notify,
}

/// The writing end. Dropped without [`Recorder::finish`] (a panic, a cancelled task) it ends the
/// recording as failed, so that no reader waits forever.
pub struct Recorder(Arc<Recording>);

/// One reader of a recording.
pub struct Playback {
    recording: Arc<Recording>,
    slot: usize,
}

impl Recording {
    /// A new recording: its writing end and its first reader.
    pub fn start() -> (Recorder, Playback) {
        let state = State {
            head: None,
            frames: VecDeque::new(),
            dropped: 0,
            bytes: 0,
            ending: None,
            readers: vec![Some(0)],
            reading: 1,
            closed: false,
        };
        let recording = Arc::new(Self {
            state: Mutex::new(state),
            elsewhere: AtomicBool::new(false),
            unresumed: OnceLock::new(),
            grown: Notify::new(),
            read: Notify::new(),
        });
        (Recorder(recording.clone()), Playback { recording, slot: 0 })
    }

    /// Another reader, from the start. `None` where nobody may join: the call is being stopped,
    /// outgrew its bound, has failed, or turned out to be a provider's error, which each caller
    /// should hear from a call of its own.
    pub fn join(self: &Arc<Self>) -> Option<Playback> {
        let mut state = self.state.lock();
        if !state.is_joinable() {
            return None;
        }
        let slot = match state.readers.iter().position(Option::is_none) {
            Some(free) if state.reading < state.readers.len() => free,
            _ => {
                state.readers.push(None);
                state.readers.len() - 1
            }
        };
        state.readers[slot] = Some(0);
        state.reading += 1;
        Some(Playback { recording: self.clone(), slot })
    }

    /// Whether [`Recording::join`] would give a seat.
    pub fn joinable(&self) -> bool {
        self.state.lock().is_joinable()
    }

    /// Resolves once the last reader has left; nobody can join from then on.
    pub async fn abandoned(&self) {
        loop {
            let moved = self.read.notified();
            {
                let mut state = self.state.lock();
                if state.reading == 0 {
                    state.closed = true;
                    return;
                }
            }
            moved.await;
        }
    }

    /// All frames, where none was dropped.
    pub fn frames(&self) -> Option<Vec<Frame>> {
        self.frames_from(0)
    }

    /// The frames from this place on, where none of them was dropped.
    pub fn frames_from(&self, place: usize) -> Option<Vec<Frame>> {
        let state = self.state.lock();
        let kept = place.checked_sub(state.dropped)?;
        Some(state.frames.iter().skip(kept).cloned().collect())
    }

    /// The place of the next frame.
    pub fn place(&self) -> usize {
        let state = self.state.lock();
        state.dropped + state.frames.len()
    }

    /// Notes that another sidecar makes the call; before its head.
    pub fn comes_from_elsewhere(&self) {
        self.elsewhere.store(true, Relaxed);
    }

    /// Whether another sidecar makes the call.
    pub fn is_from_elsewhere(&self) -> bool {
        self.elsewhere.load(Relaxed)
    }

    /// Notes why it breaks off and nobody goes on with it; before its end.
    pub fn breaks_off(&self, why: Unresumed) {
        let _ = self.unresumed.set(why);
    }

    /// Why nobody went on with it, where it broke off.
    pub fn unresumed(&self) -> Option<Unresumed> {
        self.unresumed.get().copied()
    }

    /// How many read this now.
    pub fn readers(&self) -> usize {
        self.state.lock().reading
    }

    fn end(&self, ending: Ending) {
        let mut state = self.state.lock();
        if state.ending.is_none() {
            state.ending = Some(ending);
        }
        drop(state);
        self.grown.notify_waiters();
    }
}

impl Recorder {
    /// The recording written to.
    pub fn recording(&self) -> &Arc<Recording> {
        &self.0
    }

    /// Sets status and headers; readers that wait for the head go on.
    pub fn head(&self, head: ResponseHead) {
        self.0.state.lock().head = Some(Arc::new(head));
        self.0.grown.notify_waiters();
    }

    /// Adds a frame. Waits only where the recording is full and its one reader is behind.
    pub async fn push(&self, frame: Frame) {
        let size = frame.len();
        {
            let mut state = self.0.state.lock();
            state.bytes += size;
            state.frames.push_back(frame);
        }
        self.0.grown.notify_waiters();
        loop {
            let moved = self.0.read.notified();
            if self.0.state.lock().fits() {
                return;
            }
            moved.await;
        }
    }

    /// Ends the recording.
    pub fn finish(self, ending: Ending) {
        self.0.end(ending);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.0.end(Ending::Failed(ApiError::unavailable(
            "The call to the provider was broken off inside pareto. Try again.",
        )));
    }
}

impl State {
    fn is_joinable(&self) -> bool {
        let refused = self.head.as_ref().is_some_and(|head| !head.status.is_success());
        let failed = matches!(self.ending, Some(Ending::Failed(_) | Ending::Told(_)));
        !(self.closed || refused || failed)
    }

    /// Makes room in a recording that is over its bound; false where its reader must catch up first.
    fn fits(&mut self) -> bool {
        if self.bytes <= MAX_RECORDING {
            return true;
        }
        self.closed = true;
        self.drop_read();
        let furthest = self.readers.iter().flatten().copied().max().unwrap_or(0);
        while self.bytes > MAX_RECORDING {
            // Only who holds the others up is left behind, and never the one furthest on.
            let slowest =
                self.readers.iter_mut().filter(|reader| reader.is_some()).min_by_key(|reader| **reader);
            let Some(slowest) = slowest.filter(|reader| **reader < Some(furthest)) else { break };
            *slowest = None;
            self.reading -= 1;
            self.drop_read();
        }
        self.bytes <= MAX_RECORDING || self.reading == 0
    }

    /// Drops the frames that every reader has read.
    fn drop_read(&mut self) {
        let read = self.readers.iter().flatten().copied().min().unwrap_or(usize::MAX);
        while self.dropped < read {
            let Some(frame) = self.frames.pop_front() else { break };
            self.bytes -= frame.len();
            self.dropped += 1;
        }
    }
}

/// What a reader finds.
pub enum Read {
    /// Frames were added to the buffer.
    Frames,
    /// Nothing more comes.
    End(Ending),
}

impl Playback {
    /// Waits for the head.
    ///
    /// # Errors
    /// The call failed before it had one.
    pub async fn head(&self) -> Result<Arc<ResponseHead>, ApiError> {
        loop {
            let grown = self.recording.grown.notified();
            {
                let state = self.recording.state.lock();
                match (&state.head, &state.ending) {
                    (Some(head), _) => return Ok(head.clone()),
                    (None, Some(Ending::Failed(error) | Ending::Told(error))) => return Err(error.clone()),
                    (None, Some(Ending::Complete(_))) => {
                        return Err(ApiError::unavailable("The call ended without an answer."));
                    }
                    (None, None) => {}
                }
            }
            grown.await;
        }
    }

    /// Adds all frames not yet read to `frames`, waiting for one where there is none.
    pub async fn read(&self, frames: &mut Vec<Frame>) -> Read {
        loop {
            let grown = self.recording.grown.notified();
            if let Some(read) = self.take(frames) {
                return read;
            }
            grown.await;
        }
    }

    fn take(&self, frames: &mut Vec<Frame>) -> Option<Read> {
        let mut state = self.recording.state.lock();
        let Some(position) = state.readers[self.slot] else {
            return Some(Read::End(Ending::Failed(ApiError::unavailable(
                "This reader fell too far behind an answer that others share.",
            ))));
        };
        let end = state.dropped + state.frames.len();
        if position == end {
            return state.ending.clone().map(Read::End);
        }
        frames.extend(state.frames.range(position - state.dropped..).cloned());
        state.readers[self.slot] = Some(end);
        let waited_for = state.bytes > MAX_RECORDING;
        drop(state);
        if waited_for {
            self.recording.read.notify_waiters();
        }
        Some(Read::Frames)
    }

    /// The recording read from.
    pub fn recording(&self) -> &Arc<Recording> {
        &self.recording
    }
}

impl Drop for Playback {
    fn drop(&mut self) {
        let mut state = self.recording.state.lock();
        if state.readers[self.slot].take().is_some() {
            state.reading -= 1;
        }
        let notify = state.reading == 0 || state.bytes > MAX_RECORDING;
        drop(state);
        if notify {
            self.recording.read.notify_waiters();
        }
    }
}
