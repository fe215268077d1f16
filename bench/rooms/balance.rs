//! How well weights are kept: who is asked first by 10,000 requests, and what choosing costs.
//!
//! `cargo bench --bench balance`

#![allow(clippy::print_stdout, clippy::panic, reason = "it prints a table, and has no input but its own")]

mod measure;

use std::hint::black_box;
use std::sync::Arc;

use pareto::request::endpoint::Family;
use pareto::route::health::Healths;
use pareto::route::needs::Needs;
use pareto::route::{Criteria, Route, Router};
use tokio::time::Instant;

const REQUESTS: u32 = 10_000;
const ROUNDS: usize = 10;
const WEIGHTS: [&[u32]; 5] = [&[1, 1], &[3, 1], &[7, 2, 1], &[1, 1, 1, 1, 1], &[97, 2, 1]];

fn main() {
    println!(
        "| weights | asked first, of {REQUESTS} | error of a share at the end | farthest from its due on the way | a choice |"
    );
    println!("|---|---|---:|---:|---:|");
    for weights in WEIGHTS {
        let route = route(weights);
        let total = f64::from(weights.iter().sum::<u32>());
        let (mut counts, mut farthest) = (vec![0_u32; weights.len()], 0.0_f64);
        let error = |count: u32, weight: u32, asked: u32| {
            (f64::from(count) - f64::from(asked) * f64::from(weight) / total).abs()
        };
        for asked in 1..=REQUESTS {
            counts[first(&route)] += 1;
            let worst = counts.iter().zip(weights).map(|(count, weight)| error(*count, *weight, asked));
            farthest = worst.fold(farthest, f64::max);
        }
        let worst = counts.iter().zip(weights).map(|(count, weight)| error(*count, *weight, REQUESTS));
        let worst = worst.fold(0.0, f64::max) / f64::from(REQUESTS) * 100.0;
        let choice = measure::least(ROUNDS, REQUESTS, || {
            for _ in 0..REQUESTS {
                black_box(first(&route));
            }
        });
        println!(
            "| {weights:?} | {counts:?} | {worst:.3} % | {farthest:.2} requests | {} |",
            measure::micros(choice)
        );
    }
}

fn route(weights: &[u32]) -> Arc<Route> {
    let numbered = || weights.iter().enumerate();
    let targets: Vec<_> =
        numbered().map(|(at, weight)| format!("{{provider: p{at}, weight: {weight}}}")).collect();
    let providers: Vec<_> =
        numbered().map(|(at, _)| format!("p{at}: {{url: \"https://p{at}.test/v1\"}}")).collect();
    let config = measure::config(&format!(
        "providers: {{{}}}\nroutes: [{{models: [\"*\"], targets: [{}]}}]",
        providers.join(", "),
        targets.join(", ")
    ));
    let router = Router::new(&config, &Healths::default(), Instant::now());
    router.route(Family::OpenAi, Some("m")).unwrap_or_else(|| panic!("a route for all models")).clone()
}

/// Who is asked first.
fn first(route: &Arc<Route>) -> usize {
    let now = Instant::now();
    let criteria = Criteria { obstacle: &|_| None, price: &|_| None, now };
    let course = route.plot(Needs::default, &criteria);
    let target = course.unwrap_or_else(|_| panic!("all can serve it")).first(now).target;
    target.name[1..].parse().unwrap_or_else(|_| panic!("a number"))
}
