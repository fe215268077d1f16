//! Streams that break off at random and go on elsewhere: each still has one end, within one budget and one
//! deadline, and every call is settled once.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::crowd::{calls, crowd, world};
use super::s;
use crate::answer::read_events;
use crate::settings::TOTAL;
use crate::world::{Ask, End};

const BUDGET: usize = 4;
const REQUESTS: u32 = 400;

async fn storm(seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let target = |name| format!("{{provider: {name}, takes: {{prefill: true}}}}");
    let route = format!(
        "targets: [{}, {}], fallbacks: [{}], resume: true, retries: {{attempts: {BUDGET}}}",
        target("a"),
        target("b"),
        target("c")
    );
    let world = world(seed, &route);
    let ask = |_: &mut StdRng, prompt| Ask { usage: true, ..Ask::chat(prompt).streamed() };
    let stories = crowd(&world, &mut chance, REQUESTS, ask).await;
    let log = world.provider.log();
    let calls = calls(&log);
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
