//! Counts in this process: one book under one lock, so that a request's limits are one step.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::alert::{Alarm, Cause};
use super::ledger::{Amounts, Claim, Held, Ledger, LimitId, Part, Short, Standing, Subject};
use super::meter::{Gauge, Meter, Now};
use crate::config::limit::Limit;
use crate::config::quota::Dimension;
use crate::io::clock::Clock;

/// Counts in this process.
pub struct Book {
    pages: Mutex<Pages>,
    clock: Clock,
    began: Instant,
    alarms: Sender<Alarm>,
}

#[derive(Default)]
struct Pages {
    by_id: HashMap<LimitId, Page>,
    last: u64,
}

/// One limit's counts.
struct Page {
    name: Arc<str>,
    limit: Limit,
    gauges: Vec<Gauge>,
    accounts: HashMap<u128, Account, BuildHasherDefault<Digested>>,
    /// When idle counts were last dropped, in seconds since 1970.
    swept: i64,
}

/// One subject's counts, in the order of the gauges.
struct Account {
    name: Box<str>,
    meters: Box<[Meter]>,
}

/// Keys are digests already.
#[derive(Default)]
struct Digested(u64);

impl Hasher for Digested {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }
}

impl Book {
    /// An empty book; alarms of budgets go to `alarms`.
    pub fn new(clock: Clock, alarms: Sender<Alarm>) -> Self {
        Self { pages: Mutex::default(), clock, began: clock.now(), alarms }
    }

    fn now(&self) -> Now {
        let steady = self.clock.now().saturating_duration_since(self.began);
        Now {
            steady: u64::try_from(steady.as_nanos()).unwrap_or(u64::MAX),
            unix: i64::try_from(self.clock.unix().as_secs()).unwrap_or(i64::MAX),
        }
    }

    /// Says what there is to say of a budget. One that does not keep up with its alarms loses them.
    fn tell(&self, alarms: Vec<Alarm>) {
        for alarm in alarms {
            let _ = self.alarms.try_send(alarm);
        }
    }
}

impl Page {
    fn new(limit: &Limit) -> Self {
        Self {
            name: limit.name.as_str().into(),
            gauges: limit.quotas.iter().map(Gauge::new).collect(),
            limit: limit.clone(),
            accounts: HashMap::default(),
            swept: 0,
        }
    }

    /// This page's counts under a new definition.
    fn turn_over(self, limit: &Limit, now: Now) -> Self {
        let mut next = Self::new(limit);
        for (key, account) in self.accounts {
            let carried = next.gauges.iter().map(|gauge| {
                let at = self.gauges.iter().position(|before| before.measure == gauge.measure);
                at.map_or_else(Meter::default, |at| {
                    gauge.carry(Some(&self.gauges[at]), &account.meters[at], now)
                })
            });
            let meters = carried.collect();
            next.accounts.insert(key, Account { name: account.name, meters });
        }
        next
    }

    /// The key under which a subject is counted; its count is there afterwards.
    fn open(&mut self, subject: &Subject, now: Now) -> u128 {
        if self.accounts.contains_key(&subject.key) {
            return subject.key;
        }
        if self.accounts.len() >= self.limit.max_subjects && self.swept < now.unix {
            self.sweep(now);
        }
        let full = self.accounts.len() >= self.limit.max_subjects;
        let (key, name) = if full { (Subject::OTHER, "other") } else { (subject.key, &*subject.name) };
        let gauges = self.gauges.len();
        self.accounts.entry(key).or_insert_with(|| Account {
            name: name.into(),
            meters: vec![Meter::default(); gauges].into_boxed_slice(),
        });
        key
    }

    /// Drops counts that say no more than new ones would.
    fn sweep(&mut self, now: Now) {
        self.swept = now.unix;
        let gauges = &mut self.gauges;
        self.accounts.retain(|_, account| {
            !gauges.iter_mut().zip(&mut account.meters).all(|(gauge, meter)| gauge.is_idle(meter, now))
        });
    }

    /// What keeps `amounts` from being reserved, if anything does: of several the longest.
    fn short(&mut self, key: u128, amounts: &Amounts, now: Now) -> Option<Short> {
        let account = self.accounts.get_mut(&key)?;
        let mut worst: Option<Short> = None;
        for (gauge, meter) in self.gauges.iter_mut().zip(&mut account.meters) {
            let asked = amounts[gauge.measure];
            let Err(no_room) = gauge.fits(meter, asked, now) else { continue };
            let short = Short {
                name: self.name.clone(),
                claim: 0,
                subject: key,
                measure: gauge.measure,
                budget: gauge.is_budget(),
                quota: gauge.most(),
                asked,
                soonest: no_room.soonest,
                likely: no_room.likely,
            };
            worst = Some(longer(worst, short));
        }
        worst
    }

    fn reserve(&mut self, key: u128, amounts: &Amounts) {
        let Some(account) = self.accounts.get_mut(&key) else { return };
        for (gauge, meter) in self.gauges.iter().zip(&mut account.meters) {
            meter.reserve(amounts[gauge.measure]);
        }
    }

    fn release(&mut self, held: &Held, part: Part) {
        let Some(account) = self.accounts.get_mut(&held.subject) else { return };
        for (gauge, meter) in self.gauges.iter().zip(&mut account.meters) {
            if part.has(gauge.measure) {
                meter.release(held.amounts[gauge.measure]);
            }
        }
    }

    /// Counts what was used of one part, and notes what there is to tell of it.
    fn spend(&mut self, subject: u128, part: Part, used: &Amounts, now: Now, alarms: &mut Vec<Alarm>) {
        let Some(account) = self.accounts.get_mut(&subject) else { return };
        for (gauge, meter) in self.gauges.iter_mut().zip(&mut account.meters) {
            if part.has(gauge.measure) && used[gauge.measure] > 0 {
                gauge.spend(meter, used[gauge.measure], now);
                if let Some(alert) = self.limit.alert.as_ref().filter(|_| gauge.is_budget()) {
                    let spent = gauge.used(meter, now);
                    for cause in Cause::due(&alert.at, alert.forecast, gauge, meter, now) {
                        alarms.push(Alarm::new(&self.name, &account.name, gauge, cause, spent));
                    }
                }
            }
        }
    }

    /// A budget had no room for a request: its last share counts as reached, whatever is still reserved.
    fn exhausted(&mut self, short: &Short, now: Now, alarms: &mut Vec<Alarm>) {
        let Some(alert) = self.limit.alert.as_ref() else { return };
        let Some(account) = self.accounts.get_mut(&short.subject) else { return };
        for (gauge, meter) in self.gauges.iter_mut().zip(&mut account.meters) {
            let told = usize::from(meter.told);
            if gauge.measure == short.measure && gauge.is_budget() && told < alert.at.len() {
                meter.told = u8::try_from(alert.at.len()).unwrap_or(u8::MAX);
                let used = gauge.used(meter, now);
                alarms.extend(
                    alert.at.last().map(|share| {
                        Alarm::new(&self.name, &account.name, gauge, Cause::Share(*share), used)
                    }),
                );
            }
        }
    }

    fn standings(&mut self, subject: u128, now: Now) -> Vec<Standing> {
        let Some(account) = self.accounts.get_mut(&subject) else { return Vec::new() };
        let standing = |(gauge, meter): (&mut Gauge, &mut Meter)| {
            let used = gauge.used(meter, now);
            Standing {
                limit: self.name.clone(),
                subject: account.name.to_string(),
                measure: gauge.measure,
                quota: gauge.quota,
                most: gauge.most(),
                window: gauge.window(),
                used,
                reserved: meter.reserved(),
                reset: gauge.reset(meter, now),
                calendar: gauge.calendar(),
                exhausted: gauge.exhausted(meter, now),
            }
        };
        self.gauges.iter_mut().zip(&mut account.meters).map(standing).collect()
    }

    /// The share of 1 that is used of the budget that is used most; `None` without budgets.
    fn most_used(&mut self, now: Now) -> Option<f64> {
        let mut most = None;
        for (at, gauge) in self.gauges.iter_mut().enumerate().filter(|(_, gauge)| gauge.is_budget()) {
            let used = self.accounts.values_mut().map(|account| gauge.used(&mut account.meters[at], now));
            let share = used.max().unwrap_or(0) as f64 / gauge.most().max(1) as f64;
            most = Some(most.map_or(share, |most: f64| most.max(share)));
        }
        most
    }

    /// Whether a subject's tenant is `tenant`.
    fn is_of(&self, account: &Account, tenant: &str) -> bool {
        let at = self.limit.per.iter().position(|dimension| *dimension == Dimension::Tenant);
        at.is_some_and(|at| account.name.split(Subject::BETWEEN).nth(at) == Some(tenant))
    }
}

/// The one that takes longer to pass; never is longest.
fn longer(one: Option<Short>, other: Short) -> Short {
    match one {
        Some(one) if one.soonest.is_none() || (other.soonest.is_some() && one.likely >= other.likely) => one,
        _ => other,
    }
}

#[async_trait]
impl Ledger for Book {
    fn adopt(&self, limits: &[Limit]) -> Vec<LimitId> {
        let now = self.now();
        let mut pages = self.pages.lock();
        let mut before = std::mem::take(&mut pages.by_id);
        let mut ids = Vec::with_capacity(limits.len());
        for limit in limits {
            let same = |page: &Page| *page.name == *limit.name && page.limit.per == limit.per;
            let id = before.iter().find(|(_, page)| same(page)).map(|(id, _)| *id);
            let (id, page) = match id.and_then(|id| Some((id, before.remove(&id)?))) {
                Some((id, page)) => (id, page.turn_over(limit, now)),
                None => {
                    pages.last += 1;
                    (LimitId(pages.last), Page::new(limit))
                }
            };
            pages.by_id.insert(id, page);
            ids.push(id);
        }
        ids
    }

    async fn reserve(&self, claims: &[Claim<'_>], instead: &[Held]) -> Result<Vec<Held>, Short> {
        let now = self.now();
        let mut pages = self.pages.lock();
        let mut held = Vec::with_capacity(claims.len());
        let mut worst = None;
        pages.release(instead, Part::Consumption);
        for (at, claim) in claims.iter().enumerate() {
            // A limit that a reload has just removed asks nothing.
            let Some(page) = pages.by_id.get_mut(&claim.limit) else { continue };
            let subject = page.open(&claim.subject, now);
            if let Some(short) = page.short(subject, &claim.amounts, now) {
                worst = Some(longer(worst, Short { claim: at, ..short }));
            }
            held.push(Held { limit: claim.limit, subject, amounts: claim.amounts });
        }
        let Some(short) = worst else {
            pages.reserve(&held);
            return Ok(held);
        };
        let back: Vec<Held> = instead
            .iter()
            .map(|held| Held { amounts: held.amounts.only(Part::Consumption), ..*held })
            .collect();
        pages.reserve(&back);
        let mut alarms = Vec::new();
        if let Some(page) = claims.get(short.claim).and_then(|claim| pages.by_id.get_mut(&claim.limit)) {
            page.exhausted(&short, now, &mut alarms);
        }
        drop(pages);
        self.tell(alarms);
        Err(short)
    }

    fn settle(&self, held: &[Held], part: Part, used: &Amounts) {
        let now = self.now();
        let mut alarms = Vec::new();
        let mut pages = self.pages.lock();
        pages.release(held, part);
        for held in held {
            if let Some(page) = pages.by_id.get_mut(&held.limit) {
                page.spend(held.subject, part, used, now, &mut alarms);
            }
        }
        drop(pages);
        self.tell(alarms);
    }

    fn standings(&self, held: &[Held]) -> Vec<Standing> {
        let now = self.now();
        let mut pages = self.pages.lock();
        let of = |held: &Held| Some(pages.by_id.get_mut(&held.limit)?.standings(held.subject, now));
        held.iter().filter_map(of).flatten().collect()
    }

    fn all(&self, name: Option<&str>) -> Vec<Standing> {
        let now = self.now();
        let mut pages = self.pages.lock();
        let mut ids: Vec<LimitId> = pages.by_id.keys().copied().collect();
        ids.sort_unstable();
        let mut standings = Vec::new();
        for id in ids {
            let Some(page) = pages.by_id.get_mut(&id) else { continue };
            if name.is_none_or(|name| name == &*page.name) {
                let keys: Vec<u128> = page.accounts.keys().copied().collect();
                let mut of_page: Vec<_> = keys.iter().flat_map(|key| page.standings(*key, now)).collect();
                of_page.sort_by(|one, other| one.subject.cmp(&other.subject));
                standings.append(&mut of_page);
            }
        }
        standings
    }

    fn budgets(&self) -> Vec<(Arc<str>, f64)> {
        let now = self.now();
        let mut pages = self.pages.lock();
        pages.by_id.values_mut().filter_map(|page| Some((page.name.clone(), page.most_used(now)?))).collect()
    }

    fn reset(&self, name: &str, tenant: Option<&str>) -> Option<usize> {
        let mut pages = self.pages.lock();
        let page = pages.by_id.values_mut().find(|page| &*page.name == name)?;
        let mut accounts = std::mem::take(&mut page.accounts);
        let mut count = 0;
        for account in accounts.values_mut() {
            if tenant.is_none_or(|tenant| page.is_of(account, tenant)) {
                account.meters.iter_mut().for_each(Meter::forget);
                count += 1;
            }
        }
        page.accounts = accounts;
        Some(count)
    }
}

impl Pages {
    fn reserve(&mut self, held: &[Held]) {
        for held in held {
            if let Some(page) = self.by_id.get_mut(&held.limit) {
                page.reserve(held.subject, &held.amounts);
            }
        }
    }

    fn release(&mut self, held: &[Held], part: Part) {
        for held in held {
            if let Some(page) = self.by_id.get_mut(&held.limit) {
                page.release(held, part);
            }
        }
    }
}
