//! Random requests, sizes, failures, cancels and steps of time, of the wall clock too, against a model
//! that only adds up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use proptest::prelude::*;

use super::{Force, NOON, noon, request};
use crate::config::limit::Measure;
use crate::io::clock::Clock;
use crate::limits::budget::Window;
use crate::limits::ledger::Amounts;
use crate::limits::{Attempt, Permit};

/// Each counts something else, over another window, for others.
const LIMITS: &str = "
  - {name: together, requests: 20/min burst 5}
  - {name: tenant, per: tenant, tokens: 5000/day, concurrent: 3, zone: Europe/Berlin}
  - {name: fast, per: tenant, tokens: 600/min burst 900}
";

const TENANTS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    /// A tenant asks for a request that may take so many tokens.
    Ask(usize, u64),
    /// The same, but the client hangs up as soon as it is let through.
    Leave(usize, u64),
    /// One under way has taken this share of what it reserved, in percent.
    Settle(usize, u64),
    /// One under way is cancelled before its call was made.
    Cancel(usize),
    /// The task of one under way is cut off after its call was made.
    Cut(usize),
    /// Time goes by.
    Wait(Duration),
    /// Somebody sets the wall clock by so many seconds.
    Set(i64),
    /// The same limits are loaded again.
    Reload,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..TENANTS.len(), 1u64..1000).prop_map(|(tenant, tokens)| Step::Ask(tenant, tokens)),
        2 => (0..TENANTS.len(), 1u64..1000).prop_map(|(tenant, tokens)| Step::Leave(tenant, tokens)),
        4 => (any::<usize>(), 0u64..=100).prop_map(|(which, share)| Step::Settle(which, share)),
        2 => any::<usize>().prop_map(Step::Cancel),
        1 => any::<usize>().prop_map(Step::Cut),
        3 => (0u64..90_000).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        1 => (1u64..48).prop_map(|hours| Step::Wait(Duration::from_secs(hours * 3600))),
        1 => (-200_000i64..200_000).prop_map(Step::Set),
        1 => (-5i64..5).prop_map(Step::Set),
        1 => Just(Step::Reload),
    ];
    prop::collection::vec(step, 1..120)
}

/// One let through: its tenant, what it reserved, and what it holds.
struct UnderWay {
    tenant: &'static str,
    tokens: u64,
    permit: Permit,
    attempt: Attempt,
}

/// What the model knows: who took how much when, and who holds what.
#[derive(Default)]
struct Model {
    taken: HashMap<&'static str, Vec<(Duration, u64)>>,
    requests: Vec<Duration>,
    held: HashMap<&'static str, Vec<u64>>,
    /// The day that a tenant's budget counts, and what was taken in it.
    days: HashMap<&'static str, (i64, u64)>,
}

/// The day of Berlin that the wall clock shows.
fn day(unix: i64) -> Window {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    Window::containing(unix, crate::config::quota::Unit::Day, &zone)
}

impl Model {
    /// What is taken of a tenant's budget. A later day begins a new one; a clock that is set back goes on
    /// in the day it had reached, unless that is more than a day ahead: then what it counted is taken
    /// from today.
    fn taken_today(&mut self, tenant: &'static str, unix: i64) -> u64 {
        let (today, count) = (day(unix), self.days.entry(tenant).or_default());
        if count.0 < today.start {
            *count = (today.start, 0);
        } else if count.0 > today.end {
            count.0 = today.start;
        }
        count.1
    }

    fn take(&mut self, tenant: &'static str, tokens: u64, now: Duration, unix: i64) {
        self.taken_today(tenant, unix);
        self.days.entry(tenant).or_default().1 += tokens;
        self.taken.entry(tenant).or_default().push((now, tokens));
    }

    fn held_tokens(&self, tenant: &str) -> u64 {
        self.held.get(tenant).into_iter().flatten().sum()
    }

    /// What drains at `rate` in a second holds at most `burst`: the level, simulated from the start.
    fn level(events: impl Iterator<Item = (Duration, u64)>, rate: f64, now: Duration) -> f64 {
        let (mut level, mut last) = (0.0f64, Duration::ZERO);
        for (at, amount) in events.chain([(now, 0)]) {
            level = (level - (at - last).as_secs_f64() * rate).max(0.0) + amount as f64;
            last = at;
        }
        level
    }

    /// Whether all three limits have room; `None` where it is a matter of rounding in this model.
    fn fits(&mut self, tenant: &'static str, tokens: u64, now: Duration, unix: i64) -> Option<bool> {
        let held = self.held_tokens(tenant);
        let budget = self.taken_today(tenant, unix) + held + tokens <= 5000
            && self.held.get(tenant).map_or(0, Vec::len) < 3;
        let taken = self.taken.get(tenant).cloned().unwrap_or_default();
        let fast = Self::level(taken.into_iter(), 10.0, now) + (held + tokens) as f64;
        let together = Self::level(self.requests.iter().map(|at| (*at, 1)), 20.0 / 60.0, now) + 1.0;
        // A level counts in whole units, rounded up.
        let sure = [(fast, 900.0), (together, 5.0)].map(|(level, most)| match level - most {
            over if over > 1e-6 => Some(false),
            over if over <= -1.0 + 1e-6 => Some(true),
            over if (level - level.round()).abs() < 1e-6 => Some(over <= 1e-6),
            _ => Some(level.ceil() <= most),
        });
        Some(budget && sure[0]? && sure[1]?)
    }
}

/// Plays steps from so much after noon on.
fn play(later: Duration, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let off: &AtomicI64 = Box::leak(Box::default());
        let mut force = Force::by(Clock::stepped(noon(later), off), LIMITS, None);
        let shown = |now: Duration| (NOON + (later + now).as_secs()).cast_signed() + off.load(Relaxed);
        let began = tokio::time::Instant::now();
        let (mut model, mut under_way) = (Model::default(), Vec::<UnderWay>::new());
        for step in steps {
            let now = began.elapsed();
            let unix = shown(now);
            match step {
                Step::Ask(tenant, tokens) => {
                    let tenant = TENANTS[tenant];
                    let admitted = force.limits.admit(&force.ask(tenant, request(tokens))).await;
                    prop_assert_eq!(Some(admitted.is_ok()), model.fits(tenant, tokens, now, unix));
                    let Ok(mut permit) = admitted else { continue };
                    permit.depart();
                    let attempt = permit.attempt();
                    attempt.sent();
                    model.requests.push(now);
                    model.held.entry(tenant).or_default().push(tokens);
                    under_way.push(UnderWay { tenant, tokens, permit, attempt });
                }
                Step::Leave(tenant, tokens) => {
                    let tenant = TENANTS[tenant];
                    let admitted = force.limits.admit(&force.ask(tenant, request(tokens))).await;
                    prop_assert_eq!(Some(admitted.is_ok()), model.fits(tenant, tokens, now, unix));
                }
                Step::Settle(which, _) | Step::Cancel(which) | Step::Cut(which) if !under_way.is_empty() => {
                    let UnderWay { tenant, tokens, permit, attempt } =
                        under_way.swap_remove(which % under_way.len());
                    let used = match step {
                        Step::Settle(_, share) => tokens * share / 100,
                        Step::Cancel(_) => 0,
                        _ => tokens,
                    };
                    match step {
                        Step::Cut(_) => drop(attempt),
                        _ => attempt.settle(&Amounts::consumed(used, 0, 0)),
                    }
                    drop(permit);
                    model.take(tenant, used, now, unix);
                    let held = model.held.get_mut(tenant).unwrap();
                    held.swap_remove(held.iter().position(|held| *held == tokens).unwrap());
                }
                Step::Wait(time) => tokio::time::advance(time).await,
                Step::Set(seconds) => drop(off.fetch_add(seconds, Relaxed)),
                Step::Reload => force.adopt(LIMITS),
                _ => {}
            }
            let unix = shown(began.elapsed());
            for standing in force.all() {
                prop_assert!(standing.used + standing.reserved <= standing.most, "{standing:?}");
                let tenant = TENANTS.into_iter().find(|tenant| *tenant == standing.subject);
                match (&*standing.limit, standing.measure, tenant) {
                    ("tenant", Measure::Tokens, Some(tenant)) => {
                        prop_assert_eq!(standing.used, model.taken_today(tenant, unix));
                        prop_assert_eq!(standing.reserved, model.held_tokens(tenant));
                    }
                    ("tenant", Measure::Concurrent, Some(tenant)) => {
                        prop_assert_eq!(
                            standing.reserved as usize,
                            model.held.get(tenant).map_or(0, Vec::len)
                        );
                    }
                    _ => {}
                }
            }
        }
        drop(under_way);
        prop_assert_eq!(force.reserved(), 0, "all that was reserved is settled or returned");
        Ok(())
    })
}

proptest! {
    #[test]
    fn limits_let_through_what_adding_up_says(
        // From November on, or from the day before clocks go forward in Berlin: 119 days later.
        later in prop::sample::select(vec![0, 119]),
        steps in steps(),
    ) {
        play(Duration::from_secs(later * 86_400), steps)?;
    }
}

/// What the property found: a level rounded up at each reload refused a request that had room.
#[test]
fn a_reload_of_the_same_limits_rounds_no_count() {
    let wait = |millis| Step::Wait(Duration::from_millis(millis));
    let (ask, settle) = (|| Step::Ask(0, 1), || Step::Settle(0, 0));
    let mut steps = vec![ask(), settle(), wait(2729), ask(), settle(), ask(), wait(2538), settle()];
    steps.extend([ask(), ask(), Step::Reload, Step::Ask(2, 1), settle(), wait(3733)]);
    steps.extend(std::iter::repeat_with(ask).take(5));
    play(Duration::ZERO, steps).unwrap();
}
