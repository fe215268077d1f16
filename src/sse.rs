//! Server-sent events: bytes in any chunking become whole events, and events become canonical bytes.
//!
//! The rules are those of the WHATWG HTML standard, section 9.2, with the care real clients need: what
//! is written never has an `id:`, a `retry:`, a byte order mark or an event without data, because
//! widespread SDKs fail on each of them. Everything works on bytes, so a character split over two
//! chunks is never cut.

mod decode;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use decode::{Decoder, Item, Tail, TooLong};

/// The data of the event that ends a stream of OpenAI's.
const DONE: &[u8] = b"[DONE]";
const DATA: &[u8] = b"data: ";
const NAME: &[u8] = b"event: ";
const END: &[u8] = b"\n\n";

/// One event, kept in the form it is written in: `data: …\n\n` or `event: name\ndata: …\n\n`.
///
/// A clone shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    raw: Bytes,
    name_len: u32,
    /// The data of an event whose data has several lines; on the wire each line has its own `data:`.
    lines: Option<Arc<[u8]>>,
}

impl Event {
    /// An event with this data. Line breaks within `data` become several `data:` lines, a line break
    /// ends `name`; an empty name is no name.
    pub fn new(name: Option<&str>, data: &[u8]) -> Self {
        Self::encode(name.unwrap_or_default().as_bytes(), data)
    }

    /// The event `data: [DONE]`.
    pub fn done() -> Self {
        Self { raw: Bytes::from_static(b"data: [DONE]\n\n"), name_len: 0, lines: None }
    }

    /// The data: for every API here one JSON document, or `[DONE]`.
    pub fn data(&self) -> &[u8] {
        match &self.lines {
            Some(lines) => lines,
            None => self.raw.get(self.data_range()).unwrap_or_default(),
        }
    }

    /// The name, where the event has one.
    pub fn name(&self) -> Option<&[u8]> {
        let len = self.name_len as usize;
        if len == 0 { None } else { self.raw.get(NAME.len()..NAME.len() + len) }
    }

    /// The event as it is written to a client.
    pub fn bytes(&self) -> &Bytes {
        &self.raw
    }

    /// Whether this is `data: [DONE]`.
    pub fn is_done(&self) -> bool {
        self.data() == DONE
    }

    /// The same event with a part of its data left out. `cut` outside the data leaves the event as it is.
    pub fn without(&self, cut: Range<usize>) -> Self {
        let data = self.data();
        if cut.start > cut.end || cut.end > data.len() {
            return self.clone();
        }
        if self.lines.is_some() {
            return Self::encode(
                self.name().unwrap_or_default(),
                &[&data[..cut.start], &data[cut.end..]].concat(),
            );
        }
        let from = self.data_range().start;
        let raw = [&self.raw[..from + cut.start], &self.raw[from + cut.end..]].concat();
        Self { raw: raw.into(), name_len: self.name_len, lines: None }
    }

    /// Wraps bytes that are in canonical form already, with single-line data.
    fn canonical(raw: Bytes, name_len: usize) -> Self {
        Self { raw, name_len: u32::try_from(name_len).unwrap_or(0), lines: None }
    }

    fn encode(name: &[u8], data: &[u8]) -> Self {
        let mut writer = EventWriter::with_capacity(NAME.len() + name.len() + DATA.len() + data.len() + 3);
        writer.event(name, |out| out.extend_from_slice(data));
        // The writer has been given one event, so it holds one.
        writer.finish().pop().unwrap_or_else(Self::done)
    }

    fn data_range(&self) -> Range<usize> {
        let head = if self.name_len == 0 { 0 } else { NAME.len() + self.name_len as usize + 1 };
        head + DATA.len()..self.raw.len().saturating_sub(END.len())
    }
}

/// Writes many events into one buffer, which all of them then share.
#[derive(Debug, Default)]
pub struct EventWriter {
    buf: Vec<u8>,
    marks: Vec<Mark>,
}

#[derive(Debug)]
struct Mark {
    end: usize,
    name_len: usize,
    lines: Option<Arc<[u8]>>,
}

impl EventWriter {
    /// A writer with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buf: Vec::with_capacity(bytes), marks: Vec::new() }
    }

    /// Adds one event whose data `write` appends to the buffer. An empty name is no name.
    pub fn event(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let name = name.split(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
        if !name.is_empty() {
            self.buf.extend_from_slice(NAME);
            self.buf.extend_from_slice(name);
            self.buf.push(b'\n');
        }
        self.buf.extend_from_slice(DATA);
        let start = self.buf.len();
        write(&mut self.buf);
        let lines = self.break_lines(start);
        self.buf.extend_from_slice(END);
        self.marks.push(Mark { end: self.buf.len(), name_len: name.len(), lines });
    }

    /// The events written, in order.
    pub fn finish(self) -> Vec<Event> {
        let all = Bytes::from(self.buf);
        let mut start = 0;
        let mut events = Vec::with_capacity(self.marks.len());
        for Mark { end, name_len, lines } in self.marks {
            events.push(Event { lines, ..Event::canonical(all.slice(start..end), name_len) });
            start = end;
        }
        events
    }

    /// Gives each line of the data written since `start` its own `data:`, and returns the data whole.
    fn break_lines(&mut self, start: usize) -> Option<Arc<[u8]>> {
        memchr::memchr2(b'\n', b'\r', self.buf.get(start..)?)?;
        let text = self.buf.split_off(start);
        let mut data = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            data.extend_from_slice(&rest[..at]);
            data.push(b'\n');
            let crlf = rest[at..].starts_with(b"\r\n");
            rest = &rest[at + 1 + usize::from(crlf)..];
        }
        data.extend_from_slice(rest);
        for (index, line) in data.split(|b| *b == b'\n').enumerate() {
            if index > 0 {
                self.buf.push(b'\n');
                self.buf.extend_from_slice(DATA);
            }
            self.buf.extend_from_slice(line);
        }
        Some(data.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_with_one_data_line_and_reads_back() {
        let event = Event::new(Some("response.created"), b"{\"a\":1}");
        assert_eq!(event.bytes().as_ref(), b"event: response.created\ndata: {\"a\":1}\n\n");
        assert_eq!(event.name(), Some(&b"response.created"[..]));
        assert_eq!(event.data(), b"{\"a\":1}");
        assert!(!event.is_done());
        assert!(Event::new(None, b"[DONE]").is_done());
        assert_eq!(Event::new(None, b"[DONE]"), Event::done());
    }

    #[test]
    fn a_line_break_never_breaks_out_of_the_data_or_the_name() {
        let event = Event::new(Some("a\nid: 7"), b"one\r\ntwo\rthree");
        assert_eq!(event.bytes().as_ref(), b"event: a\ndata: one\ndata: two\ndata: three\n\n");
        assert_eq!(event.data(), b"one\ntwo\nthree");
    }

    #[test]
    fn cutting_keeps_the_name_and_the_other_bytes() {
        let event = Event::new(Some("x"), b"{\"a\":1,\"b\":2}");
        assert_eq!(event.without(6..12).bytes().as_ref(), b"event: x\ndata: {\"a\":1}\n\n");
        assert_eq!(event.without(90..99), event);
    }
}
