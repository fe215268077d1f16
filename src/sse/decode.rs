//! Bytes to events, incrementally.

use bytes::{Buf, Bytes};
use memchr::memchr2;
use serde::de::IgnoredAny;

use super::{DATA, DONE, Event, NAME};

/// Work buffers above this many bytes are given back after an event, so that one big event does not
/// make a long quiet stream big.
const KEEP: usize = 16 * 1024;

/// What a stream consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A whole event.
    Event(Event),
    /// A comment as it is written, `: text\n\n`: it says nothing but keeps a connection alive.
    Comment(Bytes),
}

/// What is left when a stream ends without the blank line that ends an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// An event that is whole all the same: `[DONE]`, or JSON that has its end. Some servers forget
    /// the last blank line.
    Event(Event),
    /// A piece of an event: the stream was cut. These are the data it had so far.
    Truncated(Bytes),
}

/// An event or a comment longer than the decoder's limit. The decoder yields nothing after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {limit} bytes")]
pub struct TooLong {
    /// The limit in bytes.
    pub limit: usize,
}

/// Turns chunks of a stream into [`Item`]s: `push` a chunk, then take `next_item` until it is `None`.
///
/// An event that arrives whole and in canonical form, the usual case, is a slice of its chunk;
/// any other is copied once. Each byte is looked at a bounded number of times however the stream is cut.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// What of the current chunk is not read yet.
    input: Bytes,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    /// How many bytes of a byte order mark have been seen at the very start; 3 once that is decided.
    bom: usize,
    failed: bool,
}

const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl Decoder {
    /// A decoder that refuses events whose lines and data exceed `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            input: Bytes::new(),
            line: Vec::new(),
            name: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_cr: false,
            bom: 0,
            failed: false,
        }
    }

    /// Gives the decoder the next chunk. Call [`next_item`](Self::next_item) until it has no more.
    pub fn push(&mut self, chunk: Bytes) {
        if self.input.is_empty() {
            self.input = chunk;
        } else {
            self.input = [std::mem::take(&mut self.input), chunk].concat().into();
        }
    }

    /// The next event or comment of what has been pushed, `None` when more bytes are needed.
    pub fn next_item(&mut self) -> Result<Option<Item>, TooLong> {
        if self.failed {
            return Err(TooLong { limit: self.limit });
        }
        self.skip_bom();
        loop {
            if self.after_cr && !self.input.is_empty() {
                self.after_cr = false;
                if self.input[0] == b'\n' {
                    self.input.advance(1);
                }
            }
            if self.input.is_empty() {
                return Ok(None);
            }
            if let Some(item) = self.canonical_item() {
                return Ok(Some(item));
            }
            let item = self.line_item();
            self.failed = item.is_err();
            match item? {
                Step::Item(item) => return Ok(Some(item)),
                Step::More => return Ok(None),
                Step::Line => {}
            }
        }
    }

    /// Ends the stream: what is left of an event without its blank line, if anything.
    pub fn finish(mut self) -> Option<Tail> {
        if self.bom < BOM.len() {
            self.line.extend_from_slice(&BOM[..self.bom]);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(&self.input);
        if !line.is_empty() && !line.starts_with(b":") {
            self.field(&line);
        }
        if self.has_data && !self.data.is_empty() && !self.failed && shows_its_end(&self.data) {
            return Some(Tail::Event(Event::encode(&self.name, &self.data)));
        }
        let partial = self.has_data || !self.name.is_empty() || (!line.is_empty() && !line.starts_with(b":"));
        (partial || self.failed).then(|| Tail::Truncated(self.data.into()))
    }

    fn skip_bom(&mut self) {
        while self.bom < BOM.len() && !self.input.is_empty() {
            if self.input[0] == BOM[self.bom] {
                self.input.advance(1);
                self.bom += 1;
            } else {
                self.line.extend_from_slice(&BOM[..self.bom]);
                self.bom = BOM.len();
            }
        }
    }

    /// An event or comment that lies whole and canonical at the front of the input.
    fn canonical_item(&mut self) -> Option<Item> {
        if self.has_data || !self.line.is_empty() || !self.name.is_empty() {
            return None;
        }
        let input = self.input.as_ref();
        if input[0] == b':' {
            let end = memchr2(b'\n', b'\r', input)?;
            let whole = end <= self.limit && input[end..].starts_with(b"\n\n");
            return whole.then(|| Item::Comment(self.input.split_to(end + 2)));
        }
        let (name_len, line) = match input.strip_prefix(NAME) {
            Some(rest) => {
                let len = memchr2(b'\n', b'\r', rest)?;
                if len == 0 || rest[len] != b'\n' || NAME.len() + len > self.limit {
                    return None;
                }
                (len, NAME.len() + len + 1)
            }
            None => (0, 0),
        };
        let value = input[line..].strip_prefix(DATA)?;
        let len = memchr2(b'\n', b'\r', value)?;
        let fits = name_len + DATA.len() + len <= self.limit;
        if !fits || len == 0 || !value[len..].starts_with(b"\n\n") {
            return None;
        }
        let raw = self.input.split_to(line + DATA.len() + len + 2);
        Some(Item::Event(Event::canonical(raw, name_len)))
    }

    /// Takes one line off the input, or as much of it as there is.
    fn line_item(&mut self) -> Result<Step, TooLong> {
        let end = memchr2(b'\n', b'\r', &self.input);
        let piece = self.input.split_to(end.unwrap_or(self.input.len()));
        let held = self.name.len() + self.data.len();
        if held + self.line.len() + piece.len() > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        if end.is_none() {
            self.line.extend_from_slice(&piece);
            return Ok(Step::More);
        }
        self.after_cr = self.input[0] == b'\r';
        self.input.advance(1);
        if self.line.is_empty() {
            return Ok(self.whole_line(&piece));
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(&piece);
        let step = self.whole_line(&line);
        line.clear();
        if line.capacity() <= KEEP {
            self.line = line;
        }
        Ok(step)
    }

    fn whole_line(&mut self, line: &[u8]) -> Step {
        match line.first() {
            None => self.dispatch().map_or(Step::Line, |event| Step::Item(Item::Event(event))),
            Some(b':') => Step::Item(Item::Comment([line, b"\n\n"].concat().into())),
            Some(_) => {
                self.field(line);
                Step::Line
            }
        }
    }

    fn field(&mut self, line: &[u8]) {
        let (field, value) = match memchr::memchr(b':', line) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            // `id` and `retry` steer a browser's reconnection, which no API here uses; the rest is
            // to be ignored by the standard.
            _ => {}
        }
    }

    /// Ends an event. One without data, or with empty data, says nothing and would break clients.
    fn dispatch(&mut self) -> Option<Event> {
        let event = (!self.data.is_empty()).then(|| Event::encode(&self.name, &self.data));
        self.has_data = false;
        self.name.clear();
        self.data.clear();
        if self.data.capacity() > KEEP {
            self.data = Vec::new();
        }
        event
    }
}

enum Step {
    Item(Item),
    Line,
    More,
}

/// Whether data without a blank line behind it are certainly whole. A bare number might go on.
fn shows_its_end(data: &[u8]) -> bool {
    let number = data.iter().rev().find(|b| !b.is_ascii_whitespace()).is_some_and(u8::is_ascii_digit);
    data == DONE || (!number && serde_json::from_slice::<IgnoredAny>(data).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> (Vec<Item>, Option<Tail>) {
        let mut decoder = Decoder::new(1 << 20);
        let mut items = Vec::new();
        for chunk in chunks {
            decoder.push(Bytes::copy_from_slice(chunk));
            while let Some(item) = decoder.next_item().unwrap() {
                items.push(item);
            }
        }
        (items, decoder.finish())
    }

    fn data(text: &[u8]) -> Vec<String> {
        let (items, tail) = read(&[text]);
        assert_eq!(tail, None);
        let datum = |item: &Item| match item {
            Item::Event(event) => String::from_utf8_lossy(event.data()).into_owned(),
            Item::Comment(text) => String::from_utf8_lossy(text).into_owned(),
        };
        items.iter().map(datum).collect()
    }

    #[test]
    fn a_canonical_event_is_a_slice_of_its_chunk() {
        let chunk = Bytes::from_static(b"data: {\"a\":1}\n\nevent: x\ndata: {}\n\n: hi\n\n");
        let mut decoder = Decoder::new(1000);
        decoder.push(chunk.clone());
        let Ok(Some(Item::Event(first))) = decoder.next_item() else { panic!("an event") };
        assert_eq!(first.bytes().as_ptr(), chunk.as_ptr());
        let Ok(Some(Item::Event(second))) = decoder.next_item() else { panic!("an event") };
        assert_eq!(second.bytes().as_ptr(), chunk[15..].as_ptr());
        assert_eq!((second.name(), second.data()), (Some(&b"x"[..]), &b"{}"[..]));
        assert_eq!(decoder.next_item(), Ok(Some(Item::Comment(Bytes::from_static(b": hi\n\n")))));
        assert_eq!(decoder.next_item(), Ok(None));
    }

    #[test]
    fn every_line_ending_and_spelling_reads_the_same() {
        for text in [
            "data: a\n\ndata: b\n\n",
            "data: a\r\n\r\ndata: b\r\n\r\n",
            "data: a\r\rdata: b\r\r",
            "data:a\n\ndata:b\n\n",
            "\u{feff}data: a\n\ndata: b\n\n",
            "id: 1\ndata: a\n\nid: 2\ndata: b\nretry: 1000\n\n",
            "\n\ndata: a\n\n\n\ndata: b\r\n\n",
            "event\ndata: a\n\nretry: 10\n\ndata:\n\nevent: ping\n\ndata: b\n\n",
        ] {
            assert_eq!(data(text.as_bytes()), ["a", "b"], "{text:?}");
        }
        assert_eq!(data(b"data: a\ndata:\ndata: b\n\n"), ["a\n\nb"]);
        assert_eq!(data(b"data:  a\n\n"), [" a"]);
    }

    #[test]
    fn comments_come_through_where_they_stood() {
        assert_eq!(data(b": OPENROUTER\n\ndata: a\n:x\n\n"), [": OPENROUTER\n\n", ":x\n\n", "a"]);
        assert_eq!(data(b": a\n: b\r\n\r\n"), [": a\n\n", ": b\n\n"]);
    }

    #[test]
    fn what_is_written_again_has_neither_id_nor_retry_nor_mark() {
        let (items, _) = read(&["\u{feff}id: 3\r\nevent: e\r\nretry: 9\r\ndata:x\r\n\r\n".as_bytes()]);
        assert_eq!(items, [Item::Event(Event::new(Some("e"), b"x"))]);
    }

    #[test]
    fn an_end_without_blank_line_is_judged_by_its_data() {
        let tail = |text: &[u8]| read(&[text]).1;
        let event = |data: &[u8]| Some(Tail::Event(Event::new(None, data)));
        let cut = |data: &'static [u8]| Some(Tail::Truncated(Bytes::from_static(data)));
        assert_eq!(tail(b"data: [DONE]"), event(b"[DONE]"));
        assert_eq!(tail(b"data: [DONE]\n"), event(b"[DONE]"));
        assert_eq!(tail(b"data: {\"a\":1}\r"), event(b"{\"a\":1}"));
        assert_eq!(tail(b"data: {\"a\":1"), cut(b"{\"a\":1"));
        assert_eq!(tail(b"data: [DON"), cut(b"[DON"));
        assert_eq!(tail(b"data: 12"), cut(b"12"));
        assert_eq!(tail(b"event: message_stop"), cut(b""));
        assert_eq!(tail(b"dat"), cut(b""));
        assert_eq!(tail(b"\xEF\xBB"), cut(b""));
        for whole in [&b""[..], b"data: a\n\n", b": going", b"\xEF\xBB\xBF", b"data: a\r\n\r"] {
            assert_eq!(tail(whole), None, "{whole:?}");
        }
    }

    #[test]
    fn a_long_event_is_refused_in_one_chunk_and_in_drips() {
        for text in [
            "data: 0123456789\n\n",
            "data: 01234\ndata: 56789\n\n",
            ": 0123456789012345",
            "event: 01234567890",
        ] {
            let mut decoder = Decoder::new(15);
            decoder.push(Bytes::from(text));
            assert_eq!(decoder.next_item(), Err(TooLong { limit: 15 }), "{text}");
            decoder.push(Bytes::from("data: a\n\n"));
            assert_eq!(decoder.next_item(), Err(TooLong { limit: 15 }));
            let mut decoder = Decoder::new(15);
            let failed = text.bytes().any(|byte| {
                decoder.push(Bytes::copy_from_slice(&[byte]));
                decoder.next_item().is_err()
            });
            assert!(failed, "{text}");
        }
    }

    #[test]
    fn a_megabyte_in_drips_takes_linear_time() {
        let mut decoder = Decoder::new(8 << 20);
        let text = ["data: ", &"x".repeat(4 << 20), "\n\n"].concat();
        let mut events = 0;
        for byte in text.into_bytes() {
            decoder.push(Bytes::from(vec![byte]));
            events += usize::from(decoder.next_item().unwrap().is_some());
        }
        assert_eq!(events, 1);
    }
}
