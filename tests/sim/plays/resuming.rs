//! Streams that break off at random and go on elsewhere: each still has one end, within one budget and one
//! deadline, and every call is settled once.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::failing::draw;
use super::failover::three;
use super::s;
use crate::answer::read_events;
use crate::provider::Asked;
use crate::settings::TOTAL;
use crate::world::{Ask, End, World};

const BUDGET: usize = 4;
const REQUESTS: u32 = 400;

async fn storm(seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let scripts = Mutex::new(StdRng::seed_from_u64(seed ^ 0x5eed));
    let target = |name| format!("{{provider: {name}, takes: {{prefill: true}}}}");
    let route = format!(
        "targets: [{}, {}], fallbacks: [{}], resume: true, retries: {{attempts: {BUDGET}}}",
        target("a"),
        target("b"),
        target("c")
    );
    let world = World::new(&three(&route), move |asked: &Asked| draw(&mut scripts.lock().unwrap(), asked));
    let mut clients = JoinSet::new();
    for prompt in 0..REQUESTS {
        let ask = Ask { usage: true, ..Ask::chat(prompt).streamed() };
        let leaves = chance.random_bool(0.1);
        let patience = if leaves { Duration::from_millis(chance.random_range(0..3000)) } else { s(600) };
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
    let mut broken = 0;
    for (ask, heard) in &stories {
        let Some(heard) = heard else { continue };
        assert!(heard.ended - heard.started <= s(TOTAL), "{ask:?} seed {seed}");
        if heard.status != 200 {
            continue;
        }
        let said = read_events(ask.api, &heard.body).unwrap_or_else(|what| panic!("{what}, seed {seed}"));
        let whole = said.finished && said.closed && said.error.is_none();
        let cut = !said.closed && said.error.is_some();
        assert!(if heard.end == End::Clean { whole } else { cut }, "{ask:?} {} seed {seed}", heard.text());
        // Not gone on with: what has no rest but its end, what has spent its budget, and the one attempt that
        // is made although every breaker is open.
        broken += usize::from(cut && !said.finished && (2..BUDGET).contains(&calls[&ask.prompt]));
    }
    // Three targets may all refuse the same rest.
    assert!(broken * 100 < stories.len(), "{broken} of {} could have gone on, seed {seed}", stories.len());
    assert!(world.metric("resumed_total", "") > 10.0, "this shows little, seed {seed}");
    assert_eq!(world.metric("attempts_total", ""), log.len() as f64, "each settled once, seed {seed}");
    assert_eq!(world.unrest(), Vec::<String>::new(), "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn streams_that_break_off_at_random_have_one_end_each_within_budget_and_deadline() {
    for seed in [1, 2] {
        storm(seed).await;
    }
    storm(rand::random()).await;
}
