//! One answer, whoever asks for it and however often.

pub mod cost;
pub mod headers;
pub mod packed;
pub mod price;
pub mod recording;
pub mod search;
pub mod shape;
pub mod unresumed;
pub mod usage;
pub mod view;

use bytes::Bytes;

use crate::error::ApiError;
use crate::sse::Event;
use recording::{Completed, Ending, Frame, Playback, Read};
use shape::Shape;
use unresumed::Unresumed;
use view::View;

/// The body of a response.
pub enum Body {
    /// All of it, known now.
    Whole(Bytes),
    /// It comes as it is recorded.
    Live(LiveBody),
}

/// A recording being played to one reader.
pub struct LiveBody {
    playback: Playback,
    view: View,
    /// Bytes already taken from the recording, to be sent first.
    ahead: Option<Bytes>,
    frames: Vec<Frame>,
    /// The event taken last, where an error event would have to be numbered after it.
    last: Option<Event>,
    ended: bool,
}

/// What a live body gives next.
pub enum Next {
    /// Some bytes to send.
    Bytes(Bytes),
    /// The proper end, and what is known of the answer by then.
    End(Option<Completed>),
    /// The answer broke off; these bytes say so in the reader's own dialect, and then the
    /// connection is cut rather than ended.
    Broken(Bytes, ApiError),
}

impl LiveBody {
    /// Plays `playback` in the form `view` asks for, after the frames already taken from it.
    pub fn new(playback: Playback, view: View, mut taken: Vec<Frame>) -> Self {
        let last = numbered(view, &taken);
        let ahead = Some(view.render(&mut taken)).filter(|bytes| !bytes.is_empty());
        Self { playback, view, ahead, frames: taken, last, ended: false }
    }

    /// The same for another reader, from the start. `None` where nobody may join any more.
    pub fn share(&self) -> Option<Self> {
        Some(Self::new(self.playback.recording().join()?, self.view, Vec::new()))
    }

    /// Waits for something to send.
    pub async fn next(&mut self) -> Next {
        if let Some(ahead) = self.ahead.take() {
            return Next::Bytes(ahead);
        }
        while !self.ended {
            match self.playback.read(&mut self.frames).await {
                Read::Frames => {
                    self.last = numbered(self.view, &self.frames).or(self.last.take());
                    let bytes = self.view.render(&mut self.frames);
                    if !bytes.is_empty() {
                        return Next::Bytes(bytes);
                    }
                }
                Read::End(ending) => {
                    self.ended = true;
                    match ending {
                        Ending::Complete(done) => return Next::End(Some(done)),
                        Ending::Failed(error) => return Next::Broken(self.last_words(&error), error),
                        Ending::Told(error) => return Next::Broken(Bytes::new(), error),
                    }
                }
            }
        }
        Next::End(None)
    }

    /// Why an answer that broke off did not go on elsewhere, where it was a stream.
    pub fn unresumed(&self) -> Option<Unresumed> {
        self.playback.recording().unresumed()
    }

    fn last_words(&self, error: &ApiError) -> Bytes {
        if !self.view.stream {
            return Bytes::new();
        }
        let ApiError { message, kind, code, .. } = error;
        shape::error_event(self.view.shape, self.last.as_ref(), message, kind, code).bytes().clone()
    }
}

/// The last of these events, where events have numbers.
fn numbered(view: View, frames: &[Frame]) -> Option<Event> {
    let event = |frame: &Frame| match frame {
        Frame::Event(event) => Some(event.clone()),
        _ => None,
    };
    if view.shape == Shape::Responses { frames.iter().rev().find_map(event) } else { None }
}
