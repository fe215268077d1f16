//! Limits against a simple model, and those that wait on a paused clock.

mod journal;
mod keeping;
mod model;
mod waiting;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use tokio::sync::mpsc::{Receiver, channel};

use super::alert::Alarm;
use super::book::Book;
use super::fair::Urgency;
use super::ledger::{Amounts, Claim, LimitId, Standing, Subject};
use super::{Ask, Limits};
use crate::config::limit::{Limit, Measure};
use crate::config::{Config, Environment};
use crate::io::clock::Clock;

/// 28 November 2026, 12:00 UTC.
const NOON: u64 = 1_795_867_200;

/// A time so much later than noon.
fn noon(later: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOON) + later
}

/// Limits as a configuration file has them, without the first `limits:`.
fn written(limits: &str) -> Vec<Limit> {
    let text = format!("limits:\n{limits}\n");
    Config::load(&text, &Environment::fixed(&[], &[]))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .limits
}

/// Limits in force from noon on.
struct Force {
    limits: Arc<Limits>,
    rules: Vec<(LimitId, Arc<Limit>)>,
    alarms: Receiver<Alarm>,
}

impl Force {
    fn of(text: &str) -> Self {
        Self::kept(text, None, Duration::ZERO)
    }

    /// With counts that are kept at `path`, `later` than noon.
    fn kept(text: &str, path: Option<&Path>, later: Duration) -> Self {
        Self::by(Clock::anchored(noon(later)), text, path)
    }

    /// By this clock.
    fn by(clock: Clock, text: &str, path: Option<&Path>) -> Self {
        let (sender, alarms) = channel(1000);
        let book = match path {
            Some(path) => Book::kept(clock, sender, 0, path.to_owned()),
            None => Arc::new(Book::new(clock, sender, 0)),
        };
        let limits = Limits::new(book);
        let rules = limits.adopt(&written(text));
        Self { limits, rules, alarms }
    }

    fn adopt(&mut self, text: &str) {
        self.rules = self.limits.adopt(&written(text));
    }

    /// What `tenant` asks of every limit.
    fn ask<'a>(&self, tenant: &'a str, amounts: Amounts) -> Ask<'a> {
        let claims = self.rules.iter().map(|(limit, rule)| {
            let name = if rule.per.is_empty() { "" } else { tenant };
            let subject = Subject::of(Cow::Borrowed(name), 0);
            Claim { limit: *limit, subject, amounts }
        });
        Ask { claims: claims.collect(), tenant, urgency: Urgency::default() }
    }

    /// Every count: a book answers at once.
    fn all(&self) -> Vec<Standing> {
        self.limits.all(None).now_or_never().unwrap().standings
    }

    fn standing(&self, subject: &str, measure: Measure) -> Standing {
        let found = self.all().into_iter();
        let mut of = found.filter(|standing| standing.subject == subject && standing.measure == measure);
        of.next().unwrap_or_else(|| panic!("{subject} has a count of {measure:?}"))
    }

    fn reserved(&self) -> u64 {
        self.all().iter().map(|standing| standing.reserved).sum()
    }
}

/// One request that may consume so many tokens.
fn request(tokens: u64) -> Amounts {
    Amounts::consumed(tokens, 0, 0).with(Measure::Requests, 1).with(Measure::Concurrent, 1)
}
