//! One answer in the form its reader asked for: events or one body, with or without the usage
//! frame. The recording is the same for all.

use bytes::{Bytes, BytesMut};

use super::recording::{Form, Frame};
use super::shape::{self, Shape, Unfoldable};
use crate::sse::Event;

/// What one reader asked for.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The wire shape of the endpoint.
    pub shape: Shape,
    /// Events rather than one body.
    pub stream: bool,
    /// The reader asked for the usage frame, or its shape always has usage.
    pub usage: bool,
}

/// What a keep-alive looks like: a comment, which clients pass over.
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

impl View {
    /// The frames of a live answer as bytes for this reader; empty where they hold nothing for it.
    pub fn render(self, frames: &mut Vec<Frame>) -> Bytes {
        if let [frame] = frames.as_slice() {
            let alone = self.render_one(frame);
            frames.clear();
            return alone;
        }
        let mut out = BytesMut::new();
        for frame in frames.drain(..) {
            out.extend_from_slice(&self.render_one(&frame));
        }
        out.freeze()
    }

    fn render_one(self, frame: &Frame) -> Bytes {
        match frame {
            // Google's Python SDK takes a comment for a piece of JSON (google-genai 3.4, `_RawJsonLineBuffer`).
            Frame::Comment(_) | Frame::KeepAlive if self.shape == Shape::Gemini => Bytes::new(),
            Frame::Piece(bytes) | Frame::Comment(bytes) => bytes.clone(),
            Frame::KeepAlive => Bytes::from_static(KEEP_ALIVE),
            Frame::Event(event) => self.render_event(event),
        }
    }

    fn render_event(self, event: &Event) -> Bytes {
        if self.usage {
            return event.bytes().clone();
        }
        shape::hide_usage(self.shape, event).map(|event| event.bytes().clone()).unwrap_or_default()
    }

    /// A complete answer as this reader's whole body: folded, unfolded or as it is.
    ///
    /// # Errors
    /// The answer cannot be said in the other form.
    pub fn whole(self, form: Form, frames: &[Frame]) -> Result<Bytes, Unfoldable> {
        match (form, self.stream) {
            (Form::Whole, false) => Ok(pieces(frames)),
            (Form::Whole, true) => self.unfolded(&pieces(frames)),
            (Form::Events, true) => {
                let mut shown: Vec<_> =
                    frames.iter().filter(|f| matches!(f, Frame::Event(_))).cloned().collect();
                Ok(self.render(&mut shown))
            }
            (Form::Events, false) => shape::fold(self.shape, &events(frames)),
        }
    }

    /// A JSON body as events.
    ///
    /// # Errors
    /// The body is not one this shape can say in events.
    pub fn unfolded(self, body: &[u8]) -> Result<Bytes, Unfoldable> {
        let events = shape::unfold(self.shape, body)?;
        let mut out = BytesMut::with_capacity(events.iter().map(|event| event.bytes().len()).sum());
        for event in &events {
            out.extend_from_slice(&self.render_event(event));
        }
        Ok(out.freeze())
    }
}

/// The pieces of a whole body as one; a single piece is not copied.
pub fn pieces(frames: &[Frame]) -> Bytes {
    if let [Frame::Piece(only)] = frames {
        return only.clone();
    }
    let mut out = BytesMut::new();
    for frame in frames {
        if let Frame::Piece(bytes) = frame {
            out.extend_from_slice(bytes);
        }
    }
    out.freeze()
}

/// The events among some frames.
pub fn events(frames: &[Frame]) -> Vec<Event> {
    let event = |frame: &Frame| match frame {
        Frame::Event(event) => Some(event.clone()),
        _ => None,
    };
    frames.iter().filter_map(event).collect()
}
