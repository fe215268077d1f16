//! One listener, one task per connection, one request after the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::fault::Fault;
use super::gate::Hold;
use super::script::{End, Script, Step, Terms, script};
use super::state::State;
use super::wire::{Body, Head, Unreadable, Wire};
use super::{Call, api, fault_reply, plain, websocket};
use crate::request::endpoint::{Endpoint, Family};

/// Largest body kept; a larger one is refused, as providers do.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// How much is kept of a body that is only counted.
const COUNTED_BODY: usize = 64 * 1024;
/// Pause between the parts of an endless answer, so that it does not eat a core.
const ENDLESS_PAUSE: Duration = Duration::from_millis(1);

/// Accepts connections until the task is aborted, which also ends the connections.
pub async fn listen(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        // A failed accept (out of file descriptors, a client already gone) concerns nobody else.
        if let Ok((stream, _)) = listener.accept().await {
            let number = state.connect();
            if state.refuses_connection() {
                reset(stream);
                continue;
            }
            // Without it, Nagle's algorithm delays every small write behind the peer's delayed ACK.
            let _ = stream.set_nodelay(true);
            connections.spawn(Connection { wire: Wire::new(stream), state: state.clone(), number }.serve());
        }
        while connections.try_join_next().is_some() {}
    }
}

struct Connection {
    wire: Wire,
    state: Arc<State>,
    number: u64,
}

/// Whether the connection goes on after an exchange.
enum Next {
    Request,
    Over,
    Reset,
}

/// The client left before the end of the answer.
struct HungUp;

impl From<io::Error> for HungUp {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Connection {
    async fn serve(mut self) {
        loop {
            let next = match self.wire.head().await {
                Ok(Some(head)) if websocket::is_upgrade(&head) => {
                    self.note(&head, None);
                    return websocket::serve(self.wire, &head).await;
                }
                Ok(Some(head)) => self.exchange(&head).await,
                Ok(None) => return,
                Err(reason) => Err(reason),
            };
            match next {
                Ok(Next::Request) => {}
                Ok(Next::Over) | Err(Unreadable::Gone) => return,
                Ok(Next::Reset) => return reset(self.wire.stream),
                Err(Unreadable::Refused(status)) => {
                    let terms =
                        Terms { keep_alive: false, http10: false, head_only: false, joined_events: true };
                    let refusal = script(fault_reply::error(Family::OpenAi, status), None, terms);
                    let _ = self.play(refusal, Duration::ZERO).await;
                    return self.wire.drain().await;
                }
            }
        }
    }

    async fn exchange(&mut self, head: &Head) -> Result<Next, Unreadable> {
        let serial = self.state.number();
        let fault = self.wish(head).unwrap_or_else(|| self.state.strike(serial));
        let counted = plain::is_counted(head);
        let limit = if counted { COUNTED_BODY } else { MAX_BODY };
        let body = match fault {
            Some(Fault::TooLarge) => Body { kept: Bytes::new(), length: 0, digest: None },
            _ => self.wire.body(head, limit, counted).await?,
        };
        self.note(head, Some(&body));
        let answered = self.answer(head, &body, serial, fault).await;
        if answered.is_err() {
            self.state.hang_up();
        }
        if fault == Some(Fault::TooLarge) {
            self.wire.drain().await;
        }
        Ok(answered.unwrap_or(Next::Over))
    }

    async fn answer(
        &mut self,
        head: &Head,
        body: &Body,
        serial: u64,
        fault: Option<Fault>,
    ) -> Result<Next, HungUp> {
        match fault {
            Some(Fault::Refuse | Fault::ResetBeforeHead) => return Ok(Next::Reset),
            Some(Fault::NeverAnswers) => {
                self.wire.gone().await;
                return Err(HungUp);
            }
            Some(Fault::NotHttp) => {
                self.wire.stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await?;
                return Ok(Next::Over);
            }
            _ => {}
        }
        let (family, reply) = api::answer(&self.state.behaviour, head, body, serial);
        let reply = match fault {
            Some(fault) => fault_reply::strike(fault, family, reply),
            None => reply,
        };
        let mut reply = api::sign(reply, family, serial);
        if let Some(left) = head.header("x-sim-left") {
            api::leave(&mut reply, family, left);
        }
        let delay = milliseconds(head, "x-sim-delay-ms").unwrap_or(self.state.behaviour.first_byte);
        self.wait(Hold::BeforeHead, delay).await?;
        let pace = milliseconds(head, "x-sim-event-delay-ms").unwrap_or(self.state.behaviour.per_event);
        let script = script(reply, fault, self.terms(head, pace));
        self.play(script, pace).await
    }

    fn terms(&self, head: &Head, pace: Duration) -> Terms {
        Terms {
            keep_alive: head.keeps_alive(),
            http10: head.http10,
            head_only: head.method == "HEAD",
            joined_events: self.state.behaviour.joined_events && pace.is_zero(),
        }
    }

    /// The fault this request asks for itself, or `Some(None)` where it has had its share of it.
    fn wish(&self, head: &Head) -> Option<Option<Fault>> {
        let fault = head.header("x-sim-fault")?.parse().ok()?;
        let times = head.header("x-sim-fault-times").and_then(|times| times.parse().ok());
        match (times, head.header("x-sim-fault-id")) {
            (Some(times), Some(id)) => Some(self.state.still_strikes(id, times).then_some(fault)),
            _ => Some(Some(fault)),
        }
    }

    fn note(&self, head: &Head, body: Option<&Body>) {
        let method = http::Method::from_bytes(head.method.as_bytes()).unwrap_or_default();
        let endpoint = Endpoint::of(&method, head.path());
        self.state.receive(endpoint, || Call {
            method: head.method.clone(),
            target: head.target.clone(),
            headers: head.headers.clone(),
            body: body.map(|body| body.kept.clone()).unwrap_or_default(),
            body_length: body.map_or(0, |body| body.length),
            connection: self.number,
        });
    }

    async fn play(&mut self, script: Script, pace: Duration) -> Result<Next, HungUp> {
        let mut written = 0;
        for step in script.steps {
            match step {
                Step::Write(bytes) => self.wire.stream.write_all(&bytes).await?,
                Step::Event(bytes) => {
                    self.wait(Hold::AfterEvents(written), pace).await?;
                    self.wire.stream.write_all(&bytes).await?;
                    written += 1;
                }
                Step::Repeat(bytes, times) => {
                    for _ in 0..times {
                        self.wire.stream.write_all(&bytes).await?;
                    }
                }
                Step::Bytes(bytes, pause) => {
                    for byte in bytes {
                        self.wire.stream.write_all(&[byte]).await?;
                        self.pause(pause).await?;
                    }
                }
            }
        }
        match script.end {
            End::KeepAlive => Ok(Next::Request),
            End::Close => Ok(Next::Over),
            End::Reset => Ok(Next::Reset),
            End::Hang => {
                self.wire.gone().await;
                Err(HungUp)
            }
            End::Forever(bytes) => loop {
                self.wire.stream.write_all(&bytes).await?;
                self.pause(pace.max(ENDLESS_PAUSE)).await?;
            },
        }
    }

    async fn wait(&mut self, point: Hold, delay: Duration) -> Result<(), HungUp> {
        if self.state.gate().is_held(point) {
            let state = self.state.clone();
            tokio::select! {
                () = state.gate().pass(point) => {}
                () = self.wire.gone() => return Err(HungUp),
            }
        }
        self.pause(delay).await
    }

    async fn pause(&mut self, length: Duration) -> Result<(), HungUp> {
        if length.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(length) => Ok(()),
            () = self.wire.gone() => Err(HungUp),
        }
    }
}

fn milliseconds(head: &Head, name: &str) -> Option<Duration> {
    head.header(name)?.parse().ok().map(Duration::from_millis)
}

fn reset(stream: TcpStream) {
    // A zero linger turns the coming close into a reset; where it fails, the close is an orderly one.
    let _ = stream.set_zero_linger();
}
