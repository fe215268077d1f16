//! The upstream of every scenario: answers chat requests at once with a constant, or with a stream, one write per event.
//!
//! `GET` anything answers how many chat requests were served, so that a scenario can prove what was a hit.

use std::{cell::Cell, io, net::SocketAddr, rc::Rc, time::Duration};

use clap::Parser;
use memchr::memmem;
use pareto_bench::payload;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local, yield_now},
    time::sleep,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A constant chat-completions upstream on one thread.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Milliseconds between the events of a stream; 0 only lets other connections go first.
    #[arg(long, default_value_t = 0)]
    gap_ms: u64,
    /// Milliseconds between the first event and the second, when not as between the others.
    #[arg(long)]
    pause_ms: Option<u64>,
}

/// Everything ever written, prepared once.
struct Replies {
    json: Vec<u8>,
    stream_head: &'static [u8],
    /// Each event as one chunk; the last carries the final empty chunk too.
    events: Vec<Vec<u8>>,
    /// Waits before the second event and before each later one; the first follows the head at once.
    pause: Duration,
    gap: Duration,
    served: Cell<u64>,
}

impl Replies {
    fn new(pause: Duration, gap: Duration) -> Self {
        let mut events: Vec<Vec<u8>> = payload::events()
            .iter()
            .map(|event| format!("{:x}\r\n{event}\r\n", event.len()).into_bytes())
            .collect();
        if let Some(last) = events.last_mut() {
            last.extend_from_slice(b"0\r\n\r\n");
        }
        Self {
            json: json_reply(&payload::answer()),
            stream_head: b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                transfer-encoding: chunked\r\nx-request-id: req_bench\r\n\r\n",
            events,
            pause,
            gap,
            served: Cell::new(0),
        }
    }

    async fn stream(&self, socket: &mut TcpStream) -> io::Result<()> {
        socket.write_all(self.stream_head).await?;
        for (index, event) in self.events.iter().enumerate() {
            let wait = match index {
                0 => Duration::ZERO,
                1 => self.pause,
                _ => self.gap,
            };
            // Without a turn for others, all events would lie in the socket's buffer as one before the reader wakes.
            if wait.is_zero() {
                yield_now().await;
            } else {
                sleep(wait).await;
            }
            socket.write_all(event).await?;
        }
        Ok(())
    }
}

fn json_reply(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-request-id: req_bench\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What is asked below this path is refused: a provider that does not have the model.
const AWAY: &str = "/away";
const NO_SUCH_MODEL: &[u8] =
    b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// One complete request in the read buffer.
struct Received {
    head: usize,
    end: usize,
    is_get: bool,
    is_away: bool,
}

/// Finds a complete request at the start of `buffer`; `None` asks for more bytes.
fn received(buffer: &[u8]) -> io::Result<Option<Received>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(buffer).map_err(io::Error::other)? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return Ok(None),
    };
    let value = |name: &str| request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if value("transfer-encoding").is_some() {
        return Err(io::Error::other("only bodies with a content-length are understood"));
    }
    let length = match value("content-length") {
        Some(header) => str::from_utf8(header.value).ok().and_then(|text| text.parse::<usize>().ok()),
        None => Some(0),
    };
    let end = head + length.ok_or_else(|| io::Error::other("bad content-length"))?;
    let is_away = request.path.is_some_and(|path| path.starts_with(AWAY));
    let is_get = request.method == Some("GET");
    Ok((buffer.len() >= end).then_some(Received { head, end, is_get, is_away }))
}

async fn serve(mut socket: TcpStream, replies: Rc<Replies>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let asks_for_stream = [memmem::Finder::new(r#""stream":true"#), memmem::Finder::new(r#""stream": true"#)];
    let mut buffer = bytes::BytesMut::with_capacity(4096);
    loop {
        let Some(request) = received(&buffer)? else {
            if buffer.capacity() - buffer.len() < 1024 {
                buffer.reserve(buffer.len().max(4096));
            }
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let body = &buffer[request.head..request.end];
        if request.is_get {
            socket.write_all(&json_reply(&replies.served.get().to_string())).await?;
        } else if request.is_away {
            socket.write_all(NO_SUCH_MODEL).await?;
        } else {
            replies.served.set(replies.served.get() + 1);
            if asks_for_stream.iter().any(|finder| finder.find(body).is_some()) {
                replies.stream(&mut socket).await?;
            } else {
                socket.write_all(&replies.json).await?;
            }
        }
        let _ = buffer.split_to(request.end);
    }
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(arguments.listen).await?;
        let gap = Duration::from_millis(arguments.gap_ms);
        let pause = arguments.pause_ms.map_or(gap, Duration::from_millis);
        let replies = Rc::new(Replies::new(pause, gap));
        loop {
            let (socket, _) = listener.accept().await?;
            let replies = Rc::clone(&replies);
            spawn_local(async move {
                // A client that goes away is its own business; a request not understood shows as its missing answer.
                let _ = serve(socket, replies).await;
            });
        }
    })
}
