//! Reading HTTP/1.1 requests off a socket: head, body in either framing, and the peer's leaving.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 256;
/// Read ahead while an answer is under way; beyond, the kernel holds the rest.
const MAX_AHEAD: usize = 64 * 1024;

/// How long, and for how many reads, a refused request is still read.
const LINGER: Duration = Duration::from_secs(5);
const MAX_DRAINS: usize = 1000;

/// A connection with what has been read of it but not used.
pub struct Wire {
    pub stream: TcpStream,
    buffer: BytesMut,
}

/// A request line and its headers.
pub struct Head {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub http10: bool,
}

/// Why a request could not be read.
pub enum Unreadable {
    /// The peer broke the rules of HTTP: answer with this status.
    Refused(u16),
    /// The peer is gone.
    Gone,
}

impl From<io::Error> for Unreadable {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// How a body's end is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

/// What is kept of a body while it passes.
pub struct Body {
    /// Its first bytes, up to the limit asked for.
    pub kept: Bytes,
    /// Its whole length.
    pub length: u64,
    /// BLAKE3 of all of it, where asked for.
    pub digest: Option<blake3::Hash>,
}

struct Sink {
    kept: BytesMut,
    limit: usize,
    length: u64,
    hasher: Option<Box<blake3::Hasher>>,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// A member of the query, undecoded.
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn keeps_alive(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default().to_ascii_lowercase();
        if self.http10 { connection.contains("keep-alive") } else { !connection.contains("close") }
    }

    fn framing(&self) -> Result<Framing, Unreadable> {
        let mut framing = None;
        for (name, value) in &self.headers {
            let next = if name.eq_ignore_ascii_case("content-length") {
                Framing::Length(value.trim().parse().map_err(|_| Unreadable::Refused(400))?)
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                let chunked = value.trim().eq_ignore_ascii_case("chunked");
                chunked.then_some(Framing::Chunked).ok_or(Unreadable::Refused(501))?
            } else {
                continue;
            };
            // Two lengths, or a length and chunks, is how requests are smuggled (RFC 9112, 6.3).
            if framing.is_some_and(|have| have != next) {
                return Err(Unreadable::Refused(400));
            }
            framing = Some(next);
        }
        Ok(framing.unwrap_or(Framing::Length(0)))
    }
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(16 * 1024) }
    }

    /// The next request's head; `None` where the connection ended between requests.
    pub async fn head(&mut self) -> Result<Option<Head>, Unreadable> {
        loop {
            if let Some((head, length)) = parse(&self.buffer)? {
                self.buffer.advance(length);
                return Ok(Some(head));
            }
            if self.buffer.len() >= MAX_HEAD {
                return Err(Unreadable::Refused(431));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(Unreadable::Gone) };
            }
        }
    }

    /// The body that belongs to `head`; keeps its first `limit` bytes, and a digest where asked.
    pub async fn body(&mut self, head: &Head, limit: usize, digest: bool) -> Result<Body, Unreadable> {
        let framing = head.framing()?;
        if framing != Framing::Length(0) && expects_continue(head) && self.buffer.is_empty() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut sink = Sink {
            kept: BytesMut::new(),
            limit,
            length: 0,
            hasher: digest.then(|| Box::new(blake3::Hasher::new())),
        };
        match framing {
            Framing::Length(length) => self.pass(length, &mut sink).await?,
            Framing::Chunked => loop {
                let line = self.line().await?;
                let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let size =
                    std::str::from_utf8(size).ok().and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
                match size.ok_or(Unreadable::Refused(400))? {
                    0 => break while !self.line().await?.is_empty() {},
                    size => self.pass(size, &mut sink).await?,
                }
                if !self.line().await?.is_empty() {
                    return Err(Unreadable::Refused(400));
                }
            },
        }
        let digest = sink.hasher.map(|hasher| hasher.finalize());
        Ok(Body { kept: sink.kept.freeze(), length: sink.length, digest })
    }

    /// Reads until the peer is gone; for races against an answer under way. What comes meanwhile (a
    /// pipelined request) stays for later.
    pub async fn gone(&mut self) {
        while self.buffer.len() < MAX_AHEAD {
            if self.fill().await.unwrap_or(0) == 0 {
                return;
            }
        }
        std::future::pending().await
    }

    /// What has been read beyond the last request.
    pub fn take_ahead(&mut self) -> BytesMut {
        self.buffer.split()
    }

    /// Ends our side and drops what still comes: closing a socket with unread data resets it, and the
    /// peer may then never see the answer (RFC 9112, 9.6).
    pub async fn drain(&mut self) {
        let _ = self.stream.shutdown().await;
        let _ = tokio::time::timeout(LINGER, async {
            for _ in 0..MAX_DRAINS {
                self.buffer.clear();
                if self.fill().await.unwrap_or(0) == 0 {
                    return;
                }
            }
        })
        .await;
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(16 * 1024);
        self.stream.read_buf(&mut self.buffer).await
    }

    async fn pass(&mut self, mut length: u64, sink: &mut Sink) -> Result<(), Unreadable> {
        while length > 0 {
            if self.buffer.is_empty() && self.fill().await? == 0 {
                return Err(Unreadable::Gone);
            }
            let take = length.min(self.buffer.len() as u64);
            sink.take(&self.buffer[..take as usize]);
            self.buffer.advance(take as usize);
            length -= take;
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<Bytes, Unreadable> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(2);
                return Ok(line);
            }
            if self.buffer.len() >= MAX_HEAD {
                return Err(Unreadable::Refused(400));
            }
            if self.fill().await? == 0 {
                return Err(Unreadable::Gone);
            }
        }
    }
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let room = self.limit.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }
}

fn expects_continue(head: &Head) -> bool {
    !head.http10 && head.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
}

fn parse(buffer: &[u8]) -> Result<Option<(Head, usize)>, Unreadable> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Unreadable::Refused(431)),
        Err(_) => return Err(Unreadable::Refused(400)),
    };
    let head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        headers: request
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
            .collect(),
        http10: request.version == Some(0),
    };
    Ok(Some((head, length)))
}
