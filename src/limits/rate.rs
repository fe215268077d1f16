//! Steady rates: the generic cell rate algorithm (GCRA, ITU-T I.371) over amounts instead of cells.

use std::time::Duration;

/// So much in a period, of which up to `burst` at once.
///
/// The state of a counter is one number, the theoretical arrival time: when all that was taken will
/// have drained. It is kept in nanoseconds times `amount`, so that one unit takes exactly `period`
/// and no rounding adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    period: u64,
    amount: u64,
    burst: u64,
}

/// The theoretical arrival time of a counter, in nanoseconds times the rate's amount.
pub type Arrival = u128;

impl Rate {
    /// `amount` in `period` (at most an hour), `burst` at once; both at least 1.
    pub fn new(amount: u64, period: Duration, burst: u64) -> Self {
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { period, amount: amount.max(1), burst: burst.max(1) }
    }

    /// How many at once.
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// How much, in how many nanoseconds.
    pub fn pace(&self) -> (u64, u64) {
        (self.amount, self.period)
    }

    fn scaled(&self, now: u64) -> Arrival {
        u128::from(now) * u128::from(self.amount)
    }

    fn takes(&self, amount: u64) -> u128 {
        u128::from(amount) * u128::from(self.period)
    }

    /// How much of the burst is in use at `now` (nanoseconds), rounded up.
    pub fn level(&self, arrival: Arrival, now: u64) -> u64 {
        let over = arrival.saturating_sub(self.scaled(now));
        u64::try_from(over.div_ceil(u128::from(self.period))).unwrap_or(u64::MAX)
    }

    /// The arrival time after `amount` is taken at `now`. It may be more than there is room for:
    /// then later ones wait until that has drained as well.
    pub fn take(&self, arrival: Arrival, now: u64, amount: u64) -> Arrival {
        arrival.max(self.scaled(now)).saturating_add(self.takes(amount))
    }

    /// How long from `now` until `amount` fits; `None` if it never does.
    pub fn until(&self, arrival: Arrival, now: u64, amount: u64) -> Option<Duration> {
        if amount > self.burst {
            return None;
        }
        let full = arrival.max(self.scaled(now)) + self.takes(amount);
        let over = full.saturating_sub(self.scaled(now) + self.takes(self.burst));
        let wait = over.div_ceil(u128::from(self.amount));
        Some(Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// The state in which `level` is in use at `now`: how a counter goes on under another rate, or
    /// after a restart.
    pub fn with_level(&self, level: u64, now: u64) -> Arrival {
        self.scaled(now) + self.takes(level)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_passes_at_once_and_then_one_at_a_time() {
        let rate = Rate::new(60, Duration::from_secs(60), 3);
        let mut arrival = 0;
        let now = 1000 * SECOND;
        for _ in 0..3 {
            assert_eq!(rate.until(arrival, now, 1), Some(Duration::ZERO));
            arrival = rate.take(arrival, now, 1);
        }
        assert_eq!(rate.until(arrival, now, 1), Some(Duration::from_secs(1)));
        assert_eq!(rate.until(arrival, now, 2), Some(Duration::from_secs(2)));
        assert_eq!(rate.until(arrival, now + SECOND, 1), Some(Duration::ZERO));
        assert_eq!(rate.until(arrival, now, 4), None, "more than the burst never passes");
        assert_eq!((rate.level(arrival, now), rate.level(arrival, now + 3 * SECOND)), (3, 0));
    }

    #[test]
    fn a_rate_that_no_nanosecond_divides_is_kept_exactly() {
        let rate = Rate::new(7, Duration::from_secs(1), 7);
        let mut arrival = 0;
        for _ in 0..7 {
            assert_eq!(rate.until(arrival, 0, 1), Some(Duration::ZERO));
            arrival = rate.take(arrival, 0, 1);
        }
        for second in 1..1000 {
            for _ in 0..7 {
                assert_eq!(rate.until(arrival, second * SECOND, 1), Some(Duration::ZERO));
                arrival = rate.take(arrival, second * SECOND, 1);
            }
            assert_ne!(rate.until(arrival, second * SECOND, 1), Some(Duration::ZERO));
        }
    }

    proptest! {
        /// In no stretch of time more passes than the burst and what the stretch brings.
        #[test]
        fn never_more_than_burst_and_rate(
            amount in 1u64..1000, seconds in 1u64..3600, burst in 1u64..1000,
            steps in prop::collection::vec((0u64..5 * SECOND, 1u64..100), 1..80),
        ) {
            let rate = Rate::new(amount, Duration::from_secs(seconds), burst);
            let (mut now, mut arrival, mut passed) = (0u64, 0, Vec::new());
            for (wait, ask) in steps {
                now += wait;
                if rate.until(arrival, now, ask) == Some(Duration::ZERO) {
                    arrival = rate.take(arrival, now, ask);
                    passed.push((now, ask));
                }
            }
            for (index, (from, _)) in passed.iter().enumerate() {
                let mut sum = 0u128;
                for (to, ask) in &passed[index..] {
                    sum += u128::from(*ask);
                    let brings = u128::from(to - from) * u128::from(amount);
                    let most = (u128::from(burst) * u128::from(seconds * SECOND) + brings) / u128::from(seconds * SECOND);
                    prop_assert!(sum <= most, "{sum} > {most}");
                }
            }
        }

        /// The wait that is told is the one after which it passes, and not a nanosecond too long.
        #[test]
        fn the_wait_is_honest(amount in 1u64..1000, burst in 1u64..1000, used in 0u64..2000, ask in 1u64..1000) {
            let rate = Rate::new(amount, Duration::from_secs(60), burst);
            let now = 5 * SECOND;
            let arrival = rate.with_level(used, now);
            match rate.until(arrival, now, ask) {
                None => prop_assert!(ask > burst),
                Some(wait) => {
                    let then = now + wait.as_nanos() as u64;
                    prop_assert_eq!(rate.until(arrival, then, ask), Some(Duration::ZERO));
                    if !wait.is_zero() {
                        prop_assert_ne!(rate.until(arrival, then - 1, ask), Some(Duration::ZERO));
                    }
                }
            }
        }
    }
}
