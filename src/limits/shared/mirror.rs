//! What a sidecar last saw of the counts that all share, and the limits they are of.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::away::Shares;
use super::open::Portion;
use super::wire::{self, Keys};
use crate::config::limit::Limit;
use crate::io::clock::Clock;
use crate::limits::alert::{Alarm, Cause};
use crate::limits::ledger::{Claim, Held, LimitId, Short, Standing, Subject};
use crate::limits::meter::{Meter, Now};
use crate::limits::page::{Account, Pages, longer};

/// The counts last seen.
pub(super) struct Mirror {
    pages: Pages,
    clock: Clock,
    /// The server's time, and when that was.
    server: Option<(Instant, Now)>,
}

/// One claim, and where it is counted.
pub(super) struct Counted {
    pub(super) portion: Portion,
    /// Where it is counted beyond `most` subjects.
    pub(super) other: String,
    pub(super) most: usize,
    pub(super) wait: Duration,
}

impl Mirror {
    pub(super) fn new(clock: Clock) -> Self {
        Self { pages: Pages::default(), clock, server: None }
    }

    /// The server's time now, as far as it is known.
    pub(super) fn now(&self) -> Now {
        match self.server {
            Some((at, now)) => {
                let passed = self.clock.now().saturating_duration_since(at);
                let steady = now.steady.saturating_add(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX));
                Now { steady, unix: i64::try_from(steady / 1_000_000_000).unwrap_or(i64::MAX) }
            }
            None => {
                let unix = self.clock.unix();
                Now {
                    steady: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX),
                    unix: i64::try_from(unix.as_secs()).unwrap_or(i64::MAX),
                }
            }
        }
    }

    /// The server has told its time.
    pub(super) fn set_time(&mut self, now: Now) {
        self.server = Some((self.clock.now(), now));
    }

    pub(super) fn adopt(&mut self, limits: &[Limit]) -> Vec<LimitId> {
        let now = self.now();
        self.pages.adopt(limits, now, |_| ())
    }

    /// Where claims are counted; those on a limit that a reload has just removed are left out.
    pub(super) fn counted(&self, claims: &[Claim], keys: &Keys) -> Vec<Counted> {
        let counted = claims.iter().filter_map(|claim| {
            let page = self.pages.by_id.get(&claim.limit)?;
            let shelf = page.shelf();
            Some(Counted {
                portion: Portion {
                    limit: claim.limit,
                    subject: claim.subject.key,
                    name: claim.subject.name.as_ref().into(),
                    key: keys.count(&shelf, &claim.subject.name),
                    index: keys.index(&shelf),
                    gauges: page.gauges.clone(),
                    amounts: claim.amounts,
                    used: crate::limits::ledger::Amounts::NONE,
                    closed: 0,
                },
                // No subject's name has this in it.
                other: keys.count(&shelf, "\u{1e}other"),
                most: page.limit.max_subjects,
                wait: page.limit.wait,
            })
        });
        counted.collect()
    }

    /// Takes in the counts of a claim as they were told.
    pub(super) fn learn(&mut self, portion: &Portion, told: &[String], now: Now) {
        let Some(page) = self.pages.by_id.get_mut(&portion.limit) else { return };
        let subject = Subject { key: portion.subject, name: (&*portion.name).into() };
        let key = page.open(&subject, now);
        let Some(account) = page.accounts.get_mut(&key) else { return };
        read(page.gauges.iter(), account, told);
    }

    /// What keeps one of the claims from being reserved: of several the longest.
    pub(super) fn short<'c>(
        &mut self,
        portions: impl Iterator<Item = &'c Portion>,
        claims: &[Claim],
        now: Now,
    ) -> Option<Short> {
        let mut worst = None;
        for portion in portions {
            let Some(page) = self.pages.by_id.get_mut(&portion.limit) else { continue };
            let claim = claims.iter().position(|claim| claim.limit == portion.limit).unwrap_or(0);
            if let Some(short) = page.short(portion.subject, &portion.amounts, now) {
                worst = Some(longer(worst, Short { claim, ..short }));
            }
        }
        worst
    }

    /// What there is to tell of a budget that had no room.
    pub(super) fn exhausted(&mut self, short: &Short, limit: Option<LimitId>, now: Now) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        if let Some(page) = limit.and_then(|limit| self.pages.by_id.get_mut(&limit)) {
            page.exhausted(short, now, &mut alarms);
        }
        alarms
    }

    /// What there is to tell of a subject's budgets by now.
    pub(super) fn due(&mut self, limit: LimitId, subject: u128, now: Now) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        let Some(page) = self.pages.by_id.get_mut(&limit) else { return alarms };
        let (Some(alert), Some(account)) = (&page.limit.alert, page.accounts.get_mut(&subject)) else {
            return alarms;
        };
        for (gauge, meter) in page.gauges.iter_mut().zip(&mut account.meters) {
            if gauge.is_budget() {
                let used = gauge.used(meter, now);
                for cause in Cause::due(&alert.at, alert.forecast, gauge, meter, now) {
                    alarms.push(Alarm::new(&page.name, &account.name, gauge, cause, used));
                }
            }
        }
        alarms
    }

    /// The count an alarm is of, and the name of its gauge's counts.
    pub(super) fn told_of(&self, alarm: &Alarm, keys: &Keys) -> Option<(String, String)> {
        let page = self.pages.by_id.values().find(|page| page.name == alarm.limit)?;
        let gauge = page.gauges.iter().find(|gauge| gauge.measure == alarm.measure && gauge.is_budget())?;
        Some((keys.count(&page.shelf(), &alarm.subject), wire::field(gauge)))
    }

    /// How the counts of these holds stand: by what was last seen, or by this sidecar's `shares` where it
    /// decides by them.
    pub(super) fn standings(&mut self, held: &[Held], shares: Option<&Shares>) -> Vec<Standing> {
        let now = self.now();
        let pages = &mut self.pages.by_id;
        let of = |held: &Held| {
            let page = pages.get_mut(&held.limit)?;
            let share = shares.and_then(|shares| shares.get(held.limit, held.subject));
            Some(match share {
                Some(share) => share.standings(&page.name, now),
                None => page.standings(held.subject, now),
            })
        };
        held.iter().filter_map(of).flatten().collect()
    }

    pub(super) fn budgets(&mut self) -> Vec<(Arc<str>, f64)> {
        let now = self.now();
        let pages = self.pages.by_id.values_mut();
        pages.filter_map(|page| Some((page.name.clone(), page.most_used(now)?))).collect()
    }

    /// The limits called `name`, or all: each with its index.
    pub(super) fn indices(&self, name: Option<&str>, keys: &Keys) -> Vec<(LimitId, String)> {
        let named = self.pages.by_id.iter().filter(|(_, page)| name.is_none_or(|name| name == &*page.name));
        let mut found: Vec<_> = named.map(|(id, page)| (*id, keys.index(&page.shelf()))).collect();
        found.sort_unstable();
        found
    }

    /// How the counts stand that are known here: by the share of this sidecar where it has one, else as
    /// they were last seen.
    pub(super) fn known(&mut self, name: Option<&str>, shares: &Shares) -> Vec<Standing> {
        let now = self.now();
        let mut standings = Vec::new();
        for (id, page) in &mut self.pages.by_id {
            if name.is_some_and(|name| name != &*page.name) {
                continue;
            }
            standings.extend(shares.of(*id).flat_map(|share| share.standings(&page.name, now)));
            let seen: Vec<u128> =
                page.accounts.keys().copied().filter(|key| shares.get(*id, *key).is_none()).collect();
            standings.extend(seen.into_iter().flat_map(|key| page.standings(key, now)));
        }
        standings
    }

    /// How a count stands that was read as it is kept; whose it is, is not asked.
    pub(super) fn read(&mut self, limit: LimitId, fields: &HashMap<String, String>) -> Vec<Standing> {
        let now = self.now();
        let Some(page) = self.pages.by_id.get_mut(&limit) else { return Vec::new() };
        let name = fields.get("n").map_or("", String::as_str);
        let mut account = Account { name: name.into(), meters: page.new_meters(), changed: false };
        let fields: Vec<String> = page
            .gauges
            .iter()
            .map(|gauge| fields.get(&wire::field(gauge)).cloned().unwrap_or_default())
            .collect();
        read(page.gauges.iter(), &mut account, &fields);
        page.standings_of(&mut account, now)
    }

    /// Whether a subject of this name has `tenant` as its tenant.
    pub(super) fn is_of(&self, limit: LimitId, name: &str, tenant: &str) -> bool {
        self.pages.by_id.get(&limit).is_some_and(|page| page.is_of(name, tenant))
    }

    /// The meters of a subject, where they were seen.
    pub(super) fn meters(&self, limit: LimitId, subject: u128) -> Option<&[Meter]> {
        self.pages.by_id.get(&limit)?.accounts.get(&subject).map(|account| &*account.meters)
    }

    /// The name of a limit.
    pub(super) fn name(&self, limit: LimitId) -> Arc<str> {
        self.pages.by_id.get(&limit).map_or_else(|| "".into(), |page| page.name.clone())
    }

    /// What was used of a limit is forgotten, by all subjects or those with `tenant` as their tenant.
    pub(super) fn forget(&mut self, limit: LimitId, tenant: Option<&str>) {
        if let Some(page) = self.pages.by_id.get_mut(&limit) {
            page.forget(tenant);
        }
    }
}

fn read<'g>(
    gauges: impl Iterator<Item = &'g crate::limits::meter::Gauge>,
    account: &mut Account,
    told: &[String],
) {
    for ((gauge, meter), told) in gauges.zip(&mut account.meters).zip(told) {
        if let Some(read) = wire::meter(gauge, told, meter) {
            *meter = read;
        }
    }
}
