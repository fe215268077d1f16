//! Money, in integers.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// An amount of money in pico-USD (10^-12 USD), from nothing to 18 million USD.
///
/// A price of six decimals per million tokens is a whole number of pico-USD per token, so costs are
/// exact. Sums and differences stop at the ends of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u64);

impl Cost {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// This many pico-USD.
    pub const fn from_pico_usd(pico: u64) -> Self {
        Self(pico)
    }

    /// The amount in pico-USD.
    pub const fn pico_usd(self) -> u64 {
        self.0
    }

    /// The amount in USD, for metrics only: a float is not exact.
    pub fn as_usd_f64(self) -> f64 {
        self.0 as f64 / 1e12
    }
}

/// USD as a plain decimal, exact and as short as possible: `0.00123`.
impl fmt::Display for Cost {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let (usd, pico) = (self.0 / 1_000_000_000_000, self.0 % 1_000_000_000_000);
        formatter.write_str(itoa::Buffer::new().format(usd))?;
        if pico == 0 {
            return Ok(());
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(pico);
        formatter.write_str(".")?;
        formatter.write_str(&"000000000000"[digits.len()..])?;
        formatter.write_str(digits.trim_end_matches('0'))
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Cost {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_as_a_plain_decimal() {
        for (pico, shown) in [
            (0, "0"),
            (1, "0.000000000001"),
            (1_230_000_000, "0.00123"),
            (1_000_000_000_000, "1"),
            (12_500_000_000_000, "12.5"),
            (u64::MAX, "18446744.073709551615"),
        ] {
            assert_eq!(Cost::from_pico_usd(pico).to_string(), shown);
        }
        let (small, large) = (Cost::from_pico_usd(1), Cost::from_pico_usd(u64::MAX));
        assert_eq!(
            (small - large, large + small, [large, small].into_iter().sum()),
            (Cost::ZERO, large, large)
        );
        assert!((Cost::from_pico_usd(2_500_000_000_000).as_usd_f64() - 2.5).abs() < 1e-9);
    }
}
