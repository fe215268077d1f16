//! The last step of an answer: which bytes go out, when, and how the connection ends.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};

use super::fault::Fault;
use super::reply::{Body, Event, Reply};

/// Pause between the bytes of [`Fault::SlowDrip`].
const DRIP: Duration = Duration::from_millis(1);
const HUGE: u64 = 64 * 1024 * 1024;
const BLOCK: u64 = 64 * 1024;

/// What is done to the socket, in order.
pub struct Script {
    pub steps: Vec<Step>,
    pub end: End,
}

/// One act.
pub enum Step {
    /// Write this.
    Write(Bytes),
    /// Write this event of a stream: may be held or delayed first.
    Event(Bytes),
    /// Write this so many times.
    Repeat(Bytes, u64),
    /// Write this byte by byte with a pause after each (zero: none, but each its own segment).
    Bytes(Bytes, Duration),
}

/// What becomes of the connection.
pub enum End {
    /// It serves the next request.
    KeepAlive,
    /// It ends in order (FIN).
    Close,
    /// It is reset (RST).
    Reset,
    /// Nothing happens until the client leaves.
    Hang,
    /// This is written again and again until the client leaves.
    Forever(Bytes),
}

/// How a body's end is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    Close,
}

/// What the request allows.
#[derive(Clone, Copy)]
pub struct Terms {
    pub keep_alive: bool,
    pub http10: bool,
    pub head_only: bool,
    pub joined_events: bool,
}

/// A body cut into what is written in turn.
struct Content {
    /// `None`: no body, not even an empty one.
    kind: Option<&'static str>,
    pieces: Vec<Bytes>,
    /// So many bytes of `padding` come before the piece of this index.
    filler: (usize, u64),
    padding: u8,
    streams: bool,
}

/// Puts a reply on the wire the way the fault wants.
pub fn script(reply: Reply, fault: Option<Fault>, terms: Terms) -> Script {
    let mut headers = reply.headers;
    let mut content = Content::of(reply.body, fault);
    if fault == Some(Fault::Bom) {
        content.pieces.insert(0, Bytes::from_static(b"\xef\xbb\xbf"));
    }
    if fault == Some(Fault::Gzip) && !content.pieces.is_empty() {
        content.pieces = vec![gzip(&content.pieces)];
        headers.push(("content-encoding", "gzip".to_owned()));
    }
    let framing = framing(fault, &content, terms);
    let end = end(fault, framing, &content, terms);
    let told = (framing == Framing::Length).then(|| content.told(fault));
    // A server that breaks off did not plan to: it announces no close. It matters, since undici takes a
    // body for whole that breaks off after `connection: close`.
    if framing == Framing::Close || !terms.keep_alive || fault == Some(Fault::TooLarge) {
        headers.push(("connection", "close".to_owned()));
    }
    let mut steps = vec![Step::Write(head(reply.status, &headers, &content, told, framing, fault))];
    if terms.head_only || content.kind.is_none() {
        return Script { steps, end };
    }
    let streams = content.streams;
    body(&mut steps, content, framing, fault);
    let dripped = matches!(fault, Some(Fault::ByteWrites | Fault::SlowDrip));
    if !dripped && (!streams || terms.joined_events) {
        join(&mut steps);
    }
    Script { steps, end }
}

impl Content {
    fn of(body: Body, fault: Option<Fault>) -> Self {
        let mut content =
            Self { kind: None, pieces: Vec::new(), filler: (0, 0), padding: b'.', streams: false };
        match body {
            Body::None => {}
            Body::Whole(kind, body) => {
                content.kind = Some(kind);
                content.pieces.push(body.into());
            }
            Body::Filler(length) => {
                content.kind = Some("application/octet-stream");
                content.filler.1 = length;
            }
            Body::Events(events) => {
                content.kind = Some("text/event-stream; charset=utf-8");
                content.pieces = events.iter().map(|event| frame(event, fault)).collect();
                content.streams = true;
            }
        }
        if fault == Some(Fault::Huge) {
            content.pad();
        }
        content
    }

    /// JSON may be padded with whitespace anywhere, an event's data too.
    fn pad(&mut self) {
        self.padding = b' ';
        let Some(first) = self.pieces.first_mut() else { return };
        let start = memchr::memmem::find(first, b"data: ").filter(|_| self.streams).map_or(0, |at| at + 6);
        let opening = first.split_to(start);
        self.pieces.insert(0, opening);
        self.filler = (1, HUGE);
    }

    fn told(&self, fault: Option<Fault>) -> u64 {
        let length: u64 = self.pieces.iter().map(|piece| piece.len() as u64).sum();
        match fault {
            Some(Fault::LengthTooLong) => length + 100,
            Some(Fault::LengthTooShort) => length.saturating_sub(10),
            _ => length,
        }
    }
}

fn frame(event: &Event, fault: Option<Fault>) -> Bytes {
    let frame = match fault {
        Some(Fault::CrLf) => event.frame("\r\n"),
        Some(Fault::Cr) => event.frame("\r"),
        Some(Fault::Comments) => format!(": keep-alive\n\n: still here\n{}", event.frame("\n")),
        _ => event.frame("\n"),
    };
    frame.into()
}

fn framing(fault: Option<Fault>, content: &Content, terms: Terms) -> Framing {
    let wants_chunks = content.streams || content.filler.1 > 0;
    match fault {
        Some(Fault::LengthTooLong | Fault::LengthTooShort) => Framing::Length,
        Some(Fault::CloseDelimited) => Framing::Close,
        _ if terms.http10 && wants_chunks => Framing::Close,
        Some(Fault::Trailers | Fault::NeverEnds) => Framing::Chunked,
        _ if wants_chunks => Framing::Chunked,
        _ => Framing::Length,
    }
}

fn end(fault: Option<Fault>, framing: Framing, content: &Content, terms: Terms) -> End {
    match fault {
        Some(Fault::ResetAfterHead | Fault::ResetMidStream) => End::Reset,
        Some(Fault::HangAfterHead | Fault::HangMidStream) => End::Hang,
        Some(
            Fault::FinMidStream
            | Fault::LengthTooLong
            | Fault::LengthTooShort
            | Fault::CloseDelimited
            | Fault::TooLarge
            | Fault::NotHttp,
        ) => End::Close,
        Some(Fault::NeverEnds) => {
            let again = first_half(&content.pieces).last().filter(|_| content.streams);
            End::Forever(chunk(again.unwrap_or(&Bytes::from_static(b" "))))
        }
        _ if framing == Framing::Close || !terms.keep_alive => End::Close,
        _ => End::KeepAlive,
    }
}

fn head(
    status: u16,
    headers: &[(&'static str, String)],
    content: &Content,
    length: Option<u64>,
    framing: Framing,
    fault: Option<Fault>,
) -> Bytes {
    let mut head = BytesMut::with_capacity(1024);
    match fault {
        Some(Fault::Continue) => head.put_slice(b"HTTP/1.1 100 Continue\r\n\r\n"),
        Some(Fault::EarlyHints) => {
            head.put_slice(b"HTTP/1.1 103 Early Hints\r\nlink: </style>; rel=preload\r\n\r\n");
        }
        _ => {}
    }
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut digits = itoa::Buffer::new();
    put(&mut head, &["HTTP/1.1 ", digits.format(status), " ", reason.unwrap_or("Unknown"), "\r\n"]);
    put(&mut head, &["date: ", &httpdate::fmt_http_date(SystemTime::now()), "\r\n"]);
    for (name, value) in headers {
        put(&mut head, &[name, ": ", value, "\r\n"]);
    }
    if let Some(kind) = content.kind {
        put(&mut head, &["content-type: ", kind, "\r\n"]);
    } else if status != 204 && status != 304 {
        put(&mut head, &["content-length: 0\r\n"]);
    }
    if content.kind.is_some() && framing == Framing::Chunked {
        put(&mut head, &["transfer-encoding: chunked\r\n"]);
    }
    if let Some(length) = length.filter(|_| content.kind.is_some()) {
        put(&mut head, &["content-length: ", digits.format(length), "\r\n"]);
    }
    if fault == Some(Fault::Trailers) {
        put(&mut head, &["trailer: x-sim-trailer\r\n"]);
    }
    head.put_slice(b"\r\n");
    head.freeze()
}

fn body(steps: &mut Vec<Step>, content: Content, framing: Framing, fault: Option<Fault>) {
    if matches!(fault, Some(Fault::ResetAfterHead | Fault::HangAfterHead)) {
        return;
    }
    let cut = matches!(fault, Some(Fault::ResetMidStream | Fault::FinMidStream | Fault::HangMidStream));
    let endless = fault == Some(Fault::NeverEnds);
    let pieces = match cut || endless {
        true if !content.streams && endless => &[],
        true => first_half(&content.pieces),
        false => &*content.pieces,
    };
    let framed = |piece: &Bytes| if framing == Framing::Chunked { chunk(piece) } else { piece.clone() };
    let filler = if cut { content.filler.1 / 2 } else { content.filler.1 };
    for (index, piece) in pieces.iter().enumerate() {
        if index == content.filler.0 {
            fill(steps, filler, content.padding, framed);
        }
        if piece.is_empty() {
            continue;
        }
        let piece = framed(&match cut && pieces.len() == content.pieces.len() {
            // The only piece there is: half of it.
            true => piece.slice(..(piece.len() / 2).max(1)),
            false => piece.clone(),
        });
        steps.push(match fault {
            Some(Fault::SlowDrip) => Step::Bytes(piece, DRIP),
            Some(Fault::ByteWrites) => Step::Bytes(piece, Duration::ZERO),
            _ if content.streams => Step::Event(piece),
            _ => Step::Write(piece),
        });
    }
    if pieces.is_empty() {
        fill(steps, filler, content.padding, framed);
    }
    if framing == Framing::Chunked && !cut && !endless {
        let trailer = if fault == Some(Fault::Trailers) { "x-sim-trailer: end\r\n" } else { "" };
        steps.push(Step::Write(Bytes::from(format!("0\r\n{trailer}\r\n"))));
    }
}

fn fill(steps: &mut Vec<Step>, length: u64, padding: u8, framed: impl Fn(&Bytes) -> Bytes) {
    let block = |length: u64| framed(&Bytes::from(vec![padding; length as usize]));
    if length >= BLOCK {
        steps.push(Step::Repeat(block(BLOCK), length / BLOCK));
    }
    if !length.is_multiple_of(BLOCK) {
        steps.push(Step::Write(block(length % BLOCK)));
    }
}

/// The first half of the pieces, and at least one.
fn first_half(pieces: &[Bytes]) -> &[Bytes] {
    &pieces[..(pieces.len() / 2).max(1).min(pieces.len())]
}

fn chunk(piece: &[u8]) -> Bytes {
    let mut chunk = BytesMut::with_capacity(piece.len() + 12);
    // Formatting into the buffer cannot fail, and makes no string of its own.
    let _ = write!(chunk, "{:x}\r\n", piece.len());
    chunk.put_slice(piece);
    chunk.put_slice(b"\r\n");
    chunk.freeze()
}

/// Makes neighbouring writes one: one system call, one segment where it fits.
fn join(steps: &mut Vec<Step>) {
    let mut joined: Vec<Step> = Vec::new();
    let mut run = BytesMut::new();
    for step in steps.drain(..) {
        match step {
            Step::Write(bytes) | Step::Event(bytes) => run.extend_from_slice(&bytes),
            other => {
                joined.push(Step::Write(run.split().freeze()));
                joined.push(other);
            }
        }
    }
    joined.push(Step::Write(run.freeze()));
    *steps = joined;
}

fn put(out: &mut BytesMut, parts: &[&str]) {
    for part in parts {
        out.put_slice(part.as_bytes());
    }
}

fn gzip(pieces: &[Bytes]) -> Bytes {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to a vector cannot fail.
    let _ = pieces.iter().try_for_each(|piece| encoder.write_all(piece));
    encoder.finish().unwrap_or_default().into()
}
