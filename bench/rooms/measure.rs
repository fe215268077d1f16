//! What the measurements of single rooms have in common.

use std::time::{Duration, Instant};

use pareto::config::{Config, Environment};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A configuration of these sections.
#[allow(dead_code, reason = "not every room is set up by a file")]
pub fn config(sections: &str) -> Config {
    Config::load(sections, &Environment::fixed(&[], &[])).unwrap_or_else(|found| panic!("{found:?}"))
}

/// The time one of `units` takes in `work`, which does them all: of several rounds the cheapest.
#[allow(dead_code, reason = "some rooms wait while they are measured")]
pub fn least(rounds: usize, units: u32, mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    (0..rounds).map(round).min().unwrap_or_default() / units
}

/// A time in a table.
pub fn micros(time: Duration) -> String {
    format!("{:.2} µs", time.as_secs_f64() * 1e6)
}
