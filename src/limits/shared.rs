//! Counts that several sidecars share, in a Redis that drops nothing.
//!
//! A request's limits are reserved by one script and settled by another, in one round trip each, by the
//! server's clock. What is reserved is noted with the sidecar that reserved it, under an id by which it is
//! settled exactly once, however often that is asked. A sidecar says every so often that it is alive; when its
//! lease has lapsed, the others give back what it held. While Redis is away, `on_ledger_loss` says what passes;
//! what passed is counted when Redis is back.

mod away;
mod mirror;
mod open;
mod shown;
mod tasks;
pub mod wire;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::pipe;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout, timeout_at};

use super::alert::Alarm;
use super::ledger::{
    Amounts, Claim, Freed, Held, Ledger, LimitId, Lost, Overview, Part, Refused, Sharing, Short, Standing,
};
use crate::config::limit::{Limit, Measure};
use crate::config::{OnLedgerLoss, storage};
use crate::io::clock::Clock;
use crate::io::redis::{Away, Redis};
use away::{Peers, Shares};
use mirror::{Counted, Mirror};
use open::{Reservation, Reservations};
use wire::{Keys, Scripts};

/// How long requests wait for the first connection before they are decided without the ledger.
const BEGINNING: Duration = Duration::from_secs(2);
/// Refused counts that some request may wait for; beyond, those that wait only wake up by time.
const AWAITED: usize = 65_536;
/// How long a process that ends waits for what it owes to be settled.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often a reservation is asked for again where the calendar has turned or the ledger is new.
const TRIES: usize = 4;

/// The secret that keys names, and what is done with the one that all sidecars use.
pub type Agreement = ([u8; 32], Box<dyn Fn([u8; 32]) + Send + Sync>);

/// Counts that several sidecars share.
pub struct SharedLedger {
    redis: Arc<Redis>,
    keys: Keys,
    scripts: Scripts,
    on_loss: OnLedgerLoss,
    sidecar: String,
    began: Instant,
    alarms: Sender<Alarm>,
    agreement: Mutex<Option<Agreement>>,
    mirror: Mutex<Mirror>,
    reservations: Mutex<Reservations>,
    shares: Mutex<Shares>,
    /// Who shares, since this sidecar was heard last; the epoch of the ledger that heard it.
    peers: Mutex<Peers>,
    epoch: Mutex<Option<Arc<str>>>,
    joining: tokio::sync::Mutex<()>,
    /// Counts that requests here may wait for, by their digest.
    awaited: Mutex<HashMap<String, (LimitId, u128)>>,
    freed: OnceLock<Freed>,
    owing: Notify,
    paid: Notify,
    alone: AtomicU64,
}

/// What became of one call of the script that reserves.
enum Asked {
    Held(Vec<Held>),
    Short(Short),
    /// The calendar has turned, or the ledger does not know this sidecar: ask again.
    Again,
}

/// A reservation that is being asked for. Dropped before it is known what became of it, as when Redis does
/// not answer or the client has hung up, it is given back in case it was made.
struct Asking<'l> {
    ledger: &'l SharedLedger,
    id: u64,
    reservation: Option<Reservation>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.ledger.reservations.lock().owe(self.id, reservation);
            self.ledger.owing.notify_one();
        }
    }
}

impl SharedLedger {
    /// A ledger in Redis as `settings` say, and the tasks that tend it. Alarms of budgets go to `alarms`.
    ///
    /// # Errors
    /// As of [`Redis::start`].
    pub fn start(
        settings: &storage::Counts,
        agreement: Option<Agreement>,
        clock: Clock,
        alarms: Sender<Alarm>,
    ) -> std::io::Result<Arc<Self>> {
        let redis = Redis::start(settings.redis.clone())?;
        let ledger = Arc::new(Self {
            keys: Keys::new(&settings.redis.prefix),
            redis,
            scripts: Scripts::default(),
            on_loss: settings.on_loss,
            sidecar: format!("{:032x}", rand::random::<u128>()),
            began: clock.now(),
            alarms,
            agreement: Mutex::new(agreement),
            mirror: Mutex::new(Mirror::new(clock)),
            reservations: Mutex::default(),
            shares: Mutex::default(),
            peers: Mutex::default(),
            epoch: Mutex::default(),
            joining: tokio::sync::Mutex::default(),
            awaited: Mutex::default(),
            freed: OnceLock::new(),
            owing: Notify::new(),
            paid: Notify::new(),
            alone: AtomicU64::new(0),
        });
        tasks::start(&ledger);
        Ok(ledger)
    }

    /// Whether Redis is in use and knows this sidecar; else the ledger is away.
    fn is_known(&self) -> bool {
        self.redis.is_up() && self.epoch.lock().is_some()
    }

    /// The epoch of the ledger, where it can be asked. A process that has just begun waits for it a moment.
    async fn epoch(&self) -> Result<Arc<str>, Away> {
        if !self.redis.is_up() {
            let early = self.epoch.lock().is_none() && self.peers.lock().all <= 1;
            let first = timeout_at(self.began + BEGINNING, self.redis.up());
            if !early || first.await.is_err() {
                return Err(Away);
            }
        }
        let epoch = self.epoch.lock().clone();
        match epoch {
            Some(epoch) => Ok(epoch),
            None => self.join().await,
        }
    }

    async fn ask(&self, claims: &[Claim<'_>], epoch: &Arc<str>) -> Result<Asked, Away> {
        let (counted, unix) = {
            let mirror = self.mirror.lock();
            (mirror.counted(claims, &self.keys), mirror.now().unix)
        };
        let id = self.reservations.lock().next();
        let portions: Vec<_> = counted.iter().map(|counted| counted.portion.clone()).collect();
        let mut asking =
            Asking { ledger: self, id, reservation: Some(Reservation { portions, epoch: epoch.clone() }) };
        let (counted, told) = self.call_reserve(id, counted, unix, false).await?;
        let reservation = asking.reservation.take();
        let Some((word, now, states)) = split(&told) else { return Err(Away) };
        let Some(mut reservation) = reservation else { return Err(Away) };
        let mut mirror = self.mirror.lock();
        mirror.set_time(now);
        match word {
            "held" | "short" => {}
            "stranger" => {
                *self.epoch.lock() = None;
                return Ok(Asked::Again);
            }
            _ => return Ok(Asked::Again),
        }
        let mut at = 0;
        for portion in &mut reservation.portions {
            if states.get(at).is_some_and(|other| other == "other") {
                portion.subject = super::ledger::Subject::OTHER;
                portion.name = "other".into();
                if let Some(counted) = counted.iter().find(|counted| counted.portion.limit == portion.limit) {
                    portion.key.clone_from(&counted.other);
                }
            }
            let end = at + 1 + portion.gauges.len();
            mirror.learn(portion, states.get(at + 1..end).unwrap_or_default(), now);
            at = end;
        }
        if word == "held" {
            let held = reservation.portions.iter().map(|portion| portion.held(id)).collect();
            self.reservations.lock().insert(id, reservation);
            return Ok(Asked::Held(held));
        }
        let short = mirror.short(reservation.portions.iter(), claims, now).unwrap_or_else(|| Short {
            name: claims.first().map_or_else(|| "".into(), |claim| mirror.name(claim.limit)),
            claim: 0,
            subject: reservation.portions.first().map_or(0, |portion| portion.subject),
            measure: Measure::Requests,
            budget: false,
            quota: 0,
            asked: 0,
            soonest: Some(Duration::ZERO),
            likely: Duration::from_secs(1),
        });
        let limit = claims.get(short.claim).map(|claim| claim.limit);
        let alarms = mirror.exhausted(&short, limit, now);
        drop(mirror);
        self.await_room(&counted, &reservation);
        self.tell(alarms);
        Ok(Asked::Short(short))
    }

    /// Calls the script that reserves.
    async fn call_reserve(
        &self,
        id: u64,
        mut counted: Vec<Counted>,
        unix: i64,
        force: bool,
    ) -> Result<(Vec<Counted>, Vec<String>), Away> {
        let mut keys = vec![
            self.keys.one("alive"),
            self.keys.of("held", &self.sidecar),
            self.keys.of("lapsed", &self.sidecar),
        ];
        let mut words = vec![
            self.sidecar.clone(),
            id.to_string(),
            if force { "force".to_owned() } else { String::new() },
        ];
        for counted in &mut counted {
            keys.extend([counted.portion.key.clone(), counted.other.clone(), counted.portion.index.clone()]);
            let portion = &mut counted.portion;
            words.push(portion.name.to_string());
            words.push(counted.most.to_string());
            words.push(counted.wait.as_millis().to_string());
            words.push(portion.gauges.len().to_string());
            for gauge in &mut portion.gauges {
                words.push(wire::line(gauge, portion.amounts[gauge.measure], unix));
            }
        }
        let told: Vec<String> = self.run(&self.scripts.reserve, &keys, &words).await?;
        Ok((counted, told))
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &redis::Script,
        keys: &[String],
        words: &[String],
    ) -> Result<T, Away> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        self.redis.script(script, &keys, &words).await
    }

    /// Notes where requests may wait, so that what becomes free elsewhere wakes them.
    fn await_room(&self, counted: &[Counted], reservation: &Reservation) {
        let waits = counted.iter().zip(&reservation.portions).filter(|(counted, _)| !counted.wait.is_zero());
        let mut awaited = self.awaited.lock();
        for (_, portion) in waits {
            if awaited.len() >= AWAITED {
                awaited.clear();
            }
            let digest = portion.key.rsplit(':').next().unwrap_or_default();
            awaited.insert(digest.to_owned(), (portion.limit, portion.subject));
        }
    }

    /// What passes while the ledger is away.
    fn alone(&self, claims: &[Claim]) -> Result<Vec<Held>, Refused> {
        self.alone.fetch_add(1, Relaxed);
        if self.on_loss == OnLedgerLoss::Refuse {
            return Err(Refused::Lost);
        }
        let mirror = self.mirror.lock();
        let counted = mirror.counted(claims, &self.keys);
        let mut portions: Vec<_> = counted.into_iter().map(|counted| counted.portion).collect();
        let mut reservations = self.reservations.lock();
        let mut shares = self.shares.lock();
        let shared = self.on_loss == OnLedgerLoss::LocalShare;
        let peers = if shared { *self.peers.lock() } else { Peers::default() };
        let places = |limit, subject| reservations.places(limit, subject);
        shares.open(&mut portions, &mirror, peers, places);
        if shared && let Some(short) = shares.short(&portions, claims, &mirror) {
            return Err(Refused::Short(short));
        }
        shares.reserve(&portions);
        let id = reservations.next();
        let held = portions.iter().map(|portion| portion.held(id)).collect();
        reservations.insert(id, Reservation { portions, epoch: "".into() });
        Ok(held)
    }

    /// Tells alarms that no other sidecar has told.
    fn tell(&self, alarms: Vec<Alarm>) {
        for alarm in alarms {
            let Some((key, field)) = self.mirror.lock().told_of(&alarm, &self.keys) else { continue };
            let cause = match alarm.cause {
                super::alert::Cause::Share(share) => share.to_string(),
                super::alert::Cause::Forecast(_) => "forecast".to_owned(),
            };
            let words = [format!("t:{field}"), alarm.window.start.to_string(), cause];
            let (redis, script) = (self.redis.clone(), self.scripts.alarm.clone());
            let alarms = self.alarms.clone();
            tokio::spawn(async move {
                let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
                let first: Result<u8, Away> = redis.script(&script, &[&key], &words).await;
                // Better told twice than not at all.
                if first.unwrap_or(1) == 1 {
                    let _ = alarms.try_send(alarm);
                }
            });
        }
    }
}

/// A script's word, the server's time, and the rest.
fn split(told: &[String]) -> Option<(&str, super::meter::Now, &[String])> {
    let [word, time, rest @ ..] = told else { return None };
    Some((word, wire::time(time)?, rest))
}

#[async_trait]
impl Ledger for SharedLedger {
    fn adopt(&self, limits: &[Limit]) -> Vec<LimitId> {
        self.mirror.lock().adopt(limits)
    }

    async fn reserve(&self, claims: &[Claim<'_>]) -> Result<Vec<Held>, Refused> {
        for _ in 0..TRIES {
            let Ok(epoch) = self.epoch().await else { break };
            match self.ask(claims, &epoch).await {
                Ok(Asked::Held(held)) => return Ok(held),
                Ok(Asked::Short(short)) => return Err(Refused::Short(short)),
                Ok(Asked::Again) => {}
                Err(Away) => break,
            }
        }
        self.alone(claims)
    }

    fn settle(&self, held: &[Held], part: Part, used: &Amounts) -> bool {
        let (local, ended) = self.reservations.lock().close(held, part, used);
        if local {
            let now = self.mirror.lock().now();
            self.shares.lock().settle(held, part, used, now);
        }
        if ended {
            self.owing.notify_one();
        }
        local
    }

    fn tell_freed(&self, freed: Freed) {
        let _ = self.freed.set(freed);
    }

    fn standings(&self, held: &[Held]) -> Vec<Standing> {
        let mut mirror = self.mirror.lock();
        match self.is_known() {
            true => mirror.standings(held, None),
            false => mirror.standings(held, Some(&self.shares.lock())),
        }
    }

    async fn all(&self, name: Option<&str>) -> Overview {
        match self.everything(name).await {
            Ok(standings) => Overview { standings, away: false },
            Err(Away) => Overview { standings: self.known_here(name), away: true },
        }
    }

    fn budgets(&self) -> Vec<(Arc<str>, f64)> {
        self.mirror.lock().budgets()
    }

    async fn reset(&self, name: &str, tenant: Option<&str>) -> Result<Option<usize>, Lost> {
        self.forget(name, tenant).await.map_err(|Away| Lost)
    }

    fn sharing(&self) -> Option<Sharing> {
        Some(Sharing {
            sidecars: if self.is_known() { self.peers.lock().all } else { 0 },
            alone: self.alone.load(Relaxed),
            errors: self.redis.errors(),
        })
    }

    fn close(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let last_words = async {
            while self.reservations.lock().owes() {
                let paid = self.paid.notified();
                self.owing.notify_one();
                let _ = timeout(Duration::from_millis(100), paid).await;
            }
            // Whatever is still held goes back at once.
            let mut commands = pipe();
            commands.cmd("ZADD").arg(self.keys.one("alive")).arg("XX").arg(0).arg(&self.sidecar).ignore();
            let _: Result<(), Away> = self.redis.run(&commands).await;
        };
        let _ = runtime.block_on(timeout(LAST_WORDS, last_words));
    }
}
