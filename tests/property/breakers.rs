//! What sidecars tell each other of a target: words survive their way, none of them can do harm, and all
//! that hear each other spare a dead provider together.

use std::time::Duration;

use pareto::route::breaker::{IN_A_ROW, LONGEST_REST, REST, State};
use pareto::route::condition::Condition;
use pareto::route::verdict::{LONGEST_WAIT, Verdict};
use pareto::route::word::{Fact, LINGER, Reason, Word};
use proptest::prelude::*;
use tokio::time::Instant;

/// Some time into the clock, so that there is a past.
fn noon() -> Instant {
    Instant::now() + Duration::from_secs(200_000)
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        (0..40_u32).prop_map(Word::Opened),
        Just(Word::Closed),
        Just(Word::Rests(Reason::KeyRefused)),
        Just(Word::Rests(Reason::RateLimited)),
        Just(Word::Rested),
    ]
}

const fn longest(word: Word) -> Duration {
    match word {
        Word::Opened(_) => LONGEST_REST,
        Word::Rests(_) => LONGEST_WAIT,
        Word::Closed | Word::Rested => Duration::ZERO,
    }
}

proptest! {
    /// Whoever reads a word, whenever and by whatever clock, knows when it happened and until when it holds.
    #[test]
    fn a_word_means_the_same_wherever_and_whenever_it_is_read(
        word in word(), by in any::<u64>(), ago in 0..80_000_u64, rest in 0..1000_u64, later in 0..1000_u64,
    ) {
        let now = noon();
        let rest = longest(word) * u32::try_from(rest).unwrap() / 1000;
        let ago = Duration::from_secs(ago);
        let fact = Fact { by, word, since: now - ago, until: now + rest };
        let (value, life) = fact.write(now);
        prop_assert!(life >= LINGER && life <= rest + LINGER);
        let passed = Duration::from_millis(life.as_millis() as u64 * later / 1000);
        let elsewhere = noon() + Duration::from_secs(77_777);
        let read = Fact::read(&value, life - passed, elsewhere).unwrap();
        prop_assert_eq!((read.by, read.word), (by, word));
        let close = |one: Instant, other: Instant| {
            one.saturating_duration_since(other).max(other.saturating_duration_since(one)) < Duration::from_millis(3)
        };
        prop_assert!(close(read.since, elsewhere - passed - ago));
        prop_assert!(close(read.until, elsewhere + rest - passed));
    }

    /// Nothing that lies in Redis lets a target rest for longer than a provider could have asked for.
    #[test]
    fn no_value_rests_a_target_for_longer_than_it_may(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            (word(), any::<u64>(), any::<u64>(), 0..3_u8).prop_map(|(word, ago, rest, version)| {
                let word = serde_json::to_value(word).unwrap();
                serde_json::json!({"version": version, "by": 1, "word": word, "ago": ago, "rest": rest})
                    .to_string()
                    .into_bytes()
            }),
        ],
        left in any::<u64>(),
    ) {
        let now = noon();
        let mut condition = Condition::new(true, now);
        if let Some(fact) = Fact::read(&value, Duration::from_millis(left), now) {
            prop_assert!(fact.since <= now && fact.until <= now + longest(fact.word));
            condition.hear(&fact, now);
        }
        prop_assert!(condition.would_admit(now + LONGEST_WAIT).is_ok());
    }
}

/// Sidecars that hear at once what one of them has to tell.
struct Fleet {
    all: Vec<Condition>,
    now: Instant,
}

impl Fleet {
    fn new(size: usize) -> Self {
        let now = noon();
        Self { all: (0..size).map(|_| Condition::new(true, now)).collect(), now }
    }

    /// One of them calls, if it may. Whether it did.
    fn call(&mut self, at: usize, works: bool) -> bool {
        let now = self.now;
        let Some(probe) = self.all[at].admit(now) else { return false };
        if let Some(until) = self.all[at].yields_probe(now).filter(|_| probe) {
            self.all[at].leave_probe(until);
            return false;
        }
        if works {
            self.all[at].succeeded(probe, false, now);
        } else {
            self.all[at].failed(probe, &Verdict::of_broken(), now);
        }
        self.spread();
        true
    }

    fn spread(&mut self) {
        for at in 0..self.all.len() {
            if !self.all[at].take_untold().breaker {
                continue;
            }
            let Some(fact) = self.all[at].breaker_fact(at as u64) else { continue };
            let (value, life) = fact.write(self.now);
            for (_, other) in self.all.iter_mut().enumerate().filter(|(other, _)| *other != at) {
                let heard = Fact::read(&value, life, self.now).unwrap();
                other.hear(&heard, self.now);
                other.take_probe(self.now);
            }
        }
    }
}

proptest! {
    /// However calls are spread over sidecars and whenever the provider comes and goes: in each time that it
    /// is away, no sidecar lets more calls fail than open its own breaker, and all of them probe once in a rest.
    #[test]
    fn sidecars_spare_a_dead_provider_together(
        steps in prop::collection::vec((0..3_usize, 1..2000_u64), 1..400),
        turns in prop::collection::vec(1..40_000_u64, 1..8),
    ) {
        let mut fleet = Fleet::new(3);
        let (mut works, mut failed, mut rests) = (true, 0, Duration::ZERO);
        let mut turns = turns.into_iter();
        let mut turn = fleet.now + Duration::from_millis(turns.next().unwrap());
        for (at, pause) in steps {
            let pause = Duration::from_millis(pause);
            fleet.now += pause;
            if fleet.now >= turn {
                (works, failed, rests) = (!works, 0, Duration::ZERO);
                turn = fleet.now + turns.next().map_or(Duration::from_secs(100_000), Duration::from_millis);
            }
            rests += pause;
            if fleet.call(at, works) && !works {
                failed += 1;
            }
            let probes = rests.as_secs() / REST.as_secs() + 1;
            prop_assert!(failed <= 3 * u64::from(IN_A_ROW) + probes, "{failed} in {rests:?}");
        }
    }
}

#[test]
fn one_sidecar_that_is_cut_off_does_not_take_the_provider_from_all() {
    let mut fleet = Fleet::new(4);
    let (mut served, mut asked) = (0, 0);
    for step in 0..40_000 {
        fleet.now += Duration::from_millis(25);
        let at = step % 4;
        // The first cannot reach it, whatever it tries.
        let called = fleet.call(at, at != 0);
        if at != 0 {
            asked += 1;
            served += u32::from(called);
        }
    }
    // A thousand seconds, and of those one first rest.
    let share = f64::from(served) / f64::from(asked);
    assert!(share > 0.99, "{share}");
}

#[test]
fn a_probe_of_anybody_closes_for_all_and_what_happened_before_it_opens_nothing() {
    let mut fleet = Fleet::new(3);
    while fleet.call(0, false) {}
    let old = fleet.all[0].breaker_fact(0).unwrap();
    fleet.now += REST;
    assert!(fleet.call(1, true));
    for condition in &mut fleet.all {
        assert_eq!(condition.shown(fleet.now).state, State::Closed);
        assert!(!condition.hear(&old, fleet.now), "it is older than the probe");
        assert!(condition.admit(fleet.now).is_some());
    }
    assert!(fleet.all[2].untold().breaker || fleet.all[1].untold().breaker, "whoever told it is told better");
}
