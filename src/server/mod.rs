//! Pingora's side of the house: sockets in, responses out.

pub mod admin;
mod body;
mod connection;
mod counts;
mod explain;
mod life;
mod listen;
mod providers;
mod proxy;
mod reload;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::config::Problem;
use crate::gateway::Gateway;
use crate::io::connections::Connections;
use crate::io::resolver::Resolver;

pub use life::{notify_ready, run_until_stopped};
pub use listen::{Listeners, Running};
pub use reload::{Reloader, Source};

/// What all connections share.
pub struct Shared {
    /// The generation in force.
    pub gateway: ArcSwap<Gateway>,
    /// Finds the addresses of providers for requests that pass through.
    pub resolver: Arc<Resolver>,
    /// Counts the connections to providers.
    pub connections: Arc<Connections>,
    /// Why the last reload was rejected, until one succeeds.
    pub rejected: ArcSwap<Option<Vec<Problem>>>,
    /// Set before the listeners close, so that a balancer looks elsewhere.
    draining: AtomicBool,
    active: AtomicUsize,
    idle: Notify,
}

/// A request under way; dropping it counts it out.
pub struct Active(Arc<Shared>);

impl Shared {
    /// The state of a server that serves with `gateway`.
    pub fn new(gateway: Gateway, resolver: Arc<Resolver>, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            gateway: ArcSwap::from_pointee(gateway),
            resolver,
            connections,
            rejected: ArcSwap::from_pointee(None),
            draining: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            idle: Notify::new(),
        })
    }

    /// Counts a request in.
    pub fn enter(self: &Arc<Self>) -> Active {
        self.active.fetch_add(1, SeqCst);
        Active(self.clone())
    }

    /// How many requests are under way.
    pub fn active(&self) -> usize {
        self.active.load(SeqCst)
    }

    /// Whether the server is closing.
    pub fn is_draining(&self) -> bool {
        self.draining.load(SeqCst)
    }

    /// Says that the server is closing.
    pub fn drain(&self) {
        self.draining.store(true, SeqCst);
    }

    /// Resolves once no request is under way.
    pub async fn idle(&self) {
        loop {
            let changed = self.idle.notified();
            if self.active() == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if self.0.active.fetch_sub(1, SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
