//! A simulated provider: the OpenAI, Anthropic and Gemini APIs on a loopback socket, faults included.
//!
//! `pareto demo` talks to it, and so do the tests. Answers are a pure function of the request, so two
//! calls with the same body say the same thing; ids, times and rate-limit headers differ per call, so a
//! replayed answer can be told from a fresh one. It is its own HTTP/1.1 server on raw sockets because it
//! must also misbehave below HTTP: reset, cut, drip, lie about lengths.
//!
//! Reading order: `server` (one connection), `api` (which endpoint answers), `mind` (what is said),
//! `openai`, `anthropic`, `gemini` (how it is worded), `fault` and `script` (how it goes wrong).

mod anthropic;
mod api;
mod behaviour;
mod call;
mod fault;
mod fault_reply;
mod gate;
mod gemini;
mod hash;
mod mind;
mod openai;
mod plain;
mod reply;
mod schema;
mod script;
mod server;
mod state;
mod vector;
mod vocabulary;
mod websocket;
mod wire;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

pub use behaviour::{Behaviour, Odds};
pub use call::Call;
pub use fault::Fault;
pub use gate::Hold;

use crate::request::endpoint::Endpoint;
use state::State;

/// A running simulated provider. Dropping it closes its port and every connection.
pub struct Provider {
    address: SocketAddr,
    state: Arc<State>,
    listening: Mutex<Option<JoinHandle<()>>>,
    /// Keeps the port while nobody listens, so that nobody else answers there.
    kept: Mutex<Option<TcpSocket>>,
}

impl Provider {
    /// Starts on a free loopback port. Fails only where the system refuses a socket.
    pub async fn start(behaviour: Behaviour) -> io::Result<Self> {
        Self::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), behaviour).await
    }

    /// Starts on a given address; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, behaviour: Behaviour) -> io::Result<Self> {
        let state = Arc::new(State::new(behaviour));
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(server::listen(listener, state.clone()));
        Ok(Self { address, state, listening: Mutex::new(Some(listening)), kept: Mutex::new(None) })
    }

    /// The base URL OpenAI clients take: `http://127.0.0.1:PORT/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The base URL Anthropic and Gemini clients take: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request suffers this fault. Faults queue up, one per request; an explicit
    /// `x-sim-fault` header goes first, then this queue, then [`Provider::always`], then the odds.
    pub fn next(&self, fault: Fault) {
        self.next_times(fault, 1);
    }

    /// As [`Provider::next`], for the next `times` requests.
    pub fn next_times(&self, fault: Fault, times: usize) {
        self.state.queue(fault, times);
    }

    /// Every request suffers this fault, until `None` is set.
    pub fn always(&self, fault: Option<Fault>) {
        self.state.always(fault);
    }

    /// The requests received so far, oldest first, as far as [`Behaviour::recorded_calls`] keeps them.
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls()
    }

    /// Requests received for an endpoint, whatever became of them.
    pub fn count(&self, endpoint: Endpoint) -> u64 {
        self.state.count(endpoint)
    }

    /// Requests received in all, whatever became of them.
    pub fn total(&self) -> u64 {
        self.state.total()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.state.connections()
    }

    /// Answers the client did not wait for: it hung up before their end.
    pub fn hung_up(&self) -> u64 {
        self.state.hung_up()
    }

    /// Waits until at least `calls` requests have been received in all.
    pub async fn received(&self, calls: u64) {
        self.state.until(|counts| counts.calls >= calls).await;
    }

    /// Waits until at least `clients` answers have been left before their end.
    pub async fn left(&self, clients: u64) {
        self.state.until(|counts| counts.hung_up >= clients).await;
    }

    /// Stops every answer, those under way included, at the given point until [`Provider::release`].
    pub fn hold(&self, at: Hold) {
        self.state.gate().hold(at);
    }

    /// Lets all held answers go on.
    pub fn release(&self) {
        self.state.gate().release();
    }

    /// Goes away like a killed process: connections break and new ones are refused.
    pub async fn stop(&self) {
        let listening = self.listening.lock().take();
        if let Some(listening) = listening {
            listening.abort();
            let _ = listening.await;
            *self.kept.lock() = keep(self.address).ok();
        }
    }

    /// Comes back on the same port after [`Provider::stop`].
    pub async fn restart(&self) -> io::Result<()> {
        self.stop().await;
        drop(self.kept.lock().take());
        let listening = tokio::spawn(server::listen(listen(self.address)?, self.state.clone()));
        *self.listening.lock() = Some(listening);
        Ok(())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.lock().take() {
            listening.abort();
        }
    }
}

/// A socket at an address that refuses whoever comes, and that nobody is given a port by.
fn keep(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = bind(address)?;
    socket.set_reuseaddr(false)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(4096)
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart takes the same port while old connections linger in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
