//! Windows of the calendar: when the budget of a day, week or month begins and ends in its time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::config::quota::Unit;

/// A stretch of time, in seconds since 1970 UTC: from `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first second.
    pub start: i64,
    /// The first second after it.
    pub end: i64,
}

impl Window {
    /// The window of `unit` in `zone` that `unix` (seconds since 1970 UTC) falls into.
    ///
    /// A day that daylight saving makes 23 or 25 hours long is one window; one whose midnight is
    /// skipped begins with its first moment. Outside the calendar's range (the years before -9999
    /// or after 9999) all time is one window.
    pub fn containing(unix: i64, unit: Unit, zone: &TimeZone) -> Self {
        Self::find(unix, unit, zone).unwrap_or(Self { start: i64::MIN, end: i64::MAX })
    }

    fn find(unix: i64, unit: Unit, zone: &TimeZone) -> Option<Self> {
        let now = Timestamp::from_second(unix).ok()?.to_zoned_datetime(zone.clone());
        let (first, next) = match unit {
            Unit::Second | Unit::Minute | Unit::Hour => return Some(Self::short(&now, unit)),
            Unit::Day => (now.date(), now.date().tomorrow().ok()?),
            Unit::Week => {
                let back = i64::from(now.date().weekday().to_monday_zero_offset());
                let monday = now.date().checked_sub(back.days()).ok()?;
                (monday, monday.checked_add(7.days()).ok()?)
            }
            Unit::Month => {
                let first = now.date().first_of_month();
                (first, first.checked_add(1.month()).ok()?)
            }
        };
        let begins = |date: Date| {
            let midnight = date.to_zoned_datetime(zone.clone()).ok()?;
            Some(midnight.start_of_day().ok()?.timestamp().as_second())
        };
        Some(Self { start: begins(first)?, end: begins(next)? })
    }

    /// Hours and shorter have one length everywhere; where they begin depends on the zone's offset
    /// only by parts of an hour.
    fn short(now: &ZonedDateTime, unit: Unit) -> Self {
        let length = match unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            _ => 3600,
        };
        let (unix, offset) = (now.timestamp().as_second(), i64::from(now.offset().seconds()));
        let start = unix - (unix + offset).rem_euclid(length);
        Self { start, end: start + length }
    }

    /// How long it is, in seconds.
    pub fn seconds(&self) -> u64 {
        self.end.saturating_sub(self.start).unsigned_abs()
    }

    /// Seconds until it ends.
    pub fn left(&self, unix: i64) -> u64 {
        self.end.saturating_sub(unix).max(0).unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    /// The window at a local time, written as local times, and its length in hours.
    fn window(at: &str, unit: Unit, name: &str) -> (String, String, u64) {
        let at: jiff::civil::DateTime = at.parse().unwrap();
        let unix = at.to_zoned_datetime(zone(name)).unwrap().timestamp().as_second();
        let found = Window::containing(unix, unit, &zone(name));
        assert!(found.start <= unix && unix < found.end);
        let local = |unix| {
            let zoned = Timestamp::from_second(unix).unwrap().to_zoned_datetime(zone(name));
            zoned.datetime().strftime("%Y-%m-%d %H:%M").to_string()
        };
        (local(found.start), local(found.end), found.seconds() / 3600)
    }

    fn expected(start: &str, end: &str, hours: u64) -> (String, String, u64) {
        (start.to_owned(), end.to_owned(), hours)
    }

    #[test]
    fn a_day_ends_at_midnight_of_its_zone() {
        for name in ["UTC", "Asia/Kolkata", "America/Los_Angeles", "Pacific/Kiritimati"] {
            let day = expected("2026-11-28 00:00", "2026-11-29 00:00", 24);
            assert_eq!(window("2026-11-28T00:00:00", Unit::Day, name), day, "{name}");
            assert_eq!(window("2026-11-28T23:59:59", Unit::Day, name), day, "{name}");
        }
    }

    #[test]
    fn months_end_where_they_end_also_in_leap_years() {
        let month = |at| window(at, Unit::Month, "UTC");
        assert_eq!(month("2026-02-28T23:59:59"), expected("2026-02-01 00:00", "2026-03-01 00:00", 28 * 24));
        assert_eq!(month("2028-02-29T12:00:00"), expected("2028-02-01 00:00", "2028-03-01 00:00", 29 * 24));
        assert_eq!(month("2026-12-31T23:59:59"), expected("2026-12-01 00:00", "2027-01-01 00:00", 31 * 24));
        let leap = window("2028-02-29T23:59:59", Unit::Day, "UTC");
        assert_eq!(leap, expected("2028-02-29 00:00", "2028-03-01 00:00", 24));
    }

    #[test]
    fn daylight_saving_makes_days_shorter_and_longer_and_leaves_no_gap() {
        let day = |at| window(at, Unit::Day, "Europe/Berlin");
        assert_eq!(day("2026-03-29T12:00:00"), expected("2026-03-29 00:00", "2026-03-30 00:00", 23));
        assert_eq!(day("2026-10-25T12:00:00"), expected("2026-10-25 00:00", "2026-10-26 00:00", 25));
        let month = window("2026-10-31T23:59:59", Unit::Month, "Europe/Berlin");
        assert_eq!(month, expected("2026-10-01 00:00", "2026-11-01 00:00", 31 * 24 + 1));
        // In Beirut, clocks go forward at midnight: the day begins at one o'clock.
        let skipped = window("2026-03-29T12:00:00", Unit::Day, "Asia/Beirut");
        assert_eq!(skipped, expected("2026-03-29 01:00", "2026-03-30 00:00", 23));
        // The hour that comes twice is two windows.
        let twice: Vec<i64> = [1_793_008_800, 1_793_012_400]
            .map(|unix| Window::containing(unix, Unit::Hour, &zone("America/New_York")).start)
            .to_vec();
        assert_eq!(twice[1] - twice[0], 3600);
    }

    #[test]
    fn weeks_begin_on_monday() {
        let week = |at| window(at, Unit::Week, "UTC");
        let expected = expected("2026-12-28 00:00", "2027-01-04 00:00", 7 * 24);
        assert_eq!(week("2027-01-03T23:59:59"), expected, "a Sunday");
        assert_eq!(week("2026-12-28T00:00:00"), expected, "a Monday");
    }

    #[test]
    fn hours_follow_the_zone_where_it_is_off_by_half_an_hour() {
        let hour = window("2026-11-28T10:20:00", Unit::Hour, "Asia/Kolkata");
        assert_eq!(hour, expected("2026-11-28 10:00", "2026-11-28 11:00", 1));
    }

    proptest! {
        /// Windows tile time: each begins where the one before ends, in every zone.
        #[test]
        fn windows_follow_each_other_without_gap(
            unix in 0i64..4_102_444_800,
            unit in prop::sample::select(vec![Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month]),
            name in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"]),
        ) {
            let zone = zone(name);
            let one = Window::containing(unix, unit, &zone);
            prop_assert!(one.start <= unix && unix < one.end);
            prop_assert_eq!(Window::containing(one.start, unit, &zone), one);
            prop_assert_eq!(Window::containing(one.end - 1, unit, &zone), one);
            prop_assert_eq!(Window::containing(one.end, unit, &zone).start, one.end);
        }
    }
}
