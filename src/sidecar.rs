//! Every part put together: what `main` runs, the demo shows and tests drive.

use std::sync::Arc;

use crate::config::{Config, Environment};
use crate::gateway::storage::Storage;
use crate::gateway::{Gateway, Kept, alerts};
use crate::io::Io;
use crate::io::chance::Chance;
use crate::io::clock::Clock;
use crate::io::connections::Connections;
use crate::io::pingora::PingoraUpstream;
use crate::io::resolver::Resolver;
use crate::request::identity::Secret;
use crate::server::{Listeners, Reloader, Running, Shared, Source};
use crate::telemetry::Telemetry;
use crate::telemetry::line::Lines;

/// A sidecar that is listening.
pub struct Sidecar {
    /// Its sockets.
    pub running: Running,
    /// What builds its next generation.
    pub reloader: Arc<Reloader>,
}

impl Sidecar {
    /// Starts on the current runtime. `config` is what `source` gave; exchanges are written to
    /// `lines`.
    ///
    /// # Errors
    /// A socket's own, or two metrics of one name.
    pub fn start(
        config: Config,
        source: Source,
        environment: Environment,
        listeners: Listeners,
        lines: Option<Lines>,
    ) -> std::io::Result<Self> {
        let (resolver, connections) = (Arc::new(Resolver::default()), Arc::new(Connections::default()));
        let io = outside(&resolver, &connections);
        let storage = Storage::open(&config, io.clock)?;
        let gateway = gateway(config, io.clone(), storage, lines)?;
        let shared = Shared::new(gateway, resolver, connections);
        if let Some(alarms) = shared.gateway.load().kept().alarms.lock().take() {
            let shared = Arc::downgrade(&shared);
            tokio::spawn(alerts::tell(alarms, move || Some(shared.upgrade()?.gateway.load_full())));
        }
        let reloader = Reloader::new(source, environment, io, shared.clone());
        let running = listeners.serve(shared, reloader.clone())?;
        Ok(Self { running, reloader })
    }
}

/// A gateway that is asked what it would do, and never serves.
///
/// # Errors
/// Two metrics of one name.
pub fn offline(config: Config) -> std::io::Result<Gateway> {
    let io = outside(&Arc::default(), &Arc::default());
    // What is stored belongs to the process that serves.
    let storage = Storage::in_memory(Secret(rand::random()), io.clock);
    gateway(config, io, storage, None)
}

fn outside(resolver: &Arc<Resolver>, connections: &Arc<Connections>) -> Io {
    let upstream = Arc::new(PingoraUpstream::new(resolver.clone(), connections.clone()));
    Io { clock: Clock::system(), chance: Chance::system(), upstream }
}

fn gateway(config: Config, io: Io, storage: Storage, lines: Option<Lines>) -> std::io::Result<Gateway> {
    let telemetry = Telemetry::new(&config, io.clock, lines).map_err(std::io::Error::other)?;
    let kept = Arc::new(Kept::new(&config, Arc::new(telemetry), storage));
    Ok(Gateway::build(config, io, kept))
}
