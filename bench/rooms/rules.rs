//! What rules cost: CPU of finding that none of so many holds, by what they are told apart by.
//!
//! `cargo bench --bench rules`

#![allow(
    clippy::print_stdout,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it prints a table, and has no input but its own"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method};
use pareto::config::{Config, Environment};
use pareto::request::endpoint::Endpoint;
use pareto::rules::{Asked, Rules};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Evaluations of one round; of several rounds the cheapest is told.
const EVALUATIONS: u32 = 200;
const ROUNDS: usize = 15;

/// A kind of rule, by its number.
type Kind = (&'static str, fn(usize) -> String);

const KINDS: [Kind; 7] = [
    ("texts", |n| format!("last_message: {{one_of: [text {n}, question {n}]}}")),
    ("patterns", |n| format!("last_message: {{matches: '(?i)^order {n} (is|was) late'}}")),
    ("globs of tenants", |n| format!("tenant: ['shop-{n}-*', '*-team-{n}']")),
    ("globs of headers", |n| format!("header: {{x-team: 'team-{n}-*'}}")),
    ("globs of models", |n| format!("model: 'model-{n}-*'")),
    ("conversation length", |n| {
        format!("conversation: {{longer_than: {}}}, has: {{tools: false}}", 100_000 + n)
    }),
    ("all of these in turn", |n| KINDS[n % 6].1(n)),
];

fn main() {
    println!("| rules | 1,000 | 10,000 |");
    println!("|---|---:|---:|");
    for (name, when) in KINDS {
        let took = [1_000, 10_000]
            .map(|count| format!("{:.2} µs", evaluation(&rules(count, when)).as_secs_f64() * 1e6));
        println!("| {name} | {} | {} |", took[0], took[1]);
    }
}

fn rules(count: usize, when: fn(usize) -> String) -> Rules {
    let mut text = String::from("rules:\n");
    for number in 0..count {
        let _ = writeln!(text, "  - {{name: r{number}, when: {{{}}}, then: {{tag: t}}}}", when(number));
    }
    let config =
        Config::load(&text, &Environment::fixed(&[], &[])).unwrap_or_else(|found| panic!("{found:?}"));
    Rules::new(&config.rules).unwrap()
}

/// The CPU time of one request's evaluation, its body read once in it: the first evaluations, which fill
/// the automata, are not counted.
fn evaluation(rules: &Rules) -> Duration {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("authorization", "Bearer sk-1234567890"),
        ("user-agent", "OpenAI/Python 2.8.1"),
        ("x-team", "team-x-1"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let body = br#"{"model":"gpt-4o","messages":[{"role":"user","content":"Where is the parcel that I ordered last Tuesday?"}]}"#;
    let evaluate = || {
        let case = rules.case(Asked {
            endpoint: Some(Endpoint::Chat),
            method: &Method::POST,
            path: "/v1/chat/completions",
            headers: &headers,
            tenant: "acme",
            model: Some("gpt-4o"),
            stream: false,
            body: Some(body),
            now: UNIX_EPOCH,
        });
        assert!(black_box(case.holding().next()).is_none());
    };
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..EVALUATIONS {
            evaluate();
        }
        least = least.min(started.elapsed() / EVALUATIONS);
    }
    least
}
