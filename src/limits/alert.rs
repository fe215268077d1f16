//! What is told of a budget: that a share of it is used, or that it will not last.

use std::sync::Arc;

use super::budget::Window;
use super::meter::{Gauge, Meter, Now};
use crate::config::limit::Measure;

/// Something to tell of a budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// The limit's name.
    pub limit: Arc<str>,
    /// Who is counted.
    pub subject: Box<str>,
    /// What is counted.
    pub measure: Measure,
    /// Why it is told.
    pub cause: Cause,
    /// What is used; money in pico-USD.
    pub used: u64,
    /// The budget.
    pub quota: u64,
    /// Its window.
    pub window: Window,
}

/// Why something is told of a budget; each once in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This percentage of it is used.
    Share(u8),
    /// At the pace so far it is used up at this time (seconds since 1970 UTC), before its window ends.
    Forecast(i64),
}

impl Cause {
    /// What has become due to tell of a budget, and is noted as told. Of several shares passed at
    /// once, the highest.
    pub fn due(shares: &[u8], forecast: bool, gauge: &mut Gauge, meter: &mut Meter, now: Now) -> Vec<Self> {
        let mut causes = Vec::new();
        let (used, quota) = (u128::from(gauge.used(meter, now)), u128::from(gauge.quota));
        let passed = shares.iter().take_while(|share| used * 100 >= quota * u128::from(**share)).count();
        if passed > usize::from(meter.told) {
            meter.told = u8::try_from(passed).unwrap_or(u8::MAX);
            causes.push(Self::Share(shares[passed - 1]));
        }
        if forecast
            && !meter.forecast_told
            && used < quota
            && let Some(at) = gauge.exhausted(meter, now)
        {
            meter.forecast_told = true;
            causes.push(Self::Forecast(at));
        }
        causes
    }

    /// Its name in metrics and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Share(_) => "share",
            Self::Forecast(_) => "forecast",
        }
    }
}

impl Alarm {
    /// An alarm of one budget.
    pub fn new(limit: &Arc<str>, subject: &str, gauge: &Gauge, cause: Cause, used: u64) -> Self {
        Self {
            limit: limit.clone(),
            subject: subject.into(),
            measure: gauge.measure,
            cause,
            used,
            quota: gauge.quota,
            window: gauge.calendar().unwrap_or(Window { start: 0, end: 0 }),
        }
    }
}
