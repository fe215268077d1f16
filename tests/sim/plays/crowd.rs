//! A crowd of clients before providers that fail at random, all drawn from one seed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pareto::io::chance::Chance;
use pareto::io::upstream::Fault;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::failover::three;
use super::s;
use crate::provider::{Asked, Last, Record, Script};
use crate::world::{Ask, Heard, World};

/// Three providers behind `route` that fail at random.
pub fn world(seed: u64, route: &str) -> Arc<World> {
    let scripts = Mutex::new(StdRng::seed_from_u64(seed ^ 0x5eed));
    World::by(Chance::seeded(seed), &three(route), move |asked: &Asked| {
        draw(&mut scripts.lock().unwrap(), asked)
    })
}

fn draw(chance: &mut StdRng, asked: &Asked) -> Script {
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

/// What `requests` clients asked, one after the other, and what those heard who did not leave; told once
/// nothing is under way any more.
pub async fn crowd(
    world: &Arc<World>,
    chance: &mut StdRng,
    requests: u32,
    ask: impl Fn(&mut StdRng, u32) -> Ask,
) -> Vec<(Ask, Option<Heard>)> {
    let mut clients = JoinSet::new();
    for prompt in 0..requests {
        let ask = ask(chance, prompt);
        let leaves = chance.random_bool(0.1);
        let patience = if leaves { Duration::from_millis(chance.random_range(0..3000)) } else { s(600) };
        let world = world.clone();
        clients.spawn(async move { (ask.clone(), timeout(patience, world.ask(ask)).await.ok()) });
        sleep(Duration::from_millis(chance.random_range(0..200))).await;
    }
    let stories = clients.join_all().await;
    sleep(s(120)).await;
    stories
}

/// How often each prompt was asked of a provider.
pub fn calls(log: &[Record]) -> HashMap<u32, usize> {
    let mut calls = HashMap::new();
    log.iter().for_each(|record| *calls.entry(record.asked.prompt).or_default() += 1);
    calls
}
