//! The one way to Redis: a single server, one that Sentinels know, or a Cluster. Knows no caller's
//! keys.
//!
//! Requests must not feel it. A round trip has a short bound; the first that takes longer, or a
//! connection that breaks, takes Redis out of use for everybody at once: calls then fail without
//! waiting. One task in the background connects again, longer apart each time, and puts Redis back
//! into use when it has answered in time.

pub mod channels;
mod connect;
mod sentinels;

use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use redis::{FromRedisValue, Pipeline, RedisError, RedisResult, Script, ServerErrorKind};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::config::{Topology, storage::Redis as Settings};
use channels::Channels;
use connect::{Connection, Server};

/// Between two attempts to connect: at first, and at most.
const REST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A connection that held for this long was a good one.
const HELD: Duration = Duration::from_secs(10);
/// Between two words in the log about commands that are refused.
const RETOLD: Duration = Duration::from_secs(60);
/// Nobody waits for a connection to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// Redis, in use or not.
pub struct Redis {
    settings: Settings,
    server: Server,
    connection: ArcSwapOption<Connection>,
    broken: Arc<Notify>,
    connected: Notify,
    errors: AtomicU64,
    /// When a refused command was last told of.
    told: Mutex<Option<Instant>>,
    channels: Channels,
}

/// Redis is not in use, or was not a moment ago. Whoever asked goes on without it.
#[derive(Clone, Copy, Debug)]
pub struct Away;

impl Redis {
    /// Redis as `settings` say, and the task that keeps it connected. Resolves at once.
    ///
    /// # Errors
    /// The settings cannot be used (a TLS root that cannot be read).
    pub fn start(settings: Settings) -> std::io::Result<Arc<Self>> {
        let server = Server::new(&settings, CONNECT).map_err(std::io::Error::other)?;
        let redis = Arc::new(Self {
            server,
            connection: ArcSwapOption::empty(),
            broken: Arc::default(),
            connected: Notify::new(),
            errors: AtomicU64::new(0),
            told: Mutex::default(),
            channels: Channels::default(),
            settings,
        });
        tokio::spawn(keep_connected(Arc::downgrade(&redis)));
        tokio::spawn(channels::listen(Arc::downgrade(&redis)));
        Ok(redis)
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it is in use.
    pub fn is_up(&self) -> bool {
        self.connection.load().is_some()
    }

    /// Calls that failed and connections that could not be made.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// Messages of other sidecars.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Whether keys of one call may only lie in one slot.
    pub fn is_cluster(&self) -> bool {
        self.settings.url.topology == Topology::Cluster
    }

    /// Resolves when it is in use.
    pub async fn up(&self) {
        loop {
            let connected = self.connected.notified();
            if self.is_up() {
                return;
            }
            connected.await;
        }
    }

    /// One round trip of one or more commands; in a Cluster all their keys must share a slot.
    ///
    /// # Errors
    /// Redis is not in use, does not answer in time, or refuses.
    pub async fn run<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Away> {
        self.call(async |connection| connection.run(commands).await).await
    }

    /// A script, in one round trip where Redis knows it.
    ///
    /// # Errors
    /// As of [`Redis::run`].
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T, Away> {
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(*key);
        }
        for argument in arguments {
            invocation.arg(*argument);
        }
        self.call(async |connection| connection.invoke(&invocation).await).await
    }

    async fn call<T>(&self, ask: impl AsyncFnOnce(&mut Connection) -> RedisResult<T>) -> Result<T, Away> {
        let Some(current) = self.connection.load_full() else { return Err(Away) };
        let mut connection = (*current).clone();
        let failed = match timeout(self.settings.timeout, ask(&mut connection)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        self.errors.fetch_add(1, Relaxed);
        match &failed {
            Some(error) if !self.breaks(error) => self.refused(error),
            _ => self.break_off(&current, failed.as_ref()),
        }
        Err(Away)
    }

    /// Whether after this error nothing better is to be expected of the connection. A command that
    /// was refused (out of memory, a write to a read-only replica, keys on their way from one node of a
    /// Cluster to another) says nothing of the next.
    fn breaks(&self, error: &RedisError) -> bool {
        use redis::ErrorKind::{Io, Parse, Server};
        match error.kind() {
            Server(ServerErrorKind::ReadOnly) => matches!(self.settings.url.topology, Topology::Sentinel(_)),
            Server(
                ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown,
            ) => true,
            Io | Parse => true,
            _ => error.is_unrecoverable_error() || error.is_timeout(),
        }
    }

    /// A command was refused: for want of memory or of a right that the user does not have, or its keys are
    /// on the move.
    fn refused(&self, error: &RedisError) {
        let mut told = self.told.lock();
        if told.is_none_or(|told| told.elapsed() >= RETOLD) {
            *told = Some(Instant::now());
            tracing::warn!(%error, "Redis refuses a command");
        }
    }

    fn break_off(&self, broken: &Arc<Connection>, error: Option<&RedisError>) {
        let current = self.connection.load();
        if !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, broken)) {
            return;
        }
        self.connection.store(None);
        match error {
            Some(error) => tracing::warn!(%error, "Redis is not used until it works again"),
            None => tracing::warn!(
                timeout = ?self.settings.timeout,
                "Redis did not answer in time and is not used until it does"
            ),
        }
        self.broken.notify_waiters();
    }

    async fn connect(&self) -> Result<Arc<Connection>, String> {
        let mut connection = match timeout(CONNECT, self.server.connect()).await {
            Ok(made) => made.map_err(|error| error.to_string())?,
            Err(_) => return Err("no connection in time".to_owned()),
        };
        match timeout(self.settings.timeout, connection.ping()).await {
            Ok(answer) => answer.map_err(|error| error.to_string())?,
            Err(_) => return Err("a PING was not answered in time".to_owned()),
        }
        Ok(Arc::new(connection))
    }
}

/// Connects, again and again, for as long as anybody has the [`Redis`].
async fn keep_connected(redis: Weak<Redis>) {
    let mut rest = REST.0;
    let mut said = false;
    loop {
        let Some(redis) = redis.upgrade() else { return };
        match redis.connect().await {
            Ok(connection) => {
                let (notify, since) = (redis.broken.clone(), Instant::now());
                let broken = notify.notified();
                redis.connection.store(Some(connection));
                redis.connected.notify_waiters();
                tracing::info!("Redis is in use");
                drop(redis);
                broken.await;
                said = false;
                if since.elapsed() >= HELD {
                    rest = REST.0;
                }
            }
            Err(error) => {
                redis.errors.fetch_add(1, Relaxed);
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(error, "Redis cannot be reached");
                }
            }
        }
        sleep(rest.mul_f64(rand::random_range(0.5..1.0))).await;
        rest = (rest * 2).min(REST.1);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Its tasks look whether it is still there.
        self.broken.notify_waiters();
    }
}
