//! One limit's counts, for each of its subjects.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::alert::{Alarm, Cause};
use super::journal::{Line, Record, shelf};
use super::ledger::{Amounts, Held, LimitId, Part, Short, Standing, Subject};
use super::meter::{Gauge, Meter, Now};
use crate::config::limit::Limit;
use crate::config::quota::Dimension;

/// One limit's counts.
pub(super) struct Page {
    pub(super) name: Arc<str>,
    pub(super) limit: Limit,
    pub(super) gauges: Vec<Gauge>,
    pub(super) accounts: HashMap<u128, Account, BuildHasherDefault<Unseeded>>,
    /// When idle counts were last dropped, in seconds since 1970.
    swept: i64,
}

/// One subject's counts, in the order of the gauges.
pub(super) struct Account {
    pub(super) name: Box<str>,
    pub(super) meters: Box<[Meter]>,
    /// It is listed among the changed ones.
    pub(super) changed: bool,
}

/// The pages of the limits in force, each under a number that no other limit has had.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) by_id: HashMap<LimitId, Page, BuildHasherDefault<Unseeded>>,
    last: u64,
    /// Counts that have changed since they were written, where they are.
    pub(super) changed: Vec<(LimitId, u128)>,
}

impl Pages {
    /// Puts `limits` in force: one that was there goes on with its counts, a new one is given to `begin`.
    pub(super) fn adopt(
        &mut self,
        limits: &[Limit],
        now: Now,
        mut begin: impl FnMut(&mut Page),
    ) -> Vec<LimitId> {
        let mut before = std::mem::take(&mut self.by_id);
        let mut ids = Vec::with_capacity(limits.len());
        for limit in limits {
            let same = |page: &Page| *page.name == *limit.name && page.limit.per == limit.per;
            let known = before.iter().find(|(_, page)| same(page)).map(|(id, _)| *id);
            let (id, page) = match known.and_then(|id| Some((id, before.remove(&id)?))) {
                Some((id, page)) => (id, page.turn_over(limit, now)),
                None => {
                    self.last += 1;
                    let mut page = Page::new(limit);
                    begin(&mut page);
                    (LimitId(self.last), page)
                }
            };
            self.by_id.insert(id, page);
            ids.push(id);
        }
        ids
    }

    pub(super) fn reserve(&mut self, held: &[Held]) {
        for held in held {
            if let Some(page) = self.by_id.get_mut(&held.limit) {
                page.reserve(held.subject, &held.amounts);
            }
        }
    }

    /// Gives back one part of what is held and counts what was used of it; notes what there is to tell
    /// of that.
    pub(super) fn settle(
        &mut self,
        held: &[Held],
        part: Part,
        used: &Amounts,
        now: Now,
        alarms: &mut Vec<Alarm>,
    ) {
        for held in held {
            if let Some(page) = self.by_id.get_mut(&held.limit) {
                page.settle(held, part, used, now, alarms);
            }
        }
    }
}

/// Hashes keys that nobody outside chooses: digests as they are, and ids, which are small numbers, so that they
/// differ in their upper bits too, by which a table tells its entries apart (Knuth, The Art of Computer
/// Programming 3, 6.4: multiplication by the golden ratio).
#[derive(Default)]
pub(super) struct Unseeded(u64);

impl Hasher for Unseeded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }
}

impl Page {
    pub(super) fn new(limit: &Limit) -> Self {
        Self {
            name: limit.name.as_str().into(),
            gauges: limit.quotas.iter().map(Gauge::new).collect(),
            limit: limit.clone(),
            accounts: HashMap::default(),
            swept: 0,
        }
    }

    /// This page's counts under a new definition.
    pub(super) fn turn_over(self, limit: &Limit, now: Now) -> Self {
        let mut next = Self::new(limit);
        for (key, account) in self.accounts {
            let carried = next.gauges.iter().map(|gauge| {
                let at = self.gauges.iter().position(|before| before.measure == gauge.measure);
                at.map_or_else(Meter::default, |at| {
                    gauge.carry(Some(&self.gauges[at]), &account.meters[at], now)
                })
            });
            let meters = carried.collect();
            next.accounts.insert(key, Account { name: account.name, meters, changed: account.changed });
        }
        next
    }

    /// The key under which a subject is counted; its count is there afterwards.
    pub(super) fn open(&mut self, subject: &Subject, now: Now) -> u128 {
        if self.accounts.contains_key(&subject.key) {
            return subject.key;
        }
        if self.accounts.len() >= self.limit.max_subjects && self.swept < now.unix {
            self.sweep(now);
        }
        let full = self.accounts.len() >= self.limit.max_subjects;
        let (key, name) = if full { (Subject::OTHER, "other") } else { (subject.key, &*subject.name) };
        let meters = self.new_meters();
        self.accounts.entry(key).or_insert_with(|| Account { name: name.into(), meters, changed: false });
        key
    }

    pub(super) fn new_meters(&self) -> Box<[Meter]> {
        vec![Meter::default(); self.gauges.len()].into_boxed_slice()
    }

    /// What the keys of its counts on disk begin with.
    pub(super) fn shelf(&self) -> String {
        let per: Vec<String> = self.limit.per.iter().map(Dimension::name).collect();
        shelf(&self.name, &per.join(","))
    }

    /// One subject's counts as they are written.
    pub(super) fn line(&mut self, subject: u128, grows: bool, at: u64, now: Now) -> Option<Line> {
        let shelf = self.shelf();
        let account = self.accounts.get_mut(&subject)?;
        account.changed = false;
        let gauges = self.gauges.iter_mut().zip(&mut account.meters);
        let counts = gauges.filter_map(|(gauge, meter)| gauge.written(meter, grows, now)).collect();
        Some((format!("{shelf}{}", account.name), Some(Record { at, counts })))
    }

    /// The lease that a subject needs, if it needs one.
    pub(super) fn lease(&mut self, subject: u128, at: u64, now: Now) -> Option<Line> {
        let account = self.accounts.get_mut(&subject)?;
        let mut needed = false;
        for (gauge, meter) in self.gauges.iter_mut().zip(&mut account.meters) {
            needed |= gauge.lease(meter, now);
        }
        if !needed {
            return None;
        }
        self.line(subject, true, at, now)
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
    pub(super) fn short(&mut self, key: u128, amounts: &Amounts, now: Now) -> Option<Short> {
        let account = self.accounts.get_mut(&key)?;
        short(&self.name, key, self.gauges.iter_mut().zip(&mut account.meters), amounts, now)
    }

    pub(super) fn reserve(&mut self, key: u128, amounts: &Amounts) {
        let Some(account) = self.accounts.get_mut(&key) else { return };
        for (gauge, meter) in self.gauges.iter().zip(&mut account.meters) {
            meter.reserve(amounts[gauge.measure]);
        }
    }

    /// As [`Pages::settle`].
    fn settle(&mut self, held: &Held, part: Part, used: &Amounts, now: Now, alarms: &mut Vec<Alarm>) {
        // Most limits count nothing of most parts: their counts need not be looked up.
        if !self.gauges.iter().any(|gauge| part.has(gauge.measure)) {
            return;
        }
        let Some(account) = self.accounts.get_mut(&held.subject) else { return };
        for (gauge, meter) in self.gauges.iter_mut().zip(&mut account.meters) {
            if !part.has(gauge.measure) {
                continue;
            }
            meter.release(held.amounts[gauge.measure]);
            if used[gauge.measure] > 0 {
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
    pub(super) fn exhausted(&mut self, short: &Short, now: Now, alarms: &mut Vec<Alarm>) {
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

    pub(super) fn standings(&mut self, subject: u128, now: Now) -> Vec<Standing> {
        let Some(account) = self.accounts.get_mut(&subject) else { return Vec::new() };
        standings(&self.name, &mut self.gauges, account, now)
    }

    /// How the counts of an account stand that is not kept here.
    pub(super) fn standings_of(&mut self, account: &mut Account, now: Now) -> Vec<Standing> {
        standings(&self.name, &mut self.gauges, account, now)
    }

    /// The share of 1 that is used of the budget that is used most; `None` without budgets.
    pub(super) fn most_used(&mut self, now: Now) -> Option<f64> {
        let mut most = None;
        for (at, gauge) in self.gauges.iter_mut().enumerate().filter(|(_, gauge)| gauge.is_budget()) {
            let used = self.accounts.values_mut().map(|account| gauge.used(&mut account.meters[at], now));
            let share = used.max().unwrap_or(0) as f64 / gauge.most().max(1) as f64;
            most = Some(most.map_or(share, |most: f64| most.max(share)));
        }
        most
    }

    /// Forgets what was used by all subjects or those with `tenant` as their tenant: their names.
    pub(super) fn forget(&mut self, tenant: Option<&str>) -> Vec<Box<str>> {
        let mut accounts = std::mem::take(&mut self.accounts);
        let wanted = accounts
            .values_mut()
            .filter(|account| tenant.is_none_or(|tenant| self.is_of(&account.name, tenant)));
        let forgotten = wanted.map(|account| {
            account.meters.iter_mut().for_each(Meter::forget);
            account.name.clone()
        });
        let forgotten = forgotten.collect();
        self.accounts = accounts;
        forgotten
    }

    /// Whether the tenant of the subject of this name is `tenant`.
    pub(super) fn is_of(&self, name: &str, tenant: &str) -> bool {
        let at = self.limit.per.iter().position(|dimension| *dimension == Dimension::Tenant);
        at.is_some_and(|at| name.split(Subject::BETWEEN).nth(at) == Some(tenant))
    }
}

/// What keeps `amounts` from being reserved of these counts of one subject, if anything does: of several the
/// longest.
pub(super) fn short<'c>(
    name: &Arc<str>,
    subject: u128,
    counts: impl Iterator<Item = (&'c mut Gauge, &'c mut Meter)>,
    amounts: &Amounts,
    now: Now,
) -> Option<Short> {
    let mut worst = None;
    for (gauge, meter) in counts {
        let asked = amounts[gauge.measure];
        let Err(no_room) = gauge.fits(meter, asked, now) else { continue };
        let short = Short {
            name: name.clone(),
            claim: 0,
            subject,
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

/// The one that takes longer to pass; never is longest.
pub(super) fn longer(one: Option<Short>, other: Short) -> Short {
    match one {
        Some(one) if one.soonest.is_none() || (other.soonest.is_some() && one.likely >= other.likely) => one,
        _ => other,
    }
}

/// How the counts of an account stand.
pub(super) fn standings(
    name: &Arc<str>,
    gauges: &mut [Gauge],
    account: &mut Account,
    now: Now,
) -> Vec<Standing> {
    let standing = |(gauge, meter): (&mut Gauge, &mut Meter)| {
        let used = gauge.used(meter, now);
        Standing {
            limit: name.clone(),
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
    gauges.iter_mut().zip(&mut account.meters).map(standing).collect()
}
