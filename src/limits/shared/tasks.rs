//! What goes on behind the requests: saying that this sidecar is alive, hearing what becomes free, and
//! settling what has ended.

use std::sync::{Arc, Weak};

use redis::pipe;
use tokio::time::{Duration, sleep};

use super::mirror::Counted;
use super::open::Reservation;
use super::{Peers, SharedLedger, split, wire};
use crate::io::redis::Away;
use crate::io::redis::channels::Message;

/// Reservations settled in one round trip.
const TOGETHER: usize = 64;
/// A sidecar says so often in a lease that it is alive.
const PER_LEASE: u32 = 3;
/// Between two attempts to settle with a Redis that refuses.
const REST: Duration = Duration::from_millis(200);

/// Starts what ends with the ledger.
pub(super) fn start(ledger: &Arc<SharedLedger>) {
    tokio::spawn(attend(Arc::downgrade(ledger)));
    tokio::spawn(settle(Arc::downgrade(ledger)));
    tokio::spawn(judge(Arc::downgrade(ledger)));
}

/// Says that this sidecar is alive, and hears what becomes free.
async fn attend(ledger: Weak<SharedLedger>) {
    let Some(first) = ledger.upgrade() else { return };
    let (redis, channel) = (first.redis.clone(), first.keys.freed.clone());
    let pause = redis.settings().lease / PER_LEASE;
    drop(first);
    let mut heard = redis.channels().listen(channel);
    loop {
        let message = tokio::select! {
            message = heard.next() => Some(message),
            () = sleep(pause) => None,
        };
        let Some(ledger) = ledger.upgrade() else { return };
        match message {
            Some(Message::Heard(digests)) => ledger.wake(&digests),
            // The connection is new, or it is time.
            Some(Message::Look) | None => {
                // Whoever needs it next tries as well.
                let _ = ledger.join().await;
            }
        }
    }
}

/// Settles what is owed, again and again.
async fn settle(ledger: Weak<SharedLedger>) {
    loop {
        let Some(held) = ledger.upgrade() else { return };
        if !held.reservations.lock().owes() {
            // No longer than that: it also has to see that the ledger is gone.
            let _ = tokio::time::timeout(Duration::from_secs(5), held.owing.notified()).await;
            continue;
        }
        if held.settle_some().await.is_err() {
            drop(held);
            sleep(REST).await;
        }
    }
}

/// Warns where Redis may drop counts for want of room.
async fn judge(ledger: Weak<SharedLedger>) {
    let Some(redis) = ledger.upgrade().map(|ledger| ledger.redis.clone()) else { return };
    redis.up().await;
    let mut commands = pipe();
    commands.cmd("INFO").arg("memory");
    let Ok((told,)) = redis.run::<(String,)>(&commands).await else { return };
    let said = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let policy = said("maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" && said("maxmemory").is_some_and(|most| most != "0") {
        tracing::warn!(
            policy,
            "the Redis of storage.counts may drop counts for want of room; set its maxmemory-policy to noeviction"
        );
    }
}

impl SharedLedger {
    /// Something was given back of counts that requests may wait for here.
    fn wake(&self, digests: &[u8]) {
        let Ok(digests) = std::str::from_utf8(digests) else { return };
        for digest in digests.split(' ') {
            let found = self.awaited.lock().remove(digest);
            if let (Some((limit, subject)), Some(freed)) = (found, self.freed.get()) {
                freed(limit, subject);
            }
        }
    }

    /// Says that this sidecar is alive, and learns of the others. The ledger's epoch.
    pub(super) async fn join(&self) -> Result<Arc<str>, Away> {
        let _one = self.joining.lock().await;
        if !self.redis.is_up() {
            return Err(Away);
        }
        let mine = self.agreement.lock().as_ref().map(|(mine, _)| mine.to_vec()).unwrap_or_default();
        let keys = ["alive", "epoch", "secret"].map(|name| self.keys.one(name));
        let lease = self.redis.settings().lease.as_millis().to_string();
        let epoch = format!("{:032x}", rand::random::<u128>());
        let (held, lapsed) = (self.keys.of("held", ""), self.keys.of("lapsed", ""));
        let texts = [&self.sidecar, &lease, &epoch].map(|text| text.as_bytes());
        let mut words = texts.to_vec();
        words.extend([&mine[..], held.as_bytes(), lapsed.as_bytes(), self.keys.freed.as_bytes()]);
        let told: Result<(String, String, u64, u64, Vec<u8>), Away> =
            self.redis.script(&self.scripts.attend, &keys.each_ref().map(String::as_str), &words).await;
        let (time, epoch, all, place, secret) = told.inspect_err(|_| {
            *self.epoch.lock() = None;
        })?;
        if let Some(now) = wire::time(&time) {
            self.mirror.lock().set_time(now);
        }
        *self.peers.lock() = Peers { all: all.max(1), place };
        self.agree(secret);
        let epoch: Arc<str> = epoch.into();
        self.declare(&epoch).await?;
        *self.epoch.lock() = Some(epoch.clone());
        self.shares.lock().clear();
        self.owing.notify_one();
        Ok(epoch)
    }

    /// Takes the secret that all sidecars use.
    fn agree(&self, secret: Vec<u8>) {
        if let (Ok(theirs), Some((mine, adopt))) = (<[u8; 32]>::try_from(secret), &mut *self.agreement.lock())
            && *mine != theirs
        {
            *mine = theirs;
            adopt(theirs);
        }
    }

    /// Tells the ledger of what is under way here and was reserved without it, or with one that is gone.
    async fn declare(&self, epoch: &Arc<str>) -> Result<(), Away> {
        let unknown = self.reservations.lock().unknown_to(epoch);
        for (id, reservation) in unknown {
            let unix = self.mirror.lock().now().unix;
            let counted = reservation.portions.iter().map(|portion| Counted {
                portion: portion.clone(),
                other: portion.key.clone(),
                most: usize::MAX >> 12,
                wait: Duration::ZERO,
            });
            let (_, told) = self.call_reserve(id, counted.collect(), unix, true).await?;
            let declared = told.first().is_some_and(|word| word == "held" || word == "known");
            let mut reservations = self.reservations.lock();
            if declared && !reservations.known(id, epoch) {
                // It has ended meanwhile, and is settled as one that the ledger never knew.
                let epoch = epoch.clone();
                reservations.owe(id, Reservation { epoch, ..reservation });
            }
        }
        Ok(())
    }

    /// Settles what is owed longest.
    async fn settle_some(&self) -> Result<(), Away> {
        if !self.redis.is_up() || self.epoch.lock().is_none() {
            return Err(Away);
        }
        let mut owed = self.reservations.lock().owed(TOGETHER);
        let unix = self.mirror.lock().now().unix;
        let mut keys = vec![
            self.keys.one("epoch"),
            self.keys.of("held", &self.sidecar),
            self.keys.of("lapsed", &self.sidecar),
            self.keys.of("settled", &self.sidecar),
        ];
        let mut words = vec![self.keys.freed.clone()];
        for (id, reservation) in &mut owed {
            words.extend([id.to_string(), reservation.epoch.to_string()]);
            let gauges: usize = reservation.portions.iter().map(|portion| portion.gauges.len()).sum();
            words.push(gauges.to_string());
            for portion in &mut reservation.portions {
                keys.push(portion.key.clone());
                let place = keys.len();
                keys.push(portion.index.clone());
                for gauge in &mut portion.gauges {
                    let line = wire::line(gauge, portion.used[gauge.measure], unix);
                    words.push(format!("{place} {line}\t{}", portion.name));
                }
            }
        }
        let told: Vec<String> = self.run(&self.scripts.settle, &keys, &words).await?;
        let Some((word, now, mut states)) = split(&told) else { return Err(Away) };
        let mut alarms = Vec::new();
        {
            let mut mirror = self.mirror.lock();
            mirror.set_time(now);
            if word != "settled" {
                return Ok(());
            }
            for portion in owed.iter().flat_map(|(_, reservation)| &reservation.portions) {
                let (of, rest) = states.split_at(portion.gauges.len().min(states.len()));
                mirror.learn(portion, of, now);
                alarms.extend(mirror.due(portion.limit, portion.subject, now));
                states = rest;
            }
        }
        self.reservations.lock().paid(&owed);
        self.paid.notify_waiters();
        self.tell(alarms);
        if let Some(freed) = self.freed.get() {
            for portion in owed.iter().flat_map(|(_, reservation)| &reservation.portions) {
                freed(portion.limit, portion.subject);
            }
        }
        Ok(())
    }
}
