//! One client connection: sends a request, reads the answer, ready for the next.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::Instant,
};

use mio::net::TcpStream;
use pareto_bench::payload::Request;

use crate::{
    response::{Expected, Fault, Response},
    tally::Answer,
};

/// A connection and the exchange under way on it.
pub struct Connection {
    /// The socket.
    pub stream: TcpStream,
    /// The request, of which `sent` bytes are gone.
    pub request: Request,
    sent: usize,
    sent_at: Instant,
    first_byte_at: Option<Instant>,
    reads: u64,
    response: Response,
    /// What the connection is doing.
    pub state: State,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Connecting,
    /// A request is out, its answer not complete.
    Busy,
    /// Nothing left to do.
    Idle,
}

/// What came of reading.
pub enum Progress {
    /// The answer is not complete; the socket has no more for now.
    Waiting,
    /// The answer is complete and right; true when the server closes the connection now.
    Complete(Answer, bool),
}

impl Connection {
    pub fn open(addr: SocketAddr, request: Request, expected: Expected) -> io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            stream: TcpStream::connect(addr)?,
            request,
            sent: 0,
            sent_at: now,
            first_byte_at: None,
            reads: 0,
            response: Response::new(expected),
            state: State::Connecting,
        })
    }

    /// True once the connection stands; an error when it was refused.
    pub fn connected(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => self.stream.set_nodelay(true).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Starts the next exchange with the request as it now is.
    pub fn start(&mut self) -> io::Result<()> {
        self.state = State::Busy;
        self.sent = 0;
        self.reads = 0;
        self.first_byte_at = None;
        self.response.reset();
        self.sent_at = Instant::now();
        self.flush()
    }

    /// Sends what is left of the request, as far as the socket takes it.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.request.bytes().len() {
            match self.stream.write(&self.request.bytes()[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the body of the answer has begun.
    pub fn begun(&self) -> bool {
        self.first_byte_at.is_some()
    }

    /// Reads until the answer is complete or the socket is empty. `closing`: the peer has shut its side.
    pub fn read(&mut self, scratch: &mut [u8], closing: bool, expected: Expected) -> Result<Progress, Fault> {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Err("connection closed before the answer's end"),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Waiting),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err("connection broke before the answer's end"),
            };
            self.reads += 1;
            let complete = self.response.feed(&scratch[..count])?;
            if self.first_byte_at.is_none() && self.response.bytes() > 0 {
                self.first_byte_at = Some(Instant::now());
            }
            if complete {
                self.response.check(expected)?;
                return Ok(Progress::Complete(self.answer(), self.response.closes()));
            }
            // A short read has emptied the socket, and the poller will tell when there is more.
            if count < scratch.len() && !closing {
                return Ok(Progress::Waiting);
            }
        }
    }

    fn answer(&self) -> Answer {
        let now = Instant::now();
        Answer {
            latency: now - self.sent_at,
            first_byte: self.first_byte_at.unwrap_or(now) - self.sent_at,
            bytes: self.response.bytes(),
            events: self.response.events(),
            reads: self.reads,
        }
    }
}
