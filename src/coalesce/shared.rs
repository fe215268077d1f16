//! Flights across sidecars: the lease that says who makes the call, and what becomes of it.
//!
//! One key holds the lease: the token of the sidecar that flies, renewed while it lives, then for a
//! moment the word that the answer has landed. Everything a leader writes is fenced: a script writes
//! only while the lease still has the writer's token. All keys of a flight lie in one slot.
//!
//! Nothing is streamed through Redis unless somebody follows: a follower tells the leader's sidecar,
//! which then writes what is recorded, from its start, to a stream, and publishes that there is more.
//! A leader that dies is silent; its followers look when the lease would have ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Script, pipe};
use tokio::sync::Notify;

use super::follower::Follower;
use super::leader::Lease;
use crate::io::envelope::Envelope;
use crate::io::redis::channels::Message;
use crate::io::redis::{Away, Redis};
use crate::request::key::CacheKey;

/// What the lease says once the answer is there: for how long, and by which word.
pub(super) const LANDED: &str = "landed";

/// The flights this sidecar shares with others.
pub struct SharedFlights {
    pub(super) redis: Arc<Redis>,
    pub(super) envelope: Arc<Envelope>,
    pub(super) scripts: Scripts,
    sidecar: String,
    next: AtomicU64,
    /// The flights led here that others may ask to follow.
    led: Mutex<HashMap<String, Arc<Notify>>>,
    attempts: AtomicU64,
    failures: AtomicU64,
}

/// A place on a flight across sidecars.
pub enum Place {
    /// This sidecar makes the call.
    Leader(Lease),
    /// Another makes it.
    Follower(Follower),
    /// Another has made it just now.
    Landed,
    /// Redis cannot say: the call is made without it.
    Alone,
}

pub(super) struct Scripts {
    board: Script,
    pub(super) renew: Script,
    pub(super) tell: Script,
    pub(super) land: Script,
    pub(super) follow: Script,
}

impl Scripts {
    fn new() -> Self {
        Self {
            board: Script::new(
                "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return '' end
                 return redis.call('GET', KEYS[1])",
            ),
            renew: Script::new(
                "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
                 return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
            ),
            tell: Script::new(
                "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
                 redis.call('PEXPIRE', KEYS[1], ARGV[2])
                 redis.call('XADD', KEYS[2], '*', 'd', ARGV[3])
                 redis.call('PEXPIRE', KEYS[2], ARGV[2] * 2)
                 redis.call('PUBLISH', ARGV[4], '')
                 return 1",
            ),
            land: Script::new(
                "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
                 if ARGV[2] == '' then redis.call('DEL', KEYS[1])
                 else redis.call('SET', KEYS[1], ARGV[2], 'PX', 1000) end
                 redis.call('PUBLISH', ARGV[3], '')
                 return 1",
            ),
            follow: Script::new(
                "return {redis.call('GET', KEYS[1]) or '', redis.call('PTTL', KEYS[1]),
                         redis.call('XRANGE', KEYS[2], ARGV[1], '+', 'COUNT', 256)}",
            ),
        }
    }
}

impl SharedFlights {
    /// Flights shared through `redis`, their streams wrapped by `envelope`.
    pub fn start(redis: Arc<Redis>, envelope: Arc<Envelope>) -> Arc<Self> {
        let sidecar = format!("{:016x}", rand::random::<u64>());
        let shared = Arc::new(Self {
            redis,
            envelope,
            scripts: Scripts::new(),
            sidecar,
            next: AtomicU64::new(0),
            led: Mutex::default(),
            attempts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        tokio::spawn(shared.clone().hear());
        shared
    }

    /// Leases asked for since the start.
    pub fn attempts(&self) -> u64 {
        self.attempts.load(Relaxed)
    }

    /// Leases that could not be asked for or were lost.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    pub(super) fn lease_time(&self) -> Duration {
        self.redis.settings().lease
    }

    pub(super) fn lease_millis(&self) -> Vec<u8> {
        self.lease_time().as_millis().to_string().into_bytes()
    }

    pub(super) fn lease_key(&self, key: &CacheKey) -> String {
        format!("{}:{{{}}}:lease", self.redis.settings().prefix, key.hex())
    }

    pub(super) fn stream_key(&self, key: &CacheKey, token: &str) -> String {
        format!("{}:{{{}}}:flight:{token}", self.redis.settings().prefix, key.hex())
    }

    /// Where it is published that a flight has more to read.
    pub(super) fn channel(&self, key: &CacheKey) -> String {
        format!("{}:flight:{}", self.redis.settings().prefix, key.hex())
    }

    fn sidecar_channel(&self, sidecar: &str) -> String {
        format!("{}:sidecar:{sidecar}", self.redis.settings().prefix)
    }

    /// Takes a place on the flight under `key`, opening one where there is none.
    pub async fn board(self: &Arc<Self>, key: CacheKey) -> Place {
        // Who hears nothing would follow in the dark, until a lease ends.
        if !self.redis.is_up() || self.redis.channels().is_deaf() {
            return Place::Alone;
        }
        self.attempts.fetch_add(1, Relaxed);
        let token = format!("{}-{:x}", self.sidecar, self.next.fetch_add(1, Relaxed));
        let arguments = [token.as_bytes(), &self.lease_millis()];
        let lease = self.lease_key(&key);
        let held: Result<String, Away> = self.redis.script(&self.scripts.board, &[&lease], &arguments).await;
        match held.as_deref() {
            Ok("") => {
                let asked = Arc::new(Notify::new());
                self.led.lock().insert(token.clone(), asked.clone());
                Place::Leader(Lease::new(self.clone(), key, token, asked))
            }
            Ok(LANDED) => Place::Landed,
            Ok(token) => Place::Follower(Follower::new(self.clone(), key, token.to_owned())),
            Err(Away) => {
                self.failed();
                Place::Alone
            }
        }
    }

    /// Tells the sidecar that holds `token` that somebody follows.
    pub(super) async fn ask(&self, token: &str) -> Result<(), Away> {
        let sidecar = token.split('-').next().unwrap_or_default();
        let mut commands = pipe();
        commands.cmd("PUBLISH").arg(self.sidecar_channel(sidecar)).arg(token).ignore();
        self.redis.run(&commands).await
    }

    pub(super) fn forget(&self, token: &str) {
        self.led.lock().remove(token);
    }

    /// Hears who wants to follow a flight led here.
    async fn hear(self: Arc<Self>) {
        let channel = self.sidecar_channel(&self.sidecar);
        let mut heard = self.redis.channels().listen(channel);
        loop {
            match heard.next().await {
                Message::Heard(token) => {
                    let asked = std::str::from_utf8(&token)
                        .ok()
                        .and_then(|token| self.led.lock().get(token).cloned());
                    if let Some(asked) = asked {
                        asked.notify_one();
                    }
                }
                // Who asked meanwhile asks again.
                Message::Look => {}
            }
        }
    }
}
