//! Fresh, stale and spent answers: lifetimes, RFC 5861, and what a request may ask of them.

use tokio::time::sleep;

use super::s;
use crate::provider::{Asked, Script};
use crate::settings::Settings;
use crate::world::{Ask, Heard, World};

/// Answers well, three seconds after each question.
fn well(asked: &Asked) -> Script {
    Script::answer(asked, 5).after(s(3))
}

/// Answers the first call well and fails all others with this status, after three seconds.
fn well_then(status: u16) -> impl Fn(&Asked) -> Script + Send + Sync {
    move |asked| if asked.number == 0 { well(asked) } else { well(asked).status(status) }
}

fn calm() -> Settings {
    Settings { ttl: 10, ..Settings::plain() }
}

#[track_caller]
fn assert_heard(heard: &Heard, cache: &str, call: u64) {
    assert_eq!((heard.status.as_u16(), heard.cache()), (200, cache), "{}", heard.text());
    assert!(heard.text().contains(&format!("\"id-{call}\"")), "not of call {call}: {}", heard.text());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_fresh_for_its_time_and_no_longer() {
    let world = World::new(&calm().yaml(), well);
    assert_heard(&world.ask(Ask::chat(1)).await, "fwd=miss; stored", 0);
    sleep(s(9)).await;
    let hit = world.ask(Ask::chat(1)).await;
    assert_heard(&hit, "hit; ttl=1; detail=memory", 0);
    assert_eq!((hit.header("age"), hit.waited()), ("9", s(0)));
    sleep(s(2)).await;
    assert_heard(&world.ask(Ask::chat(1)).await, "fwd=miss; stored", 1);
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_is_given_at_once_while_one_call_refreshes_it_for_all() {
    let world = World::new(&Settings { while_revalidate: 30, ..calm() }.yaml(), well);
    world.ask(Ask::chat(1)).await;
    sleep(s(20)).await;
    let crowd: Vec<_> = (0..50).map(|_| world.spawn(Ask::chat(1))).collect();
    for client in crowd {
        let heard = client.await.unwrap();
        assert_heard(&heard, "hit; ttl=-10; detail=stale", 0);
        assert_eq!(heard.waited(), s(0));
    }
    sleep(s(4)).await;
    assert_heard(&world.ask(Ask::chat(1)).await, "hit; ttl=9; detail=memory", 1);
    sleep(s(50)).await;
    // Beyond the window it is a miss like any other.
    assert_heard(&world.ask(Ask::chat(1)).await, "fwd=miss; stored", 2);
    assert_eq!(world.metric("requests_total", "stale"), 50.0);
    assert_eq!(world.unrest(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_leaves_the_stale_answer_where_it_is() {
    let world = World::new(&Settings { while_revalidate: 30, ..calm() }.yaml(), well_then(500));
    world.ask(Ask::chat(1)).await;
    for _ in 0..2 {
        sleep(s(12)).await;
        assert!(world.ask(Ask::chat(1)).await.cache().ends_with("detail=stale"));
    }
    sleep(s(30)).await;
    assert_eq!(world.ask(Ask::chat(1)).await.status, 500);
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_stands_in_for_a_failed_provider_with_its_true_age() {
    for status in [500, 502, 503, 504, 529] {
        let world = World::new(&Settings { if_error: 60, ..calm() }.yaml(), well_then(status));
        world.ask(Ask::chat(1)).await;
        sleep(s(20)).await;
        let heard = world.ask(Ask::chat(1)).await;
        // Three of these seconds passed while the provider was asked.
        assert_heard(&heard, "hit; ttl=-13; detail=stale", 0);
        assert_eq!((heard.header("age"), heard.waited()), ("23", s(3)));
        sleep(s(60)).await;
        assert_eq!(world.ask(Ask::chat(1)).await.status, status, "past the window");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_does_not_hide_a_refusal() {
    for status in [400, 401, 404, 429] {
        let world = World::new(&Settings { if_error: 60, ..calm() }.yaml(), well_then(status));
        world.ask(Ask::chat(1)).await;
        sleep(s(20)).await;
        assert_eq!(world.ask(Ask::chat(1)).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_ask_for_a_younger_a_longer_lived_or_an_older_answer() {
    let world = World::new(&Settings { if_error: 60, ..calm() }.yaml(), well);
    world.ask(Ask::chat(1)).await;
    sleep(s(6)).await;
    let mut heard = Vec::new();
    for control in ["max-age=6", "min-fresh=4", "max-age=5", "min-fresh=5", "no-cache"] {
        heard.push(world.ask(Ask::chat(1).with(control)).await.cache().to_owned());
        // The answers fetched meanwhile are as old as the first was, for the next in line.
        sleep(s(6)).await;
    }
    assert_eq!(heard[0], "hit; ttl=4; detail=memory");
    // Six seconds later the first answer is past its time.
    assert_eq!(
        heard[1..],
        ["fwd=miss; stored", "fwd=miss; stored", "fwd=miss; stored", "fwd=request; stored"]
    );
    sleep(s(10)).await;
    let old = world.ask(Ask::chat(1).with("max-stale=20")).await;
    assert_eq!(old.cache(), "hit; ttl=-6; detail=stale");
    let spent = world.ask(Ask::chat(1).with("max-stale=5, only-if-cached")).await;
    assert_eq!(spent.status, 504);
    assert!(spent.text().contains("pareto_not_cached"));
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_long_lived_answer_gets_none_that_is_about_to_be_replaced() {
    let world = World::new(&Settings { while_revalidate: 30, ..calm() }.yaml(), well);
    world.ask(Ask::chat(1)).await;
    sleep(s(8)).await;
    assert_heard(&world.ask(Ask::chat(1).with("min-fresh=5")).await, "fwd=miss; stored", 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_too_old_for_a_request_stands_in_only_where_the_setting_says_so() {
    for (if_error, status) in [(0, 500), (3, 500), (60, 200)] {
        let world = World::new(&Settings { if_error, ..calm() }.yaml(), well_then(500));
        world.ask(Ask::chat(1)).await;
        sleep(s(8)).await;
        // Fresh by its own lifetime, five seconds past what this client accepts.
        assert_eq!(world.ask(Ask::chat(1).with("max-age=3")).await.status, status, "{if_error} s");
    }
}

#[tokio::test(start_paused = true)]
async fn one_entry_serves_both_forms_whichever_it_came_in() {
    for first_streams in [false, true] {
        let world = World::new(&calm().yaml(), well);
        let (json, stream) = (Ask::chat(1), Ask::chat(1).streamed());
        let (first, second) = if first_streams { (stream, json) } else { (json, stream) };
        world.ask(first.clone()).await;
        for ask in [first, second] {
            let heard = world.ask(ask.clone()).await;
            assert!(heard.cache().starts_with("hit; ttl="), "{}", heard.cache());
            assert_eq!(heard.header("content-type").starts_with("text/event-stream"), ask.stream);
        }
        assert_eq!(world.provider.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_never_stored_whatever_its_disguise() {
    let bad = |asked: &Asked| {
        let answer = well(asked);
        match asked.number {
            0 => answer.status(500),
            1 => Script { status: 200, ..answer.status(200) },
            _ => answer,
        }
    };
    let world = World::new(&Settings { if_error: 60, while_revalidate: 60, ..calm() }.yaml(), bad);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(world.ask(Ask::chat(1)).await.status.as_u16());
    }
    assert_eq!((statuses, world.provider.calls()), (vec![500, 200, 200], 3));
}
