//! The pure rules of routing against simple models: smooth weights, the breaker.

use std::sync::Arc;
use std::time::Duration;

use pareto::config::{Config, Environment};
use pareto::request::endpoint::Family;
use pareto::route::breaker::{
    Admission, Breaker, FEWEST, IN_A_ROW, LONGEST_REST, PROBE, REST, SHARE, State, WINDOW,
};
use pareto::route::health::Healths;
use pareto::route::needs::Needs;
use pareto::route::{Criteria, Route, Router};
use proptest::prelude::*;
use tokio::time::Instant;

fn route(weights: &[u32]) -> Arc<Route> {
    let targets: Vec<_> =
        (0..weights.len()).map(|at| format!("{{provider: p{at}, weight: {}}}", weights[at])).collect();
    let providers: Vec<_> =
        (0..weights.len()).map(|at| format!("p{at}: {{url: \"https://p{at}.test/v1\"}}")).collect();
    let file = format!(
        "providers: {{{}}}\nroutes: [{{models: [\"*\"], targets: [{}]}}]",
        providers.join(", "),
        targets.join(", ")
    );
    let config = Config::load(&file, &Environment::fixed(&[], &[])).unwrap();
    let router = Router::new(&config, &Healths::default(), Instant::now());
    router.route(Family::OpenAi, Some("m")).unwrap().clone()
}

/// Who is asked first, so many times in a row.
fn firsts(route: &Arc<Route>, times: usize) -> Vec<usize> {
    let now = Instant::now();
    let first = |_| {
        let criteria = Criteria { obstacle: &|_| None, price: &|_| None, now };
        let mut course = route.plot(Needs::default, &criteria).unwrap();
        let name = course.first(now).target.name.clone();
        name[1..].parse().unwrap()
    };
    (0..times).map(first).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Over any stretch of 10,000 requests no target is ever more than one request per other target away
    /// from its share, and no stretch of one target is longer than its weight makes unavoidable.
    #[test]
    fn weights_are_kept_exactly_and_smoothly(weights in prop::collection::vec(1..20_u32, 1..6)) {
        let route = route(&weights);
        let total: u32 = weights.iter().sum();
        let mut counts = vec![0_u32; weights.len()];
        for (asked, first) in firsts(&route, 10_000).into_iter().enumerate() {
            counts[first] += 1;
            for (count, weight) in counts.iter().zip(&weights) {
                let due = (asked + 1) as f64 * f64::from(*weight) / f64::from(total);
                prop_assert!((f64::from(*count) - due).abs() <= weights.len() as f64, "{counts:?} {weights:?}");
            }
        }
    }
}

/// The breaker, written down as slowly and plainly as can be.
struct Model {
    begun: Instant,
    calls: Vec<(u128, bool)>,
    in_a_row: u32,
    open: Option<(Instant, u32)>,
    probing: Option<Instant>,
}

impl Model {
    fn slice(&self, now: Instant) -> u128 {
        (now - self.begun).as_millis() / (WINDOW.as_millis() / 10)
    }

    fn admits(&self, now: Instant) -> bool {
        match (self.open, self.probing) {
            (_, Some(since)) => now >= since + PROBE,
            (Some((until, _)), None) => now >= until,
            (None, None) => true,
        }
    }

    fn call(&mut self, ok: bool, now: Instant) {
        let slice = self.slice(now);
        if let Some((_, rests)) = self.open {
            self.probing = None;
            if ok {
                *self = Self {
                    begun: self.begun,
                    calls: vec![(slice, true)],
                    in_a_row: 0,
                    open: None,
                    probing: None,
                };
            } else {
                let rest = REST.saturating_mul(1 << (rests + 1).min(16)).min(LONGEST_REST);
                self.open = Some((now + rest, rests + 1));
            }
            return;
        }
        self.calls.push((slice, ok));
        self.in_a_row = if ok { 0 } else { self.in_a_row + 1 };
        let recent: Vec<_> = self.calls.iter().filter(|(then, _)| then + 10 > slice).collect();
        let failures = recent.iter().filter(|(_, ok)| !ok).count() as u32;
        let calls = recent.len() as u32;
        let share = calls >= FEWEST && failures * 100 >= calls * SHARE;
        if !ok && (share || self.in_a_row >= IN_A_ROW) {
            self.open = Some((now + REST, 0));
        }
    }
}

proptest! {
    #[test]
    fn the_breaker_does_what_its_model_does(
        steps in prop::collection::vec((0..9_000_u64, any::<bool>(), 0..20_u8), 1..300),
        bias in any::<bool>(),
    ) {
        let begun = Instant::now();
        let mut now = begun;
        let mut breaker = Breaker::new(begun);
        let mut model = Model { begun, calls: Vec::new(), in_a_row: 0, open: None, probing: None };
        for (pause, ok, kind) in steps {
            now += Duration::from_millis(pause / if bias { 30 } else { 1 });
            let admission = breaker.admit(now);
            prop_assert_eq!(!matches!(admission, Admission::Refused(_)), model.admits(now));
            let probe = admission == Admission::Probe;
            if matches!(admission, Admission::Refused(_)) {
                prop_assert_ne!(breaker.state(now), State::Closed);
                continue;
            }
            prop_assert_eq!(probe, model.open.is_some());
            if probe {
                model.probing = Some(now);
                prop_assert!(matches!(breaker.admit(now), Admission::Refused(_)), "one probe at a time");
            }
            match kind {
                // What is never heard of again keeps its place until it is given up.
                0 if probe => {}
                1 => {
                    breaker.forgotten(probe, now);
                    if probe {
                        model.probing = None;
                        model.open = model.open.map(|(_, rests)| (now, rests));
                    }
                }
                _ if ok => {
                    breaker.succeeded(probe, now);
                    model.call(true, now);
                }
                _ => {
                    breaker.failed(probe, now);
                    model.call(false, now);
                }
            }
        }
    }
}
