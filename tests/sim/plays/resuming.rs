//! Streams that break off at random and go on elsewhere: each still has one end, within one budget and one
//! deadline, and every call is settled once.

use std::time::Duration;

use bytes::Bytes;
use pareto::io::upstream::Fault;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::crowd::{calls, crowd, world};
use super::s;
use crate::answer::{Api, read_events};
use crate::provider::{Asked, Last, Script};
use crate::settings::TOTAL;
use crate::world::{Ask, End, World};

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

/// A stream that says these texts and finishes.
fn says(asked: &Asked, texts: &[&str]) -> Script {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"id": "id-1", "created": 1, "model": "m", "choices": [choice]}))
    };
    let texts = texts.iter().map(|text| chunk(json!({"content": text}), Value::Null));
    let events = texts.chain([chunk(json!({}), "stop".into()), "data: [DONE]\n\n".into()]);
    let mut script = Script::answer(asked, 1);
    script.pieces = events.map(|event| (Duration::ZERO, Bytes::from(event))).collect();
    script
}

#[tokio::test(start_paused = true)]
async fn each_server_is_asked_in_its_own_words_and_what_it_says_again_is_left_out() {
    let last = |mark: &str| json!({"role": "assistant", "content": "one two", mark: true});
    let plain = json!({"role": "assistant", "content": "one two"});
    type Row = (&'static str, Value, Value, &'static [&'static str]);
    let rows: [Row; 4] = [
        ("api.mistral.ai/v1", last("prefix"), json!({}), &["one two", " three"]),
        ("api.mistral.ai/v1", last("prefix"), json!({}), &["one", " two th", "ree"]),
        ("api.deepseek.com/beta", last("prefix"), json!({"thinking": {"type": "disabled"}}), &[" three"]),
        (
            "vllm.test/v1",
            plain,
            json!({"continue_final_message": true, "add_generation_prompt": false}),
            &[" three"],
        ),
    ];
    for (base, last, more, texts) in rows {
        let config = format!(
            "providers: {{a: {{url: \"https://a.test/v1\", keys: [k]}}, rest: {{url: \"https://{base}\", keys: [k]}}}}\n\
             routes: [{{models: [\"*\"], targets: [{{provider: a}}], resume: true, \
             fallbacks: [{{provider: rest, model: other, takes: {{prefill: true}}}}]}}]\n"
        );
        let world = World::new(&config, move |asked: &Asked| match &*asked.host {
            "a.test" => says(asked, &["one", " two "]).cut(2, Last::Fault(Fault::Cut)),
            _ => says(asked, texts),
        });
        let heard = world.ask(Ask::chat(1).streamed()).await;
        let said = read_events(Api::Chat, &heard.body).unwrap();
        assert_eq!((said.text.as_str(), heard.end), ("one two three", End::Clean), "{base}");
        let asked: Value = serde_json::from_slice(&world.provider.record(1).asked.body).unwrap();
        assert_eq!(asked["messages"][1], last, "{base}");
        let more = more.as_object().unwrap();
        assert!(more.iter().all(|(name, value)| asked[name] == *value), "{base}: {asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn deepseek_is_asked_to_go_on_only_at_its_beta_address() {
    for (base, end) in [("beta", End::Clean), ("v1", End::Broken("pareto_upstream_failed"))] {
        let config = format!(
            "providers: {{a: {{url: \"https://a.test/v1\", keys: [k]}}, \
             rest: {{url: \"https://api.deepseek.com/{base}\", keys: [k]}}}}\n\
             routes: [{{models: [\"*\"], targets: [{{provider: a}}], fallbacks: [{{provider: rest, model: m}}], resume: true}}]\n"
        );
        let world = World::new(&config, |asked: &Asked| match &*asked.host {
            "a.test" => says(asked, &["one"]).cut(1, Last::Fault(Fault::Cut)),
            _ => says(asked, &[" two"]),
        });
        let heard = world.ask(Ask::chat(1).streamed()).await;
        assert_eq!(heard.end, end, "{base}");
    }
}
