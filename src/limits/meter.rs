//! One count: what is used and reserved of one measure by one subject.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::budget::Window;
use super::journal::Count;
use super::rate::Rate;
use crate::config::limit::{Measure, Quota, Window as Written};
use crate::config::quota::Unit;

/// What time it is, twice: rates run on a clock that never steps, budgets on the calendar's.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Nanoseconds since the process began.
    pub steady: u64,
    /// Seconds since 1970 UTC.
    pub unix: i64,
}

/// How one measure of a limit is counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Gauge {
    /// What is counted.
    pub measure: Measure,
    /// How much there is.
    pub quota: u64,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Rate(Rate, Duration),
    Budget { unit: Unit, zone: TimeZone, window: Window },
    Now,
}

/// One count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// A rate's theoretical arrival time, or what is used in a budget's window.
    spent: u128,
    /// When the budget's window began, in seconds since 1970.
    start: i64,
    /// What is reserved.
    reserved: u64,
    /// How many of the alert's shares have been told in this window.
    pub told: u8,
    /// Whether it has been told in this window that it will not last.
    pub forecast_told: bool,
    /// How far it may grow before that has to be written down: as [`Gauge::extent`].
    leased: u128,
}

/// Why an amount does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// See [`super::ledger::Short::soonest`].
    pub soonest: Option<Duration>,
    /// See [`super::ledger::Short::likely`].
    pub likely: Duration,
}

/// A guess for what another request's end makes room for.
const SOME_TIME: Duration = Duration::from_secs(1);

impl Gauge {
    /// The gauge of a quota.
    pub fn new(quota: &Quota) -> Self {
        let kind = match &quota.window {
            Written::Rate { period, burst } => Kind::Rate(Rate::new(quota.amount, *period, *burst), *period),
            Written::Calendar { unit, zone } => {
                let window = Window { start: 0, end: 0 };
                Kind::Budget { unit: *unit, zone: zone.clone(), window }
            }
            Written::Now => Kind::Now,
        };
        Self { measure: quota.measure, quota: quota.amount, kind }
    }

    /// Whether counts of `other` can go on under this one.
    pub fn continues(&self, other: &Self) -> bool {
        self.measure == other.measure
            && match (&self.kind, &other.kind) {
                (Kind::Rate(..), Kind::Rate(..)) | (Kind::Now, Kind::Now) => true,
                (
                    Kind::Budget { unit, zone, .. },
                    Kind::Budget { unit: unit_before, zone: zone_before, .. },
                ) => unit == unit_before && zone == zone_before,
                _ => false,
            }
    }

    /// The count that goes on under this gauge from one of `before`; `None` keeps only what is
    /// reserved, for that will be given back here.
    pub fn carry(&self, before: Option<&Self>, meter: &Meter, now: Now) -> Meter {
        let reserved = Meter { reserved: meter.reserved, ..Meter::default() };
        let Some(before) = before.filter(|before| self.continues(before)) else { return reserved };
        match (&self.kind, &before.kind) {
            // Under the same rate nothing is rounded: a reload must not cost a request.
            (Kind::Rate(rate, _), Kind::Rate(rate_before, _)) if rate != rate_before => {
                let level = rate_before.level(meter.spent, now.steady);
                Meter { spent: rate.with_level(level, now.steady), ..reserved }
            }
            _ => *meter,
        }
    }

    /// Whether this is a budget.
    pub fn is_budget(&self) -> bool {
        matches!(self.kind, Kind::Budget { .. })
    }

    /// The most at once.
    pub fn most(&self) -> u64 {
        match &self.kind {
            Kind::Rate(rate, _) => rate.burst(),
            Kind::Budget { .. } | Kind::Now => self.quota,
        }
    }

    /// Turns the calendar's page where that is due. A clock that steps back leaves a count in its
    /// later window, unless that is so far ahead that the clock must have been wrong before.
    fn turn(&mut self, meter: &mut Meter, unix: i64) {
        let Kind::Budget { unit, zone, window } = &mut self.kind else { return };
        if unix < window.start || unix >= window.end {
            *window = Window::containing(unix, *unit, zone);
        }
        let length = i64::try_from(window.seconds()).unwrap_or(i64::MAX);
        if meter.start < window.start {
            *meter = Meter { start: window.start, reserved: meter.reserved, ..Meter::default() };
        } else if meter.start > window.start.saturating_add(length) {
            meter.start = window.start;
        }
    }

    /// What is used of [`Gauge::most`] now.
    pub fn used(&mut self, meter: &mut Meter, now: Now) -> u64 {
        self.turn(meter, now.unix);
        match &self.kind {
            Kind::Rate(rate, _) => rate.level(meter.spent, now.steady),
            Kind::Budget { .. } => u64::try_from(meter.spent).unwrap_or(u64::MAX),
            Kind::Now => 0,
        }
    }

    /// Whether `amount` fits beside what is used and reserved.
    ///
    /// # Errors
    /// When it will.
    pub fn fits(&mut self, meter: &mut Meter, amount: u64, now: Now) -> Result<(), NoRoom> {
        if amount == 0 {
            return Ok(());
        }
        let used = self.used(meter, now);
        let taken = used.saturating_add(meter.reserved);
        if taken.saturating_add(amount) <= self.most() {
            return Ok(());
        }
        if amount > self.most() {
            return Err(NoRoom { soonest: None, likely: Duration::MAX });
        }
        let blocked_by_used = used.saturating_add(amount) > self.most();
        Err(match &self.kind {
            Kind::Rate(rate, _) => {
                let all_used = rate.take(meter.spent, now.steady, meter.reserved);
                NoRoom {
                    soonest: rate.until(meter.spent, now.steady, amount),
                    likely: rate.until(all_used, now.steady, amount).unwrap_or(Duration::MAX),
                }
            }
            Kind::Budget { window, .. } if blocked_by_used => {
                let left = Duration::from_secs(window.left(now.unix));
                NoRoom { soonest: Some(left), likely: left }
            }
            Kind::Budget { .. } | Kind::Now => NoRoom { soonest: Some(Duration::ZERO), likely: SOME_TIME },
        })
    }

    /// Counts `amount` as used.
    pub fn spend(&mut self, meter: &mut Meter, amount: u64, now: Now) {
        self.turn(meter, now.unix);
        match &self.kind {
            Kind::Rate(rate, _) => meter.spent = rate.take(meter.spent, now.steady, amount),
            Kind::Budget { .. } => meter.spent = meter.spent.saturating_add(u128::from(amount)),
            Kind::Now => {}
        }
    }

    /// Whether the count says no more than a new one would.
    pub fn is_idle(&mut self, meter: &mut Meter, now: Now) -> bool {
        meter.reserved == 0 && self.used(meter, now) == 0
    }

    /// The length of the window; zero for what is counted at one moment.
    pub fn window(&self) -> Duration {
        match &self.kind {
            Kind::Rate(_, period) => *period,
            Kind::Budget { window, .. } => Duration::from_secs(window.seconds()),
            Kind::Now => Duration::ZERO,
        }
    }

    /// The window of the calendar it counts in.
    pub fn calendar(&self) -> Option<Window> {
        match &self.kind {
            Kind::Budget { window, .. } => Some(*window),
            _ => None,
        }
    }

    /// Until all that is used or reserved is free again.
    pub fn reset(&self, meter: &Meter, now: Now) -> Duration {
        match &self.kind {
            Kind::Rate(rate, _) => {
                let arrival = rate.take(meter.spent, now.steady, meter.reserved);
                rate.until(arrival, now.steady, rate.burst()).unwrap_or_default()
            }
            Kind::Budget { window, .. } => Duration::from_secs(window.left(now.unix)),
            Kind::Now => Duration::ZERO,
        }
    }

    /// When the budget will be used up if the rest of its window goes on as it did so far; `None`
    /// where it lasts, or where it is too soon to say.
    pub fn exhausted(&mut self, meter: &mut Meter, now: Now) -> Option<i64> {
        /// Parts of the window, and of the budget, before which the pace says nothing: 1/20 and 1/10.
        const SOON: (u64, u64) = (20, 10);
        let used = self.used(meter, now);
        let Kind::Budget { window, .. } = &self.kind else { return None };
        let passed = u64::try_from(now.unix.saturating_sub(window.start)).ok()?;
        if used == 0 || passed < window.seconds() / SOON.0 || used < self.quota / SOON.1 {
            return None;
        }
        let lasts = u128::from(passed) * u128::from(self.quota) / u128::from(used);
        let at = window.start.saturating_add(i64::try_from(lasts).ok()?);
        (at < window.end).then_some(at)
    }

    /// How far a count has grown with all that is reserved of it; `None` for what no restart keeps.
    fn extent(&mut self, meter: &mut Meter, now: Now) -> Option<u128> {
        self.turn(meter, now.unix);
        match &self.kind {
            Kind::Rate(rate, _) => Some(rate.take(meter.spent, now.steady, meter.reserved)),
            Kind::Budget { .. } => Some(meter.spent.saturating_add(u128::from(meter.reserved))),
            Kind::Now => None,
        }
    }

    /// Extends the lease of a count that has outgrown it, by a hundredth of the quota more than it
    /// needs, so that most requests need none. Whether it did, and the lease has to be written.
    pub fn lease(&mut self, meter: &mut Meter, now: Now) -> bool {
        /// Leases for one quota.
        const PARTS: u64 = 100;
        if self.extent(meter, now).is_none_or(|extent| extent <= meter.leased) {
            return false;
        }
        let more = (self.most() / PARTS).max(1);
        let mut grown = *meter;
        grown.reserve(more);
        meter.leased = self.extent(&mut grown, now).unwrap_or_default();
        true
    }

    /// The count as it is written down. Unless it `grows`, its lease ends with what is reserved.
    pub fn written(&mut self, meter: &mut Meter, grows: bool, now: Now) -> Option<Count> {
        let extent = self.extent(meter, now)?;
        if !grows {
            meter.leased = extent;
        }
        let leased = match &self.kind {
            Kind::Rate(rate, _) => rate.level(meter.leased, now.steady),
            _ => u64::try_from(meter.leased).unwrap_or(u64::MAX),
        };
        let used = self.used(meter, now);
        let (start, told, forecast_told) = (meter.start, meter.told, meter.forecast_told);
        Some(Count { gauge: self.signature(), used, leased: leased.max(used), start, told, forecast_told })
    }

    /// A count as it was written down `ago` before now, its lease counted as used.
    pub fn restored(&self, count: &Count, ago: Duration, now: Now) -> Meter {
        let told = Meter { told: count.told, forecast_told: count.forecast_told, ..Meter::default() };
        match &self.kind {
            Kind::Rate(rate, _) => {
                // It has drained since it was written, which may be before this process began.
                let drained = ago.as_nanos().saturating_mul(u128::from(self.quota));
                let arrival = rate.with_level(count.leased, now.steady);
                Meter { spent: arrival.saturating_sub(drained), ..told }
            }
            Kind::Budget { .. } => Meter { spent: u128::from(count.leased), start: count.start, ..told },
            Kind::Now => told,
        }
    }

    /// Of a rate: how much, in how many nanoseconds.
    pub(super) fn rate(&self) -> Option<(u64, u64)> {
        match &self.kind {
            Kind::Rate(rate, _) => Some(rate.pace()),
            _ => None,
        }
    }

    /// The window of the calendar at a time, for budgets.
    pub(super) fn window_at(&mut self, unix: i64) -> Option<Window> {
        self.turn(&mut Meter::default(), unix);
        self.calendar()
    }

    /// The gauge of what one of `all` may use alone: the one at `place`, from 0.
    pub(super) fn share(&self, all: u64, place: u64) -> Self {
        let mine = |whole: u64| share(whole, all, place);
        let kind = match &self.kind {
            Kind::Rate(rate, period) if mine(rate.burst()) > 0 => {
                let slower = period.saturating_mul(u32::try_from(all).unwrap_or(u32::MAX));
                Kind::Rate(Rate::new(self.quota, slower, mine(rate.burst())), *period)
            }
            Kind::Rate(..) => return Self { quota: 0, kind: Kind::Now, ..self.clone() },
            other => other.clone(),
        };
        Self { measure: self.measure, quota: mine(self.quota), kind }
    }

    /// What a count is of, so that the next process goes on with the same: `tokens day UTC`.
    pub fn signature(&self) -> String {
        let measure = self.measure.name();
        match &self.kind {
            Kind::Rate(..) => format!("{measure} rate"),
            Kind::Budget { unit, zone, .. } => {
                format!("{measure} {} {}", unit.name(), zone.iana_name().unwrap_or_default())
            }
            Kind::Now => measure.to_owned(),
        }
    }
}

/// The part of `whole` that the one at `place` of `all` has: together they have all of it.
pub(super) fn share(whole: u64, all: u64, place: u64) -> u64 {
    let all = all.max(1);
    whole / all + u64::from(place < whole % all)
}

impl Meter {
    /// A count as another place keeps it; what was told of it in the same window is still told.
    pub(super) fn kept(spent: u128, start: i64, reserved: u64, before: &Self) -> Self {
        let told = if before.start == start { *before } else { Self::default() };
        Self { spent, start, reserved, leased: 0, ..told }
    }

    /// What is reserved.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Reserves what fits.
    pub fn reserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_add(amount);
    }

    /// Gives back what was reserved.
    pub fn release(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_sub(amount);
    }

    /// Forgets what was used.
    pub fn forget(&mut self) {
        *self = Self { reserved: self.reserved, ..Self::default() };
    }
}
