//! One answer being read: head, framing, events; and whether it is the answer expected.

use memchr::memmem;

/// What ends every complete stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// What a right answer looks like beyond its status 200.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Server-sent events, ending with `[DONE]`.
    pub stream: bool,
    /// Length of the body.
    pub bytes: Option<u64>,
    /// Number of events.
    pub events: Option<u64>,
}

/// Why an answer was not the expected one.
pub type Fault = &'static str;

/// Where in the answer the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    /// Body bytes left.
    Length(u64),
    ChunkSize(u64),
    /// Bytes left in this chunk.
    Chunk(u64),
    ChunkEnd,
    /// Trailer lines after the last chunk; how long the current line is.
    Trailer(u64),
    Done,
}

/// Reads one answer, piece by piece; used again for the next one.
#[derive(Debug)]
pub struct Response {
    phase: Phase,
    head: Vec<u8>,
    status: u16,
    closes: bool,
    bytes: u64,
    events: u64,
    /// The last bytes of the body.
    tail: Vec<u8>,
    stream: bool,
}

impl Response {
    pub fn new(expected: Expected) -> Self {
        Self {
            phase: Phase::Head,
            head: Vec::with_capacity(2048),
            status: 0,
            closes: false,
            bytes: 0,
            events: 0,
            tail: Vec::with_capacity(2 * DONE.len()),
            stream: expected.stream,
        }
    }

    /// Forgets the answer to read the next.
    pub fn reset(&mut self) {
        self.phase = Phase::Head;
        self.head.clear();
        self.tail.clear();
        (self.status, self.closes, self.bytes, self.events) = (0, false, 0, 0);
    }

    /// Takes the next bytes from the socket; true once the answer is complete.
    pub fn feed(&mut self, data: &[u8]) -> Result<bool, Fault> {
        if self.phase == Phase::Head {
            self.head.extend_from_slice(data);
            let Some(end) = memmem::find(&self.head, b"\r\n\r\n") else { return Ok(false) };
            let head = std::mem::take(&mut self.head);
            self.parse_head(&head[..end + 4])?;
            let complete = self.body(&head[end + 4..]);
            self.head = head;
            return complete;
        }
        self.body(data)
    }

    /// Body bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Whether the server will close the connection after this answer.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// Judges a complete answer.
    pub fn check(&self, expected: Expected) -> Result<(), Fault> {
        if self.status != 200 {
            return Err("status is not 200");
        }
        if expected.bytes.is_some_and(|bytes| bytes != self.bytes) {
            return Err("body has the wrong length");
        }
        if expected.events.is_some_and(|events| events != self.events) {
            return Err("stream has the wrong number of events");
        }
        if expected.stream && !self.tail.ends_with(DONE) {
            return Err("stream does not end with [DONE]");
        }
        Ok(())
    }

    fn parse_head(&mut self, head: &[u8]) -> Result<(), Fault> {
        let mut headers = [httparse::EMPTY_HEADER; 48];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(head).map_err(|_| "head is not HTTP/1.1")?;
        self.status = response.code.unwrap_or(0);
        let mut framing = None;
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
                framing = Some(Phase::Length(length.ok_or("bad content-length")?));
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Some(Phase::ChunkSize(0));
            } else if header.name.eq_ignore_ascii_case("connection") {
                self.closes = header.value.eq_ignore_ascii_case(b"close");
            }
        }
        self.phase = framing.ok_or("answer has neither length nor chunks")?;
        Ok(())
    }

    fn body(&mut self, mut data: &[u8]) -> Result<bool, Fault> {
        if self.phase == Phase::Length(0) {
            self.phase = Phase::Done;
        }
        while let [first, rest @ ..] = data {
            match self.phase {
                Phase::Length(left) => {
                    let now = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                    self.content(&data[..now]);
                    data = &data[now..];
                    let left = left - now as u64;
                    self.phase = if left == 0 { Phase::Done } else { Phase::Length(left) };
                    continue;
                }
                Phase::Chunk(left) => {
                    let now = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                    self.content(&data[..now]);
                    data = &data[now..];
                    let left = left - now as u64;
                    self.phase = if left == 0 { Phase::ChunkEnd } else { Phase::Chunk(left) };
                    continue;
                }
                Phase::ChunkSize(size) => match *first {
                    b'\n' => self.phase = if size == 0 { Phase::Trailer(0) } else { Phase::Chunk(size) },
                    b'\r' => {}
                    digit => {
                        let digit = char::from(digit).to_digit(16).ok_or("bad chunk size")?;
                        self.phase = Phase::ChunkSize(size * 16 + u64::from(digit));
                    }
                },
                Phase::ChunkEnd => {
                    if *first == b'\n' {
                        self.phase = Phase::ChunkSize(0);
                    }
                }
                Phase::Trailer(length) => match *first {
                    b'\n' if length == 0 => self.phase = Phase::Done,
                    b'\n' => self.phase = Phase::Trailer(0),
                    b'\r' => {}
                    _ => self.phase = Phase::Trailer(length + 1),
                },
                Phase::Head | Phase::Done => return Err("bytes after the end of the answer"),
            }
            data = rest;
        }
        Ok(self.phase == Phase::Done)
    }

    fn content(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        if !self.stream || data.is_empty() {
            return;
        }
        if self.tail.ends_with(b"\n") && !self.tail.ends_with(b"\n\n") && data[0] == b'\n' {
            self.events += 1;
        }
        self.events += memmem::find_iter(data, b"\n\n").count() as u64;
        self.tail.extend_from_slice(&data[data.len().saturating_sub(DONE.len())..]);
        self.tail.drain(..self.tail.len().saturating_sub(DONE.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Expected = Expected { stream: true, bytes: None, events: Some(3) };

    fn read(wire: &[u8], piece: usize, expected: Expected) -> Result<bool, Fault> {
        let mut response = Response::new(expected);
        let mut complete = false;
        for bytes in wire.chunks(piece) {
            complete = response.feed(bytes)?;
        }
        if complete {
            response.check(expected)?;
        }
        Ok(complete)
    }

    #[test]
    fn reads_the_same_however_it_is_cut() {
        let wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n5\r\ndata:\r\n\
            4\r\n b\n\n\r\nE\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
        for piece in 1..=wire.len() {
            assert_eq!(read(wire, piece, STREAM), Ok(true), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_cut_or_wrong_answer_is_never_right() {
        let json = Expected { stream: false, bytes: Some(2), events: None };
        assert_eq!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 64, json), Ok(true));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", 64, json), Ok(false));
        assert!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{ }", 64, json).is_err());
        assert!(read(b"HTTP/1.1 502 Bad\r\ncontent-length: 2\r\n\r\n{}", 64, json).is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}x", 64, json).is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ndata: a\n\n", 64, STREAM).is_err());
    }
}
