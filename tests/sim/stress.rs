//! The same gateway on several threads and in real time: what a paused clock on one thread cannot
//! show, such as a wake-up that is lost between two of them. Nothing here sleeps.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::{JoinSet, yield_now};

use crate::answer::{Api, read_body, read_events};
use crate::provider::{Asked, Last, Script};
use crate::settings::Settings;
use crate::world::{Ask, End, World};

const CLIENTS: u64 = 2000;
/// Longer than it can take: a lost wake-up would last forever.
const LONGEST: Duration = Duration::from_secs(60);

/// Most answers are whole; every seventh stream is cut.
fn script(asked: &Asked) -> Script {
    let words = 3 + usize::try_from(asked.number % 9).unwrap();
    let script = Script::answer(asked, words);
    if asked.number % 7 == 3 && script.events { script.cut(2, Last::End) } else { script }
}

/// Asks, perhaps hangs up, and checks what was heard. Gives whether all of it was.
async fn client(world: Arc<World>, seed: u64) -> bool {
    let mut chance = StdRng::seed_from_u64(seed);
    let api = [Api::Chat, Api::Messages, Api::Generate][chance.random_range(0..3)];
    let ask = Ask { api, stream: chance.random_bool(0.5), ..Ask::chat(chance.random_range(0..6)) };
    let ask = ask.by(["c0", "c1"][chance.random_range(0..2)]);
    for _ in 0..chance.random_range(0..20) {
        yield_now().await;
    }
    let patience = chance.random_bool(0.2).then(|| chance.random_range(0..12));
    let heard = tokio::select! {
        biased;
        heard = world.ask(ask.clone()) => heard,
        () = turns(patience) => return false,
    };
    if heard.status != 200 || matches!(heard.end, End::Broken(_)) {
        return false;
    }
    let read = if ask.stream { read_events(api, &heard.body).ok() } else { read_body(api, &heard.body) };
    let said = read.filter(|said| said.finished && said.closed && said.error.is_none());
    let said = said.unwrap_or_else(|| panic!("no whole answer: {}", heard.text()));
    let record = &world.provider.record(said.call.unwrap());
    assert!(record.script.complete, "an answer that was cut: {record:?}");
    assert_eq!(said.text, record.script.mark.text());
    assert_eq!((&record.asked.credential, record.asked.prompt), (&ask.credential, ask.prompt));
    true
}

/// So many turns of the scheduler; forever where there is no number.
async fn turns(number: Option<u32>) {
    match number {
        Some(number) => {
            for _ in 0..number {
                yield_now().await;
            }
        }
        None => std::future::pending().await,
    }
}

async fn stress(settings: Settings) {
    let world = World::new(&settings.yaml(), script);
    let mut clients = JoinSet::new();
    for seed in 0..CLIENTS {
        clients.spawn(client(world.clone(), seed));
        if seed % 50 == 0 {
            world.kept.tiers.purge(pareto::cache::Purge::default());
            yield_now().await;
        }
        if seed % 500 == 0 {
            world.reload(&settings.yaml());
        }
    }
    let ended = tokio::time::timeout(LONGEST, clients.join_all()).await;
    let whole = ended.expect("a request without an end").into_iter().filter(|whole| *whole).count();
    assert!(whole > 500, "only {whole} answers were heard: this shows little");
    let rest = async {
        while !world.unrest().is_empty() {
            yield_now().await;
        }
    };
    assert!(tokio::time::timeout(LONGEST, rest).await.is_ok(), "{:?}", world.unrest());
    let clients = CLIENTS as f64;
    assert_eq!(world.metric("requests_total", ""), clients);
    assert!(world.provider.calls() as u64 <= CLIENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_threads_lose_no_request_and_cross_no_scope() {
    stress(Settings::plain()).await;
    stress(Settings { abandoned: "finish", max_waiters: 3, ..Settings::plain() }).await;
    stress(Settings { cache: "off", ..Settings::plain() }).await;
}
