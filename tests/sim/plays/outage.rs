//! Providers that are dead for minutes under load: nobody notices, the dead are left alone, and they
//! are back with one probe.

use std::sync::Arc;
use std::time::Duration;

use pareto::io::upstream::Fault;
use tokio::time::{Instant, sleep};

use super::failover::three;
use super::s;
use crate::provider::{Asked, Script};
use crate::world::{Ask, Heard, World};

const THREE: &str = "targets: [{provider: a}, {provider: b}, {provider: c}]";
/// Between two requests: 200 in a second.
const PACE: Duration = Duration::from_millis(5);

/// Three providers of which those in `dead` do this to a call for the first minute.
fn outage(
    route: &str,
    dead: &'static str,
    spoil: impl Fn(Script) -> Script + Send + Sync + 'static,
) -> Arc<World> {
    let begun = Instant::now();
    World::new(&three(route), move |asked: &Asked| {
        let script = Script::answer(asked, 5).after(Duration::from_millis(100));
        let dies = dead.contains(&asked.host[..1]) && begun.elapsed() < s(60);
        if dies { spoil(script) } else { script }
    })
}

/// 200 requests a second, each a question of its own.
async fn load(world: &Arc<World>, time: Duration) -> Vec<Heard> {
    let mut clients = tokio::task::JoinSet::new();
    let begun = Instant::now();
    // Questions that were not asked before.
    let mut prompt = 1000 + u32::try_from(world.provider.calls()).unwrap();
    while begun.elapsed() < time {
        prompt += 1;
        let (world, ask) = (world.clone(), Ask::chat(prompt));
        let ask = if prompt % 2 == 0 { ask.streamed() } else { ask };
        clients.spawn(async move { world.ask(ask).await });
        sleep(PACE).await;
    }
    clients.join_all().await
}

fn p99(heard: &[Heard]) -> Duration {
    let mut waits: Vec<_> = heard.iter().map(Heard::waited).collect();
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

fn calls_to(world: &World, provider: &str, from: Instant) -> usize {
    let to =
        |record: &crate::provider::Record| record.asked.host.starts_with(provider) && record.started >= from;
    world.provider.log().iter().filter(|record| to(record)).count()
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_dead_for_a_minute_is_not_noticed() {
    let begun = Instant::now();
    let world = outage("targets: [{provider: a}], fallbacks: [{provider: b}]", "a", |script| {
        script.after(Duration::ZERO).refused(Fault::Connect)
    });
    let heard = load(&world, s(60)).await;
    assert!(heard.len() > 11_000);
    assert!(heard.iter().all(|heard| heard.status == 200), "a client saw an error");
    assert!(p99(&heard) <= Duration::from_millis(101), "{:?}", p99(&heard));
    // Five failures open the breaker; then probes go after 5, 10 and 20 seconds of rest.
    assert_eq!(calls_to(&world, "a", begun), 5 + 3);
    // It is back with the first probe that it answers.
    let heard = load(&world, s(30)).await;
    assert!(heard.iter().all(|heard| heard.status == 200));
    let back = world
        .provider
        .log()
        .iter()
        .position(|record| record.asked.host == "a.test" && record.started - begun >= s(60));
    let after = world.provider.log().split_off(back.unwrap() + 1);
    let answered = after.iter().position(|record| record.asked.host == "a.test").unwrap();
    assert!(answered <= 25, "while its probe was under way others went elsewhere: {answered}");
    assert!(after[answered..].iter().all(|record| record.asked.host == "a.test"), "then it has all again");
    // The last call's connection is read to its end.
    sleep(s(1)).await;
    assert_eq!(world.unrest(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn with_two_of_three_dead_the_third_serves_all() {
    let world = outage(THREE, "ab", |script| script.after(Duration::ZERO).status(503));
    let heard = load(&world, s(30)).await;
    assert!(heard.iter().all(|heard| heard.status == 200), "a client saw an error");
    assert!(p99(&heard) <= Duration::from_millis(101), "{:?}", p99(&heard));
    let start = world.provider.log()[0].started;
    for dead in ["a", "b"] {
        assert!(calls_to(&world, dead, start) <= 5 + 2, "{dead}: {}", calls_to(&world, dead, start));
    }
}

#[tokio::test(start_paused = true)]
async fn with_all_dead_everybody_is_told_at_once_and_the_load_is_not_multiplied() {
    let world = outage(THREE, "abc", |script| script.after(Duration::ZERO).refused(Fault::Connect));
    let heard = load(&world, s(30)).await;
    for heard in &heard {
        assert_eq!((heard.status.as_u16(), heard.waited()), (502, Duration::ZERO));
        assert_eq!(heard.header("x-should-retry"), "false");
    }
    // Three each until the breakers open, one each from then on.
    let calls = world.provider.calls();
    assert!(calls <= heard.len() + 3 * 2 * 5, "{calls} calls for {} requests", heard.len());
    sleep(s(30)).await;
    let heard = load(&world, s(1)).await;
    assert!(heard.iter().all(|heard| heard.status == 200), "the first success ends the rest of all");
}

#[tokio::test(start_paused = true)]
async fn one_that_accepts_and_never_answers_costs_those_who_met_it_one_timeout() {
    let route = format!("{THREE}, balance: fastest, timeouts: {{first_byte: 2s}}");
    let world = outage(&route, "a", |script| script.after(s(3600)));
    let heard = load(&world, s(30)).await;
    assert!(heard.iter().all(|heard| heard.status == 200), "a client saw an error");
    let late = heard.iter().filter(|heard| heard.waited() > s(1)).count();
    assert!(heard.iter().all(|heard| heard.waited() < Duration::from_millis(2200)));
    assert!(late * 10 < heard.len(), "{late} of {}", heard.len());
}

#[tokio::test(start_paused = true)]
async fn a_hedge_spares_even_them_the_wait() {
    let hedged = "targets: [{provider: a}], fallbacks: [{provider: b}], hedge: {after: 300ms}";
    let world = outage(hedged, "a", |script| script.after(s(3600)));
    let heard = load(&world, s(10)).await;
    assert!(heard.iter().all(|heard| heard.status == 200 && heard.waited() <= Duration::from_millis(401)));
    sleep(s(60)).await;
    assert_eq!(world.unrest(), Vec::<String>::new());
    let calls = world.provider.calls() as f64;
    assert_eq!(world.metric("attempts_total", ""), calls, "each is settled once");
}

#[tokio::test(start_paused = true)]
async fn breakers_live_on_over_a_reload() {
    let route = "targets: [{provider: a}], fallbacks: [{provider: b}]";
    let world = outage(route, "a", |script| script.after(Duration::ZERO).status(500));
    for prompt in 0..5 {
        world.ask(Ask::chat(prompt)).await;
    }
    world.reload(&three(&format!("{route}, retries: {{attempts: 2}}")));
    world.ask(Ask::chat(9)).await;
    assert_eq!(world.provider.log().last().unwrap().asked.host, "b.test");
    assert_eq!(calls_to(&world, "a", world.provider.log()[0].started), 5);
}
