//! The tier in Redis, and what all sidecars on it must agree on: which purges there were, and the
//! secret that keys entries.
//!
//! Keys are `PREFIX:{DIGEST}`, the braces a Cluster's hash tag, the digest keyed: without the secret
//! it confirms no guess at a prompt, and never shows a credential. What is asked for many at a time
//! lies under `PREFIX:{many-N}:DIGEST` instead, in a few slots. With `encryption_key` the secret
//! is derived from it and not in Redis. Without, the first sidecar leaves its own there for the
//! others (`SET NX`): who can read it can read the answers beside it as well.
//!
//! Purges are entries of a stream, told by a message and read again whenever one may have been
//! missed; `purges` has why that makes a purge O(1).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use redis::{Pipeline, Value, pipe};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::purges::{Purge, Purges, generation_of};
use super::tiers::Memories;
use crate::io::redis::{Away, Redis};
use crate::request::key::CacheKey;

/// Purges kept in the stream, about.
const REMEMBERED: usize = 4096;
/// Purges read at once.
const PAGE: usize = 512;
/// Purges that may wait for Redis to come back; beyond, everything is purged.
const UNSENT: usize = 1024;
/// Between two looks without being told to.
const LOOK: Duration = Duration::from_secs(5);

/// Hash tags of what is asked for many at a time, so that a Cluster answers some hundred keys in so
/// many commands at most, side by side, and still spreads them over its nodes.
const GROUPS: usize = 16;

/// A secret as it lies in Redis, or as it is to.
pub type SharedSecret = [u8; 32];

/// The tier in Redis.
pub struct Shared {
    redis: Arc<Redis>,
    /// The secret is the one all sidecars use.
    agreed: AtomicBool,
    unsent: Mutex<VecDeque<Purge>>,
    purged: Notify,
}

/// Entries of a stream: id and fields.
type Records = Vec<(String, Vec<Value>)>;

/// What is done with the secret that all sidecars use, once it is known.
pub type Adopt = Box<dyn Fn(SharedSecret) + Send + Sync>;

impl Shared {
    /// A tier in `redis`; used at once where the secret is `derived` from the configuration.
    pub fn new(redis: Arc<Redis>, derived: bool) -> Arc<Self> {
        let agreed = AtomicBool::new(derived);
        Arc::new(Self { redis, agreed, unsent: Mutex::default(), purged: Notify::new() })
    }

    fn key(&self, key: &CacheKey) -> String {
        format!("{}:{{{}}}", self.redis.settings().prefix, key.hex())
    }

    fn common(&self, name: &str) -> String {
        format!("{}:{{all}}:{name}", self.redis.settings().prefix)
    }

    /// What is stored under a key.
    pub async fn get(&self, key: &CacheKey) -> Option<Vec<u8>> {
        if !self.is_up() {
            return None;
        }
        let mut commands = pipe();
        commands.cmd("GET").arg(self.key(key));
        let (found,): (Option<Vec<u8>>,) = self.redis.run(&commands).await.ok()?;
        found
    }

    /// What is stored under each of these keys, which are asked for many at a time: in one round trip.
    pub async fn get_many(&self, keys: &[CacheKey]) -> Vec<Option<Vec<u8>>> {
        let mut all = vec![None; keys.len()];
        if !self.is_up() {
            return all;
        }
        let ask = |places: Vec<usize>| async move {
            let mut commands = pipe();
            commands.cmd("MGET");
            for place in &places {
                commands.arg(self.grouped(&keys[*place]));
            }
            let found: Result<(Vec<Option<Vec<u8>>>,), Away> = self.redis.run(&commands).await;
            (places, found)
        };
        for (places, found) in join_all(self.groups(keys.iter()).into_iter().map(ask)).await {
            let Ok((found,)) = found else { continue };
            for (place, found) in places.into_iter().zip(found) {
                all[place] = found;
            }
        }
        all
    }

    /// Stores for `keep`.
    pub async fn put(&self, key: &CacheKey, bytes: &[u8], keep: Duration) {
        if self.is_up() {
            let mut commands = pipe();
            set(&mut commands, self.key(key), bytes, keep);
            // Counted where it failed; the entry is in memory all the same.
            let _: Result<(), Away> = self.redis.run(&commands).await;
        }
    }

    /// Stores what is asked for many at a time, in one round trip.
    pub async fn put_many(&self, entries: &[(CacheKey, Vec<u8>)], keep: Duration) {
        if !self.is_up() {
            return;
        }
        let tell = |places: Vec<usize>| async move {
            let mut commands = pipe();
            for (key, bytes) in places.iter().map(|place| &entries[*place]) {
                set(&mut commands, self.grouped(key), bytes, keep);
            }
            let _: Result<(), Away> = self.redis.run(&commands).await;
        };
        join_all(self.groups(entries.iter().map(|(key, _)| key)).into_iter().map(tell)).await;
    }

    /// The key of what is asked for many at a time.
    fn grouped(&self, key: &CacheKey) -> String {
        format!("{}:{{many-{}}}:{}", self.redis.settings().prefix, group(key), key.hex())
    }

    /// The places of those `keys` that one command may name.
    fn groups<'k>(&self, keys: impl Iterator<Item = &'k CacheKey>) -> Vec<Vec<usize>> {
        if !self.redis.is_cluster() {
            return vec![(0..keys.count()).collect()];
        }
        let mut groups = vec![Vec::new(); GROUPS];
        for (place, key) in keys.enumerate() {
            groups[group(key)].push(place);
        }
        groups.retain(|group| !group.is_empty());
        groups
    }

    /// Tells the other sidecars of a purge, at once or when Redis is back.
    pub fn purge(&self, purge: &Purge) {
        let mut unsent = self.unsent.lock();
        if unsent.back() == Some(purge) {
            return;
        }
        if unsent.len() == UNSENT {
            unsent.clear();
            unsent.push_back(Purge::default());
        }
        unsent.push_back(purge.clone());
        drop(unsent);
        self.purged.notify_one();
    }

    /// Whether it is in use.
    pub fn is_up(&self) -> bool {
        self.agreed.load(Relaxed) && self.redis.is_up()
    }

    /// Failures of Redis since the start.
    pub fn errors(&self) -> u64 {
        self.redis.errors()
    }

    /// Agrees with the other sidecars, for as long as this process lives. `secret` is what this one
    /// keys entries with; none where it is derived and must not lie in Redis.
    pub(super) async fn agree(
        self: Arc<Self>,
        memories: Arc<Memories>,
        purges: Arc<Mutex<Purges>>,
        mut secret: Option<(SharedSecret, Adopt)>,
    ) {
        let mut told = self.redis.channels().listen(self.common("purged"));
        let mut read_to = "0-0".to_owned();
        loop {
            self.redis.up().await;
            if self.send().await.is_ok()
                && self.share_secret(&mut secret).await.is_ok()
                && self.read_purges(&mut read_to, &memories, &purges).await.is_ok()
            {
                self.agreed.store(true, Relaxed);
            }
            tokio::select! {
                _ = told.next() => {}
                () = self.purged.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Tells of purges that were made here.
    async fn send(&self) -> Result<(), Away> {
        loop {
            let Some(purge) = self.unsent.lock().front().cloned() else { return Ok(()) };
            let mut commands = pipe();
            let text = serde_json::to_string(&purge).unwrap_or_default();
            let stream = self.common("purges");
            commands.cmd("XADD").arg(stream).arg("MAXLEN").arg("~").arg(REMEMBERED);
            commands.arg("*").arg("purge").arg(text).ignore();
            commands.cmd("PUBLISH").arg(self.common("purged")).arg("").ignore();
            self.redis.run::<()>(&commands).await?;
            self.unsent.lock().pop_front();
        }
    }

    /// Leaves the secret for others where there is none, and takes theirs where there is. Looked at
    /// again and again, it is neither evicted nor missing for long after Redis was emptied.
    async fn share_secret(&self, secret: &mut Option<(SharedSecret, Adopt)>) -> Result<(), Away> {
        let Some((mine, adopt)) = secret else { return Ok(()) };
        let mut commands = pipe();
        let key = self.common("secret");
        commands.cmd("SET").arg(&key).arg(&mine[..]).arg("NX").ignore().cmd("GET").arg(&key);
        let (theirs,): (Vec<u8>,) = self.redis.run(&commands).await?;
        let Ok(theirs) = SharedSecret::try_from(theirs) else { return Err(Away) };
        if theirs != *mine {
            *mine = theirs;
            adopt(theirs);
        }
        Ok(())
    }

    async fn read_purges(
        &self,
        read_to: &mut String,
        memories: &Memories,
        purges: &Mutex<Purges>,
    ) -> Result<(), Away> {
        loop {
            let stream = self.common("purges");
            let mut commands = pipe();
            commands.cmd("XLEN").arg(&stream);
            commands.cmd("XRANGE").arg(&stream).arg("-").arg("+").arg("COUNT").arg(1);
            commands.cmd("XRANGE").arg(&stream).arg(format!("({read_to}")).arg("+").arg("COUNT").arg(PAGE);
            let (length, first, page): (usize, Records, Records) = self.redis.run(&commands).await?;
            let full = page.len() == PAGE;
            let oldest = first.first().and_then(|(id, _)| generation_of(id));
            if let Some(oldest) = oldest.filter(|oldest| generation_of(read_to) < Some(*oldest))
                && length >= REMEMBERED
            {
                // What was trimmed unread may have purged anything that is older.
                take(oldest, Purge::default(), memories, purges);
            }
            for (id, fields) in page {
                let Some(generation) = generation_of(&id) else { continue };
                take(generation, described(&fields), memories, purges);
                *read_to = id;
            }
            if !full {
                return Ok(());
            }
        }
    }
}

fn group(key: &CacheKey) -> usize {
    usize::from(key.bytes()[0]) % GROUPS
}

fn set(commands: &mut Pipeline, key: String, bytes: &[u8], keep: Duration) {
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 42);
    commands.cmd("SET").arg(key).arg(bytes).arg("PX").arg(keep).ignore();
}

/// The purge in the fields of an entry of the stream. One that cannot be read purges everything: it
/// is a newer version's.
fn described(fields: &[Value]) -> Purge {
    let [_, Value::BulkString(text), ..] = fields else { return Purge::default() };
    serde_json::from_slice(text).unwrap_or_default()
}

fn take(generation: u64, purge: Purge, memories: &Memories, purges: &Mutex<Purges>) {
    let mut purges = purges.lock();
    memories.purge(&purge, &|stored| stored.marks().generation < generation && purge.covers(stored));
    purges.add(generation, purge);
}
