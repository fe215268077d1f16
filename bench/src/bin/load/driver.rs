//! The event loop: keeps every connection busy until the budget of time or requests is used up.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, event::Event};
use pareto_bench::payload::Request;

use crate::{
    Arguments,
    connection::{Connection, Progress, State},
    response::Expected,
    tally::{Report, Tally},
};

/// Connections being opened at one time: below every server's listen backlog.
const OPENING: usize = 64;
/// After so many errors a run is worthless and ends.
const MAX_ERRORS: u64 = 1000;
const SCRATCH_BYTES: usize = 64 * 1024;

/// All connections of a run and what they have done.
pub struct Driver {
    poll: Poll,
    addr: SocketAddr,
    request: Request,
    expected: Expected,
    connections: Vec<Connection>,
    wanted: usize,
    opening: usize,
    idle: usize,
    budget: Budget,
    next_number: Option<u64>,
    tally: Tally,
    scratch: Vec<u8>,
}

/// How many requests may still be sent.
struct Budget {
    until: Option<Instant>,
    requests: Option<u64>,
}

impl Budget {
    fn take(&mut self) -> bool {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return false;
        }
        match &mut self.requests {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }
}

impl Driver {
    pub fn new(arguments: &Arguments, request: Request, expected: Expected) -> io::Result<Self> {
        let until = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
        Ok(Self {
            poll: Poll::new()?,
            addr: arguments.addr,
            request,
            expected,
            connections: Vec::with_capacity(arguments.connections),
            wanted: arguments.connections,
            opening: 0,
            idle: 0,
            budget: Budget { until, requests: arguments.requests },
            next_number: arguments.first,
            tally: Tally::default(),
            scratch: vec![0; SCRATCH_BYTES],
        })
    }

    /// Runs to the end of the budget; gives up after `patience` without any event.
    pub fn run(mut self, patience: Duration) -> io::Result<Report> {
        let started = Instant::now();
        let mut events = Events::with_capacity(1024);
        self.open_more()?;
        while self.idle < self.wanted && self.tally.failures() < MAX_ERRORS {
            match self.poll.poll(&mut events, Some(patience)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            if events.is_empty() {
                let stuck = self.wanted - self.idle;
                (0..stuck).for_each(|_| self.tally.failed("no answer within the patience"));
                break;
            }
            for event in &events {
                self.handle(event)?;
            }
            self.open_more()?;
        }
        Ok(self.tally.report(started.elapsed()))
    }

    fn open_more(&mut self) -> io::Result<()> {
        while self.connections.len() < self.wanted && self.opening < OPENING {
            let mut connection = Connection::open(self.addr, self.request.clone(), self.expected)?;
            let token = Token(self.connections.len());
            self.poll.registry().register(
                &mut connection.stream,
                token,
                Interest::READABLE | Interest::WRITABLE,
            )?;
            self.connections.push(connection);
            self.opening += 1;
        }
        Ok(())
    }

    fn handle(&mut self, event: &Event) -> io::Result<()> {
        let index = event.token().0;
        match self.connections[index].state {
            State::Idle => return Ok(()),
            State::Connecting => match self.connections[index].connected() {
                Ok(false) => return Ok(()),
                Ok(true) => {
                    self.opening -= 1;
                    return self.next(index);
                }
                Err(_) => return self.fail(index, "connection refused"),
            },
            State::Busy => {}
        }
        if event.is_writable() && self.connections[index].flush().is_err() {
            return self.fail(index, "connection broke while sending");
        }
        if event.is_readable() || event.is_read_closed() {
            return self.read(index, event.is_read_closed());
        }
        Ok(())
    }

    fn read(&mut self, index: usize, closing: bool) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let begun = connection.begun();
        let progress = connection.read(&mut self.scratch, closing, self.expected);
        if !begun && connection.begun() {
            self.tally.opened();
        }
        match progress {
            Ok(Progress::Waiting) => Ok(()),
            Ok(Progress::Complete(answer, closes)) => {
                if connection.begun() {
                    self.tally.closed();
                }
                self.tally.answered(&answer);
                if closes { self.reopen(index) } else { self.next(index) }
            }
            Err(fault) => self.fail(index, fault),
        }
    }

    /// Sends the next request on a connection, or retires it when the budget is used up.
    fn next(&mut self, index: usize) -> io::Result<()> {
        if !self.budget.take() {
            self.connections[index].state = State::Idle;
            self.idle += 1;
            return Ok(());
        }
        let connection = &mut self.connections[index];
        if let Some(number) = &mut self.next_number {
            connection.request.set_counter(*number);
            *number += 1;
        }
        if connection.start().is_err() {
            return self.fail(index, "connection broke while sending");
        }
        Ok(())
    }

    fn fail(&mut self, index: usize, what: &str) -> io::Result<()> {
        let connection = &self.connections[index];
        if connection.begun() && connection.state == State::Busy {
            self.tally.closed();
        }
        if connection.state == State::Connecting {
            self.opening -= 1;
        }
        self.tally.failed(what);
        self.reopen(index)
    }

    /// Puts a fresh connection in the place of one that is over.
    fn reopen(&mut self, index: usize) -> io::Result<()> {
        let mut connection = Connection::open(self.addr, self.request.clone(), self.expected)?;
        self.poll.registry().register(
            &mut connection.stream,
            Token(index),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.connections[index] = connection;
        self.opening += 1;
        Ok(())
    }
}
