//! One call for all who ask the same at the same time, and what each of them hears of it.

use std::sync::Arc;

use tokio::time::sleep;

use super::s;
use crate::provider::{Asked, Fate, Last, Script};
use crate::settings::Settings;
use crate::world::{Ask, End, Heard, World};

/// Begins after a second; a stream then has an event each second.
fn paced(asked: &Asked) -> Script {
    let script = Script::answer(asked, 5).after(s(1));
    if script.events { script.paced(s(1)) } else { script.after(s(10)) }
}

fn world() -> Arc<World> {
    World::new(&Settings::plain().yaml(), paced)
}

/// All at once.
async fn crowd(world: &Arc<World>, asks: impl IntoIterator<Item = Ask>) -> Vec<Heard> {
    let clients: Vec<_> = asks.into_iter().map(|ask| world.spawn(ask)).collect();
    let mut heard = Vec::new();
    for client in clients {
        heard.push(client.await.unwrap());
    }
    heard
}

fn count(heard: &[Heard], cache: &str) -> usize {
    heard.iter().filter(|heard| heard.cache().starts_with(cache)).count()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_equal_requests_are_one_call() {
    let mixed = |at: u32| if at.is_multiple_of(2) { Ask::chat(1) } else { Ask::chat(1).streamed() };
    let asks: [fn(u32) -> Ask; 3] = [|_| Ask::chat(1), |_| Ask::chat(1).streamed(), mixed];
    for ask in asks {
        let world = world();
        let heard = crowd(&world, (0..1000).map(ask)).await;
        assert_eq!(world.provider.calls(), 1);
        assert!(heard.iter().all(|heard| heard.status == 200 && !matches!(heard.end, End::Broken(_))));
        assert_eq!((count(&heard, "fwd=miss; collapsed"), count(&heard, "fwd=miss")), (999, 1000));
        assert_eq!(world.metric("requests_total", "collapsed"), 999.0);
        assert_eq!(world.metric("saved_calls_total", "coalesce"), 999.0);
        assert_eq!(world.unrest(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn the_leaders_hang_up_hurts_nobody() {
    for ask in [Ask::chat(1), Ask::chat(1).streamed()] {
        let world = world();
        let leader = world.spawn(ask.clone());
        sleep(s(3)).await;
        let others: Vec<_> = (0..999).map(|_| world.spawn(ask.clone())).collect();
        sleep(s(1)).await;
        leader.abort();
        for other in others {
            let heard = other.await.unwrap();
            assert!(heard.text().contains("answer of call 0"), "{}", heard.text());
            assert!(!matches!(heard.end, End::Broken(_)));
        }
        assert_eq!(world.provider.calls(), 1);
        assert_eq!(world.metric("requests_total", ""), 1000.0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_hang_up_stops_the_call_or_leaves_it_to_fill_the_cache() {
    for (abandoned, fate, entries) in [("stop", Fate::Dropped, 0), ("finish", Fate::Delivered, 1)] {
        let world = World::new(&Settings { abandoned, ..Settings::plain() }.yaml(), paced);
        let clients = [world.spawn(Ask::chat(1).streamed()), world.spawn(Ask::chat(1).streamed())];
        sleep(s(3)).await;
        clients.iter().for_each(tokio::task::JoinHandle::abort);
        sleep(s(30)).await;
        let record = &world.provider.log()[0];
        assert_eq!((record.fate, world.kept.cache.entries()), (fate, entries));
        let took = record.ended.unwrap() - record.started;
        assert_eq!(took == s(3), abandoned == "stop", "{took:?}");
        assert_eq!(world.unrest(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_joiner_hears_all_from_the_start_and_then_goes_along() {
    let world = world();
    let first = world.spawn(Ask::chat(1).streamed());
    sleep(s(5)).await;
    let late = world.ask(Ask::chat(1).streamed()).await;
    let first = first.await.unwrap();
    assert_eq!((late.waited(), late.ended), (s(0), first.ended));
    assert_eq!(late.body, first.body);
    assert_ne!(late.header("x-request-id"), "req-0", "an id of another's call");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_slows_nobody() {
    let world = world();
    let slow = world.spawn(Ask { pace: s(7), ..Ask::chat(1).streamed() });
    let quick = world.ask(Ask::chat(1).streamed()).await;
    let slow = slow.await.unwrap();
    assert_eq!(quick.ended - quick.started, s(10));
    assert!(slow.ended > quick.ended);
    assert_eq!(slow.body, quick.body);
}

#[tokio::test(start_paused = true)]
async fn a_failed_leaders_error_reaches_all_aboard_once_and_nobody_after() {
    let world = World::new(&Settings::plain().yaml(), |asked: &Asked| {
        if asked.number == 0 { paced(asked).status(500) } else { paced(asked) }
    });
    let heard = crowd(&world, (0..20).map(|_| Ask::chat(1))).await;
    assert!(heard.iter().all(|heard| heard.status == 500));
    // What an SDK does next.
    let again = crowd(&world, (0..20).map(|_| Ask { retries: 1, ..Ask::chat(1) })).await;
    assert!(again.iter().all(|heard| heard.text().contains("answer of call 1")));
    assert_eq!(world.provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_never_boards_the_flight_that_failed_it() {
    // The head of a refusal is there at once, its body takes its time.
    let world = World::new(&Settings::plain().yaml(), |asked: &Asked| {
        if asked.number == 0 { paced(asked).status(503).paced(s(5)) } else { paced(asked) }
    });
    let first = world.spawn(Ask::chat(1));
    sleep(s(12)).await;
    let retry = world.ask(Ask { retries: 1, ..Ask::chat(1) }).await;
    assert_eq!((retry.status.as_u16(), first.await.unwrap().status.as_u16()), (200, 503));
}

#[tokio::test(start_paused = true)]
async fn a_judgement_of_one_key_is_not_for_another() {
    for status in [401, 402, 403, 429] {
        let settings = Settings { share: "everyone", ..Settings::plain() };
        let world = World::new(&settings.yaml(), move |asked: &Asked| {
            if asked.credential == "Bearer c0" { paced(asked).status(status) } else { paced(asked) }
        });
        let heard = crowd(&world, ["c0", "c0", "c1", "c2"].map(|key| Ask::chat(1).by(key))).await;
        let statuses: Vec<_> = heard.iter().map(|heard| heard.status.as_u16()).collect();
        assert_eq!(statuses, [status, status, 200, 200]);
    }
}

#[tokio::test(start_paused = true)]
async fn callers_share_as_far_as_the_setting_goes() {
    let named = |key: &str, tenant: &str| Ask { tenant: Some(tenant.to_owned()), ..Ask::chat(1).by(key) };
    let asks = || [named("a", "x"), named("b", "x"), named("c", "y"), named("a", "x")];
    for (share, calls) in [("credential", 3), ("tenant", 2), ("everyone", 1)] {
        let world = World::new(&Settings { share, ..Settings::plain() }.yaml(), paced);
        // Once in flight together, once from the cache.
        crowd(&world, asks()).await;
        crowd(&world, asks()).await;
        assert_eq!(world.provider.calls(), calls, "{share}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_new_answer_shares_no_flight() {
    let world = world();
    let first = world.spawn(Ask::chat(1));
    sleep(s(2)).await;
    let controls = ["no-cache", "no-store"].map(|control| Ask::chat(1).with(control));
    let heard = crowd(&world, controls).await;
    first.await.unwrap();
    assert_eq!(
        (world.provider.calls(), count(&heard, "fwd=request"), count(&heard, "fwd=bypass")),
        (3, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_flight_is_followed_by_another() {
    let world = World::new(&Settings { max_waiters: 4, ..Settings::plain() }.yaml(), paced);
    let heard = crowd(&world, (0..20).map(|_| Ask::chat(1))).await;
    // Each takes its leader and four more.
    assert_eq!((world.provider.calls(), count(&heard, "fwd=miss; collapsed")), (4, 16));
    assert_eq!(world.unrest(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn observing_counts_what_would_have_been_saved_and_saves_nothing() {
    let settings = Settings { coalesce: "observe", cache: "observe", ..Settings::plain() };
    let world = World::new(&settings.yaml(), paced);
    crowd(&world, (0..5).map(|_| Ask::chat(1))).await;
    assert_eq!((world.provider.calls(), world.metric("observed_calls_total", "coalesce")), (5, 4.0));
    crowd(&world, (0..3).map(|_| Ask::chat(1))).await;
    assert_eq!((world.provider.calls(), world.metric("observed_calls_total", "cache")), (8, 3.0));
    assert_eq!(world.metric("saved_calls_total", ""), 0.0);
    assert_eq!(world.unrest(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_flights_answers_and_counts() {
    let world = world();
    let before = world.spawn(Ask::chat(1).streamed());
    sleep(s(3)).await;
    world.reload(&Settings { ttl: 300, ..Settings::plain() }.yaml());
    let after = world.ask(Ask::chat(1).streamed()).await;
    assert_eq!((after.cache(), before.await.unwrap().end), ("fwd=miss; collapsed", End::Clean));
    world.reload(&Settings::plain().yaml());
    assert!(world.ask(Ask::chat(1)).await.cache().starts_with("hit"));
    assert_eq!((world.provider.calls(), world.metric("requests_total", "")), (1, 3.0));
    sleep(s(1)).await;
    assert_eq!(world.unrest(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_stream_cut_for_its_leader_is_cut_for_all_and_for_nobody_after() {
    let world = World::new(&Settings::plain().yaml(), |asked: &Asked| {
        let script = paced(asked);
        if asked.number == 0 { script.cut(4, Last::Fault(pareto::io::upstream::Fault::Cut)) } else { script }
    });
    let heard = crowd(&world, (0..10).map(|_| Ask::chat(1).streamed())).await;
    assert!(heard.iter().all(|heard| matches!(heard.end, End::Broken(_))));
    assert!(heard.iter().all(|other| other.body == heard[0].body));
    let next = world.ask(Ask::chat(1).streamed()).await;
    assert_eq!((next.end, world.provider.calls()), (End::Clean, 2));
}
