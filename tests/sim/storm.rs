//! The storm: clients, faults, hang-ups, reloads and the passing of time, drawn from one seed.

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pareto::cache::Purge;
use pareto::gateway::Gateway;
use pareto::io::upstream::Fault;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::answer::Api;
use crate::check::{Case, most_at_once};
use crate::provider::{Asked, Fate, Last, Record, Script, error_body};
use crate::settings::{FIRST_BYTE, IDLE, Settings, TOTAL};
use crate::world::{Ask, Heard, World};

/// What kind of day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// The provider is slow but well, and nothing is reconfigured: sharing must be perfect.
    Calm,
    /// Everything goes wrong.
    Rough,
}

/// One client's story.
struct Story {
    ask: Ask,
    settings: Settings,
    /// `None`: it hung up.
    heard: Option<Heard>,
}

const CONTROLS: [&str; 8] = [
    "no-cache",
    "no-store",
    "only-if-cached",
    "max-age=3",
    "max-age=20",
    "min-fresh=4",
    "max-stale=30",
    "stale-if-error=60",
];

fn millis(chance: &mut StdRng, most: u64) -> Duration {
    Duration::from_millis(chance.random_range(0..=most))
}

fn draw_ask(chance: &mut StdRng, weather: Weather) -> Ask {
    let api =
        [Api::Chat, Api::Chat, Api::Messages, Api::Generate, Api::Embeddings][chance.random_range(0..5)];
    let caller = chance.random_range(0..4);
    // Two callers of one tenant, one of another, one without a name.
    let tenant = ["t0", "t0", "t1"].get(caller).map(|name| (*name).to_owned());
    let directed = weather == Weather::Rough && chance.random_bool(0.2);
    let slow = chance.random_bool(0.1);
    Ask {
        api,
        prompt: chance.random_range(0..5),
        stream: chance.random_bool(0.5),
        usage: chance.random_bool(0.3),
        credential: format!("Bearer c{caller}"),
        tenant,
        control: directed.then(|| CONTROLS[chance.random_range(0..CONTROLS.len())]),
        retries: u32::from(chance.random_bool(0.1)),
        pace: if slow { millis(chance, 800) } else { Duration::ZERO },
    }
}

/// What the provider does with a call.
fn draw_script(chance: &mut StdRng, asked: &Asked, weather: Weather) -> Script {
    let huge = !asked.stream && chance.random_bool(0.004);
    let words = if huge { 40_000 } else { chance.random_range(1..20) };
    let mut script = Script::answer(asked, words);
    if script.events && chance.random_bool(0.5) {
        rechunk(chance, &mut script, asked);
    } else if asked.stream && chance.random_bool(0.1) {
        // A provider that does not stream although asked to.
        script = Script::answer(&Asked { stream: false, ..asked.clone() }, words);
    }
    let pace = if chance.random_bool(0.2) { 2000 } else { 150 };
    script.wait = millis(chance, 3000);
    for (pause, _) in &mut script.pieces {
        *pause = millis(chance, pace);
    }
    if weather == Weather::Rough && chance.random_bool(0.4) { spoil(chance, script) } else { script }
}

/// Cuts a stream's bytes anywhere, with other line ends, comments between and padding inside.
fn rechunk(chance: &mut StdRng, script: &mut Script, asked: &Asked) {
    let line_end = if chance.random_bool(0.5) { "\r\n" } else { "\n" };
    let mut whole = String::new();
    for event in script.mark.events(asked.usage, line_end) {
        if chance.random_bool(0.1) {
            whole.push_str(": ping");
            whole.push_str(line_end);
            whole.push_str(line_end);
        }
        whole.push_str(&event);
    }
    let mut rest = Bytes::from(whole);
    script.pieces.clear();
    while !rest.is_empty() {
        let size = chance.random_range(1..400);
        // The last line end stays in one piece: once the last event is heard nobody waits for more.
        let size = if rest.len() < size + 4 { rest.len() } else { size };
        script.pieces.push((Duration::ZERO, rest.split_to(size)));
    }
}

fn spoil(chance: &mut StdRng, mut script: Script) -> Script {
    let before_the_end = chance.random_range(0..script.pieces.len());
    let call = script.mark.call;
    match chance.random_range(0..14) {
        0 => script.refused(Fault::Connect),
        1 => script.refused(Fault::Closed),
        2 => script.refused(Fault::ConnectTimeout),
        3 => script.after(Duration::from_secs(FIRST_BYTE + 1)).refused(Fault::Closed),
        4 | 5 => {
            let statuses = [429, 500, 529, 400, 401, 503];
            script.status(statuses[chance.random_range(0..statuses.len())])
        }
        6 => script.cut(before_the_end, Last::Fault(Fault::Cut)),
        7 => script.cut(before_the_end, Last::Silence),
        8 => halved(script, chance),
        9 if script.events => {
            let bad = (Duration::ZERO, Bytes::from_static(b"data: {\"choices\": [tru\n\n"));
            script = Script { pieces: whole_events(&script, chance), ..script }.cut(usize::MAX, Last::End);
            script.pieces.push(bad);
            script
        }
        10 if script.events => {
            let error = error_body(call).replace("{\"error\"", "{\"type\":\"error\",\"error\"");
            let error = format!("event: error\ndata: {error}\n\n");
            script = Script { pieces: whole_events(&script, chance), ..script }.cut(usize::MAX, Last::End);
            script.pieces.push((Duration::ZERO, error.into()));
            script
        }
        11 if script.events => {
            let comment = Bytes::from_static(b": still here\n\n");
            script = Script { pieces: whole_events(&script, chance), ..script };
            script.cut(usize::MAX, Last::Forever(Duration::from_secs(3), comment))
        }
        12 => {
            script.pieces = vec![(Duration::ZERO, error_body(call).into())];
            Script { events: false, complete: false, ..script }
        }
        13 => {
            let opaque = format!("compressed answer of call {call}").into();
            Script { pieces: vec![(Duration::ZERO, opaque)], coded: true, events: false, ..script }
        }
        // A drip: whole, but slower than the whole call may take, or nearly.
        _ => script.paced(Duration::from_secs(chance.random_range(1..IDLE))),
    }
}

/// Some of the first events of a stream, whole, and none of those that finish it. (A stream that is
/// cut behind its finish reason is whole: not every provider sends `[DONE]`.)
fn whole_events(script: &Script, chance: &mut StdRng) -> Vec<(Duration, Bytes)> {
    let mut events = script.mark.events(true, "\n");
    events.truncate(chance.random_range(0..events.len().saturating_sub(3).max(1)));
    events.into_iter().map(|event| (millis(chance, 200), event.into())).collect()
}

/// Ends in order, but early: half a JSON body, or a stream without its end.
fn halved(mut script: Script, chance: &mut StdRng) -> Script {
    if script.events {
        return Script { pieces: whole_events(&script, chance), ..script }.cut(usize::MAX, Last::End);
    }
    let half = script.pieces[0].1.len() / 2;
    script.pieces[0].1.truncate(half);
    script.complete = false;
    script
}

/// Runs one storm and judges it; gives a digest of all that was heard.
async fn storm(seed: u64, steps: u32, weather: Weather) -> u64 {
    let mut chance = StdRng::seed_from_u64(seed);
    let scripts = Mutex::new(StdRng::seed_from_u64(seed ^ 0x5eed));
    let mut settings = Settings { ttl: 30, ..Settings::plain() };
    let choose = move |asked: &Asked| draw_script(&mut scripts.lock().unwrap(), asked, weather);
    // Some run short of memory: there answers are also lost to make room for others.
    let scarce = weather == Weather::Rough && seed.is_multiple_of(3);
    let storage = if scarce { "storage: {memory: 1MiB}\n" } else { "" };
    let world = World::new(&(settings.yaml() + storage), choose);
    let mut clients = JoinSet::new();
    for _ in 0..steps {
        match chance.random_range(0..100) {
            0..3 if weather == Weather::Rough => {
                settings = Settings::drawn(&mut chance);
                world.reload(&settings.yaml());
            }
            3 if weather == Weather::Rough => {
                world.kept.tiers.purge(Purge::default());
            }
            4..8 => sleep(millis(&mut chance, 40_000)).await,
            8..30 => sleep(millis(&mut chance, 1500)).await,
            _ => {
                let ask = draw_ask(&mut chance, weather);
                let leaves = chance.random_bool(0.15).then(|| millis(&mut chance, 6000));
                let (world, gateway) = (world.clone(), world.gateway());
                clients.spawn(live(world, gateway, ask, settings, leaves));
            }
        }
    }
    let stories = clients.join_all().await;
    // A call that nobody waits for any more may fly on for as long as any call may.
    sleep(Duration::from_secs(TOTAL + 5)).await;
    judge(&world, &stories, weather).unwrap_or_else(|faults| {
        let shown: Vec<_> = faults.iter().take(8).cloned().collect();
        panic!(
            "{} faults in a {weather:?} storm; run it again with SIM_SEED={seed} SIM_STEPS={steps}\n{}",
            faults.len(),
            shown.join("\n\n")
        )
    });
    digest(&stories)
}

/// One client, to its end or until it hangs up.
async fn live(
    world: Arc<World>,
    gateway: Arc<Gateway>,
    ask: Ask,
    settings: Settings,
    leaves: Option<Duration>,
) -> Story {
    // Two calls in a row (another's refusal first), and as long again for a slow reader.
    let longest = Duration::from_secs(3 * TOTAL);
    let heard = timeout(leaves.unwrap_or(longest), world.ask_at(gateway, ask.clone())).await.ok();
    assert!(heard.is_some() || leaves.is_some(), "a request without an end: {ask:?}");
    Story { ask, settings, heard }
}

fn judge(world: &World, stories: &[Story], weather: Weather) -> Result<(), Vec<String>> {
    let log = world.provider.log();
    let mut faults = world.unrest();
    for story in stories {
        let Some(heard) = &story.heard else { continue };
        let case = Case { ask: &story.ask, settings: &story.settings, heard, log: &log };
        if let Err(what) = case.check() {
            faults.push(format!(
                "{what}\n  {:?}\n  {:?}\n  {} {}",
                story.ask,
                story.settings,
                heard.status,
                heard.cache()
            ));
        }
    }
    let mut equal = |what: &str, counted: f64, really: usize| {
        let really = really as f64;
        if (counted - really).abs() > 0.1 {
            faults.push(format!("{what}: counted {counted}, really {really}"));
        }
    };
    equal("requests", world.metric("requests_total", ""), stories.len());
    equal("calls", world.metric("upstream_requests_total", ""), log.len());
    equal("attempts", world.metric("attempts_total", ""), log.len());
    equal("runs", world.metric("request_duration_seconds_count", ""), stories.len());
    let dropped = log.iter().filter(|r| r.fate == Fate::Dropped).count();
    if world.metric("attempts_total", "result=\"abandoned\"") > dropped as f64 {
        faults.push("more abandoned calls than hang-ups on the provider".to_owned());
    }
    if log.len() > stories.len() {
        faults.push(format!("{} calls for {} requests", log.len(), stories.len()));
    }
    if weather == Weather::Calm {
        faults.extend(judge_sharing(&log));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// With nothing wrong there is one call at a time for one question of one caller, and none while
/// its last answer is fresh.
fn judge_sharing(log: &[Record]) -> Vec<String> {
    let mut faults = Vec::new();
    let most = most_at_once(log, |record| record.asked.credential.clone());
    if most > 1 {
        faults.push(format!("{most} equal calls at once"));
    }
    let fresh = Duration::from_secs(Settings::plain().ttl);
    let same = |a: &Asked, b: &Asked| (a.api, a.prompt, &a.credential) == (b.api, b.prompt, &b.credential);
    for (at, record) in log.iter().enumerate().filter(|(_, record)| record.fate == Fate::Delivered) {
        let Some(ended) = record.ended else { continue };
        let next = log[at + 1..].iter().find(|next| same(&next.asked, &record.asked));
        if let Some(next) = next.filter(|next| next.started < ended + fresh) {
            let early = next.started.saturating_duration_since(ended);
            faults.push(format!("asked again after {early:?}: {:?} then {:?}", record.asked, next.asked));
        }
    }
    faults
}

/// What was heard and when, as a number: two runs of one seed must agree.
fn digest(stories: &[Story]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let first = stories.iter().filter_map(|story| story.heard.as_ref()).map(|heard| heard.started).min();
    for story in stories {
        let Some(heard) = &story.heard else { continue };
        let since = |at: Instant| first.map(|first| at - first);
        (heard.status.as_u16(), &heard.body, since(heard.started), since(heard.ended)).hash(&mut hasher);
    }
    hasher.finish()
}

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

async fn storms(weather: Weather, seeds: [u64; 3]) {
    let steps = u32::try_from(setting("SIM_STEPS").unwrap_or(1500)).unwrap();
    let seeds = match setting("SIM_SEED") {
        Some(seed) => vec![seed],
        None => seeds.into_iter().chain([rand::random()]).collect(),
    };
    for seed in seeds {
        eprintln!("a {weather:?} storm of {steps} steps: SIM_SEED={seed}");
        storm(seed, steps, weather).await;
    }
}

#[tokio::test(start_paused = true)]
async fn in_calm_weather_every_question_is_asked_once() {
    storms(Weather::Calm, [1, 2, 3]).await;
}

#[tokio::test(start_paused = true)]
async fn in_rough_weather_nobody_hears_what_is_not_for_them() {
    storms(Weather::Rough, [11, 12, 13]).await;
}

#[test]
fn one_seed_is_one_story() {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(storm(7, 400, Weather::Rough))
    };
    assert_eq!(run(), run());
}
