//! What limits cost: CPU of one admission (reserved, departed, settled), bytes of a tenant, and those
//! that wait.
//!
//! `cargo bench --bench limits`

#![allow(
    clippy::print_stdout,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it prints a table, and has no input but its own"
)]

mod measure;

use std::borrow::Cow;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pareto::config::limit::{Limit, Measure};
use pareto::io::clock::Clock;
use pareto::limits::book::Book;
use pareto::limits::fair::Urgency;
use pareto::limits::ledger::{Amounts, Claim, LimitId, Subject};
use pareto::limits::{Ask, Limits};

/// Admissions of one round; of several rounds the cheapest is told.
const ADMISSIONS: u32 = 20_000;
const ROUNDS: usize = 15;
const TENANTS: usize = 100_000;
const WAITERS: usize = 10_000;

type Rules = Vec<(LimitId, Arc<Limit>)>;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    println!("| | |");
    println!("|---|---|");
    runtime.block_on(async {
        for count in [0, 1, 10, 1000] {
            let took = admission(count).await;
            println!("| admission with {count} limits that apply | {} |", measure::micros(took));
        }
        tenants().await;
        waiters().await;
    });
}

fn force(text: &str) -> (Arc<Limits>, Rules) {
    let (sender, _) = tokio::sync::mpsc::channel(1);
    let limits = Limits::new(Arc::new(Book::new(Clock::system(), sender, 7)));
    let rules = limits.adopt(&measure::config(text).limits);
    (limits, rules)
}

/// So many limits of requests and tokens that all apply, none of them ever reached.
fn many(count: usize) -> String {
    let mut text = String::from("limits:\n");
    for number in 0..count {
        let _ = writeln!(text, "  - {{name: l{number}, per: tenant, requests: 1G/min, tokens: 1G/day}}");
    }
    if count == 0 { String::new() } else { text }
}

fn ask<'a>(rules: &Rules, tenant: &'a str, amounts: Amounts) -> Ask<'a> {
    let claims = rules.iter().map(|(limit, rule)| Claim {
        limit: *limit,
        // One count for all of them, where a limit counts nobody apart.
        subject: Subject::of(Cow::Borrowed(if rule.per.is_empty() { "" } else { tenant }), 7),
        amounts,
    });
    Ask { claims: claims.collect(), tenant, urgency: Urgency::default() }
}

async fn admission(count: usize) -> Duration {
    let (limits, rules) = force(&many(count));
    let amounts = Amounts::consumed(100, 100, 0).with(Measure::Requests, 1);
    let times = if count > 100 { ADMISSIONS / 100 } else { ADMISSIONS };
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..times {
            let Ok(mut permit) = limits.admit(&ask(&rules, "acme", amounts)).await else { panic!("refused") };
            permit.depart();
            permit.attempt().settle(&Amounts::consumed(90, 50, 0));
            black_box(&permit);
        }
        best = best.min(began.elapsed() / times);
    }
    best
}

/// Bytes the process holds, as the kernel counts them.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

async fn tenants() {
    let (limits, rules) = force("limits: [{per: tenant, requests: 60/min, tokens: 200k/min, usd: 5/day}]");
    let before = resident();
    for number in 0..TENANTS {
        let name = format!("tenant-{number:06}");
        let amounts = Amounts::consumed(10, 10, 10).with(Measure::Requests, 1);
        let Ok(permit) = limits.admit(&ask(&rules, &name, amounts)).await else { panic!("refused") };
        permit.depart();
    }
    println!(
        "| bytes for each of {TENANTS} tenants, three counts each | {} |",
        (resident() - before) / TENANTS
    );
}

/// As many tenants as wait, each with one request.
async fn waiters() {
    let (limits, rules) = force(&format!("limits: [{{concurrent: 1, wait: 1h, max_waiting: {WAITERS}}}]"));
    let amounts = Amounts::NONE.with(Measure::Concurrent, 1);
    let Ok(first) = limits.admit(&ask(&rules, "first", amounts)).await else { panic!("refused") };
    let before = resident();
    let mut tasks = tokio::task::JoinSet::new();
    let began = Instant::now();
    for number in 0..WAITERS {
        let (limits, rules) = (limits.clone(), rules.clone());
        tasks.spawn(async move {
            let tenant = format!("tenant-{number}");
            limits.admit(&ask(&rules, &tenant, amounts)).await.is_ok()
        });
    }
    while limits.waiting() < WAITERS {
        tokio::task::yield_now().await;
    }
    let each = |began: Instant| measure::micros(began.elapsed() / WAITERS as u32);
    println!("| going to wait, for each of {WAITERS} | {} |", each(began));
    println!("| bytes for each of them, its task included | {} |", (resident() - before) / WAITERS);
    let began = Instant::now();
    for number in 0..WAITERS {
        let tenant = format!("late-{number}");
        assert!(limits.admit(&ask(&rules, &tenant, amounts)).await.is_err());
    }
    println!("| turning away each of {WAITERS} more | {} |", each(began));
    let began = Instant::now();
    drop(first);
    assert!(tasks.join_all().await.into_iter().all(|served| served));
    println!("| serving each of them, one after the other | {} |", each(began));
}
