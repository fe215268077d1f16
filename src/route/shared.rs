//! What is known of targets and keys, shared by sidecars through Redis: breakers, rests, and who probes.
//!
//! Two keys for each slot have its breaker's last opening or closing and its rest, as `word` has them; a
//! message says which slot there is something to read of. A sidecar that begins, that has new targets or
//! that may have missed messages reads all of them. Nothing of this is in a request's way but one round
//! trip before a probe, which takes the lease that lets one sidecar of all probe; it is renewed while the
//! probe is under way. While Redis is away each sidecar decides by what it sees itself, and tells it when
//! Redis is back and it has heard the others.
//!
//! Names are digests of a provider's name and URL, the model and the key, under the installation's secret:
//! sidecars need not have the same file, and what one does not have it does not know by name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use redis::Script;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::breaker::PROBE;
use super::health::Slot;
use super::word::{Fact, LINGER, Sidecar};
use crate::io::redis::channels::Message;
use crate::io::redis::{Away, Redis};
use crate::request::identity::Secret;

/// Slots read in one round trip.
const TOGETHER: usize = 64;
/// Leases are renewed so often before they end.
const PER_LEASE: u32 = 3;

/// What sidecars know together.
pub struct SharedHealths {
    redis: Arc<Redis>,
    secret: Arc<ArcSwap<Secret>>,
    sidecar: Sidecar,
    scripts: Scripts,
    slots: Mutex<Vec<Weak<Slot>>>,
    /// The slots by the digests of their names.
    index: Mutex<HashMap<String, Weak<Slot>>>,
    /// All slots are to be read: some are new, are called otherwise, or messages were missed.
    unread: AtomicBool,
    /// Sidecars that were told last, this one included.
    peers: AtomicI64,
    woken: Arc<Notify>,
    counts: Counts,
}

/// How often something was told, learned and so on, since the start.
#[derive(Default)]
struct Counts {
    told: AtomicU64,
    learned: AtomicU64,
    ignored: AtomicU64,
    left: AtomicU64,
}

struct Scripts {
    lease: Script,
    read: Script,
    tell: Script,
    renew: Script,
}

/// Who probes.
pub(super) enum Lease {
    /// This sidecar.
    Ours,
    /// Another one, or nobody yet: another has probed meanwhile, and it failed.
    Theirs,
    /// Nobody: the target works again.
    Needless,
}

/// A word as it is found: its value, empty where there is none, and the milliseconds it has left.
type Found = (Vec<u8>, i64);

impl Default for Scripts {
    fn default() -> Self {
        Self {
            lease: Script::new(include_str!("shared/lease.lua")),
            read: Script::new(include_str!("shared/read.lua")),
            tell: Script::new(include_str!("shared/tell.lua")),
            renew: Script::new(include_str!("shared/renew.lua")),
        }
    }
}

impl SharedHealths {
    /// Shares through `redis`, under names keyed by `secret`.
    pub fn start(redis: Arc<Redis>, secret: Arc<ArcSwap<Secret>>) -> Arc<Self> {
        let shared = Arc::new(Self {
            redis,
            secret,
            sidecar: rand::random(),
            scripts: Scripts::default(),
            slots: Mutex::default(),
            index: Mutex::default(),
            unread: AtomicBool::new(true),
            peers: AtomicI64::new(0),
            woken: Arc::default(),
            counts: Counts::default(),
        });
        tokio::spawn(attend(Arc::downgrade(&shared)));
        shared
    }

    /// What was counted since the start: states told to other sidecars, learned from them, words that were
    /// not understood, probes left to others.
    pub fn counted(&self) -> [(&'static str, u64); 4] {
        let Counts { told, learned, ignored, left } = &self.counts;
        [("told", told), ("learned", learned), ("ignored", ignored), ("probe_left", left)]
            .map(|(name, count)| (name, count.load(Relaxed)))
    }

    /// A new slot, of which others may know something.
    pub(super) fn join(&self, slot: &Arc<Slot>) {
        self.slots.lock().push(Arc::downgrade(slot));
        self.look();
    }

    /// Reads all slots anew: some are new, or the secret is and with it their names.
    pub fn look(&self) {
        self.unread.store(true, Relaxed);
        self.wake();
    }

    /// There is something to be told.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Asks for the lease of a probe. Without Redis everybody has it.
    pub(super) async fn lease(&self, slot: &Slot) -> Lease {
        let now = Instant::now();
        {
            let mut condition = slot.condition();
            if let Some(until) = condition.yields_probe(now).filter(|_| self.has_peers()) {
                condition.leave_probe(until);
                self.counts.left.fetch_add(1, Relaxed);
                return Lease::Theirs;
            }
            // First: a request that is given up meanwhile gives the lease back.
            condition.lease();
        }
        let digest = self.digest(slot);
        let (word, probe) = (self.key("breaker", &digest), self.key("probe", &digest));
        let arguments = [self.sidecar, self.lease_time().as_millis() as u64, LINGER.as_millis() as u64];
        let texts = arguments.map(|number| number.to_string());
        let asked: Result<(u8, Vec<u8>, i64, i64), Away> = self
            .redis
            .script(&self.scripts.lease, &[&word, &probe], &texts.each_ref().map(|text| text.as_bytes()))
            .await;
        let Ok((ours, word, left, lease_left)) = asked else { return Lease::Ours };
        let now = Instant::now();
        self.take(slot, &(word, left), now);
        let mut condition = slot.condition();
        match condition.awaits_probe(now) {
            None => {
                condition.give_lease_back();
                drop(condition);
                self.wake();
                Lease::Needless
            }
            Some(true) if ours == 1 => Lease::Ours,
            awaits => {
                if awaits == Some(true) {
                    let left = Duration::from_millis(u64::try_from(lease_left).unwrap_or_default());
                    condition.leave_probe(now + left.min(PROBE));
                } else {
                    condition.give_lease_back();
                }
                self.counts.left.fetch_add(1, Relaxed);
                Lease::Theirs
            }
        }
    }

    /// Whether another sidecar may probe as well.
    fn has_peers(&self) -> bool {
        self.redis.is_up() && self.peers.load(Relaxed) > 1
    }

    fn lease_time(&self) -> Duration {
        self.redis.settings().lease
    }

    fn key(&self, kind: &str, digest: &str) -> String {
        // One hash tag: what is told and who probes is one step only where it lies in one slot of a Cluster.
        format!("{{{}:targets}}:{kind}:{digest}", self.redis.settings().prefix)
    }

    fn channel(&self) -> String {
        format!("{}:targets", self.redis.settings().prefix)
    }

    fn digest(&self, slot: &Slot) -> String {
        let name = blake3::keyed_hash(&self.secret.load().0, slot.name().as_bytes());
        name.to_hex()[..32].to_owned()
    }

    fn alive(&self) -> Vec<Arc<Slot>> {
        let mut slots = self.slots.lock();
        slots.retain(|slot| slot.strong_count() > 0);
        slots.iter().filter_map(Weak::upgrade).collect()
    }

    /// Reads what others have told of all slots.
    async fn read_all(&self) -> Result<(), Away> {
        let slots = self.alive();
        let by_name = slots.iter().map(|slot| (self.digest(slot), Arc::downgrade(slot)));
        *self.index.lock() = by_name.collect();
        for some in slots.chunks(TOGETHER) {
            for (slot, unknown) in some.iter().zip(self.read(some).await?) {
                let now = Instant::now();
                slot.condition().is_unknown(unknown[0], unknown[1], now);
            }
        }
        Ok(())
    }

    /// Reads what others have told of these slots, and says of which breakers and rests nothing is there.
    async fn read(&self, slots: &[Arc<Slot>]) -> Result<Vec<[bool; 2]>, Away> {
        let keys: Vec<String> = slots
            .iter()
            .map(|slot| self.digest(slot))
            .flat_map(|digest| ["breaker", "rest"].map(|kind| self.key(kind, &digest)))
            .collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let found: Vec<Found> = self.redis.script(&self.scripts.read, &keys, &[]).await?;
        let now = Instant::now();
        let each = slots.iter().zip(found.chunks_exact(2)).map(|(slot, found)| {
            for one in found {
                self.take(slot, one, now);
            }
            slot.condition().take_probe(now);
            [0, 1].map(|kind| found[kind].0.is_empty())
        });
        Ok(each.collect())
    }

    /// Takes in one word, if it is one and another's.
    fn take(&self, slot: &Slot, (word, left): &Found, now: Instant) {
        if word.is_empty() {
            return;
        }
        let left = u64::try_from(*left).ok().map(Duration::from_millis);
        let Some(fact) = left.and_then(|left| Fact::read(word, left, now)) else {
            self.counts.ignored.fetch_add(1, Relaxed);
            return;
        };
        if fact.by != self.sidecar && slot.condition().hear(&fact, now) {
            self.counts.learned.fetch_add(1, Relaxed);
            let rest = fact.until.saturating_duration_since(now);
            tracing::info!(target = slot.shown_as(), learned = ?fact.word, ?rest, "another sidecar has found out");
        }
    }

    /// Hears that there is something to read of a slot: `SIDECAR DIGEST`.
    async fn hear(&self, message: &[u8]) {
        let parsed = std::str::from_utf8(message).ok().and_then(|text| {
            let (sidecar, digest) = text.split_once(' ')?;
            Some((sidecar.parse::<Sidecar>().ok()?, digest))
        });
        let Some((sidecar, digest)) = parsed else {
            self.counts.ignored.fetch_add(1, Relaxed);
            return;
        };
        let slot = self.index.lock().get(digest).and_then(Weak::upgrade);
        if let Some(slot) = slot.filter(|_| sidecar != self.sidecar)
            && self.read(&[slot]).await.is_err()
        {
            self.unread.store(true, Relaxed);
        }
    }

    /// Tells what is yet to be told.
    async fn tell_all(&self) -> Result<(), Away> {
        for slot in self.alive() {
            let (untold, facts) = {
                let mut condition = slot.condition();
                let untold = condition.take_untold();
                let breaker = untold.breaker.then(|| condition.breaker_fact(self.sidecar)).flatten();
                let rest = untold.rest.then(|| condition.rest_fact(self.sidecar)).flatten();
                (untold, [("breaker", breaker), ("rest", rest)])
            };
            if untold.any()
                && let Err(away) = self.tell(&slot, facts, untold.lease).await
            {
                slot.condition().give_back(untold);
                return Err(away);
            }
        }
        Ok(())
    }

    async fn tell(
        &self,
        slot: &Slot,
        facts: [(&str, Option<Fact>); 2],
        gives_lease_back: bool,
    ) -> Result<(), Away> {
        let (digest, now) = (self.digest(slot), Instant::now());
        let me = self.sidecar.to_string();
        let mut keys = vec![self.key("probe", &digest)];
        let mut words = vec![
            if gives_lease_back { me.clone() } else { String::new() }.into_bytes(),
            self.channel().into_bytes(),
            format!("{me} {digest}").into_bytes(),
        ];
        for (kind, fact) in facts {
            let Some((word, life)) = fact.map(|fact| fact.write(now)) else { continue };
            keys.push(self.key(kind, &digest));
            words.extend([word, life.as_millis().to_string().into_bytes()]);
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let heard = self.redis.script(&self.scripts.tell, &keys, &words).await?;
        self.peers.store(heard, Relaxed);
        self.counts.told.fetch_add((keys.len() - 1) as u64, Relaxed);
        Ok(())
    }

    /// Renews the leases of the probes that are under way here.
    async fn renew(&self) {
        for slot in self.alive() {
            if !slot.condition().is_leased() {
                continue;
            }
            let probe = self.key("probe", &self.digest(&slot));
            let (me, lease) = (self.sidecar.to_string(), self.lease_time().as_millis().to_string());
            let arguments = [me.as_bytes(), lease.as_bytes()];
            // One that is lost is lost: the probe is under way.
            let _: Result<i64, Away> = self.redis.script(&self.scripts.renew, &[&probe], &arguments).await;
        }
    }
}

/// Hears and tells, for as long as anybody has the [`SharedHealths`].
async fn attend(shared: Weak<SharedHealths>) {
    let Some(first) = shared.upgrade() else { return };
    let (redis, woken, channel) = (first.redis.clone(), first.woken.clone(), first.channel());
    let pause = first.lease_time() / PER_LEASE;
    drop(first);
    let mut heard = redis.channels().listen(channel);
    loop {
        let message = tokio::select! {
            message = heard.next() => Some(message),
            () = woken.notified() => None,
            () = sleep(pause) => None,
        };
        let Some(shared) = shared.upgrade() else { return };
        match message {
            Some(Message::Heard(message)) => shared.hear(&message).await,
            Some(Message::Look) => shared.unread.store(true, Relaxed),
            None => shared.renew().await,
        }
        // Who has not heard the others may take what they have found out since for what there was before.
        let unread = shared.unread.swap(false, Relaxed) && shared.read_all().await.is_err();
        if unread || shared.tell_all().await.is_err() {
            shared.unread.store(true, Relaxed);
        }
    }
}
