//! What rules cost: CPU of finding that none of so many holds, by what they are told apart by; and of
//! patterns that are made to be slow, against messages that are.
//!
//! `cargo bench --bench rules`

#![allow(
    clippy::print_stdout,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it prints a table, and has no input but its own"
)]

mod measure;

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method};
use pareto::request::endpoint::Endpoint;
use pareto::rules::{Asked, Rules};
use serde_json::json;

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

/// Patterns that keep other engines busy for years, and those that make this one's states many.
const BOMBS: [&str; 9] = [
    "(a+)+$",
    "(a|a)*#",
    "(.*)*x",
    r"^(\w+\s?)*$",
    r"(\d+|\pL+|\s+)*#",
    "a{1000}b",
    "a.{0,300}#",
    r"\b\pL{3,20}#",
    "[ab]{0,1000}#",
];

/// Messages of KiB.
const SIZES: [usize; 5] = [4, 8, 16, 32, 1024];

/// Rounds of a message that takes milliseconds.
const LONG_ROUNDS: usize = 3;

fn main() {
    println!("| rules | 1,000 | 10,000 |");
    println!("|---|---:|---:|");
    for (name, when) in KINDS {
        let took = [1_000, 10_000].map(|count| measure::micros(evaluation(&rules(count, when))));
        println!("| {name} | {} | {} |", took[0], took[1]);
    }
    println!("\n| pattern, µs per KiB of a message of | 4 KiB | 8 KiB | 16 KiB | 32 KiB | 1 MiB |");
    println!("|---|---:|---:|---:|---:|---:|");
    for bomb in BOMBS {
        let rules = made(&format!(
            "rules: [{{name: r, when: {{last_message: {{matches: '{bomb}'}}}}, then: {{tag: t}}}}]"
        ));
        let took = SIZES.map(|size| {
            let body = json!({"messages": [{"role": "user", "content": hostile(size * 1024)}]}).to_string();
            let took =
                measure::least(LONG_ROUNDS, 1, || evaluate(&rules, &HeaderMap::new(), body.as_bytes()));
            format!("{:.1}", took.as_secs_f64() * 1e6 / size as f64)
        });
        println!("| `{}` | {} |", bomb.replace('|', "\\|"), took.join(" | "));
    }
}

/// A text in which no place is like the one before it, so that the engine's cache is of no use.
fn hostile(bytes: usize) -> String {
    let mut state = 1_u32;
    let letters = std::iter::repeat_with(|| {
        // Numerical Recipes' generator: its high bits are the random ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 31 == 0 { 'a' } else { 'b' }
    });
    letters.take(bytes - 1).chain(['!']).collect()
}

fn rules(count: usize, when: fn(usize) -> String) -> Rules {
    let mut text = String::from("rules:\n");
    for number in 0..count {
        let _ = writeln!(text, "  - {{name: r{number}, when: {{{}}}, then: {{tag: t}}}}", when(number));
    }
    made(&text)
}

fn made(text: &str) -> Rules {
    Rules::new(&measure::config(text).rules).unwrap()
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
    measure::least(ROUNDS, EVALUATIONS, || (0..EVALUATIONS).for_each(|_| evaluate(rules, &headers, body)))
}

/// Finds that no rule holds.
fn evaluate(rules: &Rules, headers: &HeaderMap, body: &[u8]) {
    let case = rules.case(Asked {
        endpoint: Some(Endpoint::Chat),
        method: &Method::POST,
        path: "/v1/chat/completions",
        headers,
        tenant: "acme",
        model: Some("gpt-4o"),
        stream: false,
        body: Some(body),
        now: UNIX_EPOCH,
    });
    assert!(black_box(case.holding().next()).is_none());
}
