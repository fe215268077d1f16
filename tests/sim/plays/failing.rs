//! Three providers that fail at random, drawn from one seed: every request has one answer, no request
//! more attempts than its budget, and every attempt is settled once.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use pareto::io::upstream::Fault;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::failover::three;
use super::s;
use crate::answer::{read_body, read_events};
use crate::provider::{Asked, Fate, Last, Script};
use crate::world::{Ask, End, World};

const BUDGET: usize = 4;
const REQUESTS: u32 = 600;

pub fn draw(chance: &mut StdRng, asked: &Asked) -> Script {
    let words = chance.random_range(2..12);
    let mut script = Script::answer(asked, words).after(Duration::from_millis(chance.random_range(0..800)));
    for (pause, _) in &mut script.pieces {
        *pause = Duration::from_millis(chance.random_range(0..100));
    }
    let pieces = chance.random_range(0..script.pieces.len());
    match chance.random_range(0..20) {
        0 => script.refused(Fault::Connect),
        1 => script.refused(Fault::Closed),
        2 => script.after(s(21)),
        3 => script.status(503),
        4 => script.status(429),
        5 => script.status(400),
        6 => script.cut(pieces, Last::Fault(Fault::Cut)),
        7 => script.cut(pieces, Last::Silence),
        8 => script.cut(0, Last::End),
        9 => script.status(500),
        _ => script,
    }
}

async fn storm(seed: u64, balance: &str) {
    let mut chance = StdRng::seed_from_u64(seed);
    let scripts = Mutex::new(StdRng::seed_from_u64(seed ^ 0x5eed));
    let route = format!(
        "targets: [{{provider: a, weight: 2}}, {{provider: b}}], fallbacks: [{{provider: c}}], balance: {balance}, \
         retries: {{attempts: {BUDGET}}}, hedge: {{after: 2s}}"
    );
    let world = World::new(&three(&route), move |asked: &Asked| draw(&mut scripts.lock().unwrap(), asked));
    let mut clients = JoinSet::new();
    for prompt in 0..REQUESTS {
        let ask = Ask { stream: chance.random_bool(0.5), usage: true, ..Ask::chat(prompt) };
        let patience = if chance.random_bool(0.1) {
            Duration::from_millis(chance.random_range(0..3000))
        } else {
            s(600)
        };
        let world = world.clone();
        clients.spawn(async move { (ask.clone(), timeout(patience, world.ask(ask)).await.ok()) });
        sleep(Duration::from_millis(chance.random_range(0..200))).await;
    }
    let stories = clients.join_all().await;
    sleep(s(120)).await;
    let log = world.provider.log();
    let mut calls: HashMap<u32, usize> = HashMap::new();
    log.iter().for_each(|record| *calls.entry(record.asked.prompt).or_default() += 1);
    assert!(calls.values().all(|calls| *calls <= BUDGET), "over the budget, seed {seed}");
    let mut served = 0;
    for (ask, heard) in &stories {
        let Some(heard) = heard else { continue };
        let attempts: usize = heard.header("x-pareto-attempts").parse().unwrap();
        assert_eq!(attempts, calls[&ask.prompt], "{ask:?} seed {seed}");
        if heard.status != 200 || matches!(heard.end, End::Broken(_)) {
            continue;
        }
        served += 1;
        let said =
            if ask.stream { read_events(ask.api, &heard.body).ok() } else { read_body(ask.api, &heard.body) };
        let said = said.unwrap();
        let call = usize::try_from(said.call.unwrap()).unwrap();
        let record = &log[call];
        assert_eq!((record.asked.prompt, record.fate), (ask.prompt, Fate::Delivered), "seed {seed}");
        assert_eq!(heard.header("x-pareto-provider"), &record.asked.host[..1], "seed {seed}");
    }
    assert!(served * 10 > stories.len() * 7, "{served} of {} were served, seed {seed}", stories.len());
    assert_eq!(world.unrest(), Vec::<String>::new(), "seed {seed}");
    assert_eq!(world.metric("attempts_total", ""), log.len() as f64, "each settled once, seed {seed}");
    let whole = log.iter().filter(|record| record.fate == Fate::Delivered && record.script.complete);
    let output: usize = whole.map(|record| record.script.mark.words).sum();
    assert_eq!(world.metric("tokens_total", "kind=\"output\""), output as f64, "money, seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn with_providers_that_fail_at_random_each_request_has_one_answer_within_its_budget() {
    for (seed, balance) in [(1, "weighted"), (2, "least_busy"), (3, "fastest"), (4, "cheapest")] {
        storm(seed, balance).await;
    }
    storm(rand::random(), "weighted").await;
}
