//! Providers that are too slow, never end or break off: before the first byte a proper status,
//! after it an error event and no clean end, and never anything stored.

use std::sync::Arc;

use bytes::Bytes;
use pareto::io::upstream::Fault;

use super::s;
use crate::answer::read_events;
use crate::provider::{Asked, Last, Script};
use crate::settings::{FIRST_BYTE, IDLE, Settings, TOTAL};
use crate::world::{Ask, End, Heard, World};

fn world(script: impl Fn(Script) -> Script + Send + Sync + 'static) -> Arc<World> {
    World::new(&Settings::plain().yaml(), move |asked: &Asked| script(Script::answer(asked, 5)))
}

/// Asks once; nothing of it may be left behind.
async fn ask(world: &Arc<World>, ask: Ask) -> Heard {
    let heard = world.ask(ask.clone()).await;
    assert_eq!(world.unrest(), Vec::<String>::new());
    assert_eq!(world.kept.cache.entries(), 0);
    world.ask(ask).await;
    assert_eq!(world.provider.calls(), 2, "a failure was replayed");
    heard
}

#[tokio::test(start_paused = true)]
async fn before_the_first_byte_a_timeout_is_a_504_and_a_break_a_502() {
    let slow = |script: Script| script.after(s(FIRST_BYTE + 1));
    let refused = |script: Script| script.after(s(2)).refused(Fault::Connect);
    let reset = |script: Script| script.after(s(2)).refused(Fault::Closed);
    let silent = |script: Script| script.cut(0, Last::Silence);
    let empty = |script: Script| script.cut(0, Last::End);
    for ask_for in [Ask::chat(1), Ask::chat(1).streamed()] {
        for (world, status, code, after) in [
            (world(slow), 504, "pareto_upstream_timeout", FIRST_BYTE),
            (world(refused), 502, "pareto_upstream_failed", 2),
            (world(reset), 502, "pareto_upstream_failed", 2),
            (world(silent), 504, "pareto_upstream_timeout", IDLE),
        ] {
            let heard = ask(&world, ask_for.clone()).await;
            assert_eq!((heard.status.as_u16(), heard.end, heard.waited()), (status, End::Whole, s(after)));
            assert!(heard.text().contains(code), "{}", heard.text());
            assert_eq!(heard.header("x-should-retry"), "false");
        }
    }
    let heard = ask(&world(empty), Ask::chat(1).streamed()).await;
    assert_eq!(heard.status, 502, "an empty stream");
}

#[tokio::test(start_paused = true)]
async fn after_the_first_byte_a_stream_ends_with_an_error_event_and_not_cleanly() {
    let silent = |script: Script| script.cut(3, Last::Silence);
    let cut = |script: Script| script.cut(3, Last::Fault(Fault::Cut));
    let early = |script: Script| script.cut(3, Last::End);
    let half = |mut script: Script| {
        script.pieces[3].1.truncate(20);
        script.cut(4, Last::End)
    };
    for (world, code) in [
        (world(silent), "pareto_upstream_timeout"),
        (world(cut), "pareto_upstream_failed"),
        (world(early), "pareto_upstream_failed"),
        (world(half), "pareto_upstream_failed"),
    ] {
        let ask_for = Ask::chat(1).streamed();
        let heard = ask(&world, ask_for.clone()).await;
        assert_eq!((heard.status.as_u16(), heard.end), (200, End::Broken(code)));
        let said = read_events(ask_for.api, &heard.body).unwrap();
        assert!(said.error.is_some() && !said.closed && !said.finished, "{said:?}");
        assert!(heard.text().contains(code), "{}", heard.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_ends_is_ended_when_its_time_is_up() {
    let endless = |script: Script| {
        let again = script.pieces[2].1.clone();
        script.cut(3, Last::Forever(s(1), again))
    };
    let heard = ask(&world(endless), Ask::chat(1).streamed()).await;
    assert_eq!(heard.end, End::Broken("pareto_upstream_timeout"));
    assert_eq!(heard.ended - heard.started, s(TOTAL));
    let comments = |script: Script| script.cut(0, Last::Forever(s(1), Bytes::from_static(b": wait\n\n")));
    let heard = ask(&world(comments), Ask::chat(1).streamed()).await;
    assert_eq!((heard.status.as_u16(), heard.waited()), (504, s(TOTAL)), "comments are no answer");
}

#[tokio::test(start_paused = true)]
async fn a_slow_drip_within_the_limits_is_heard_to_its_end() {
    let drip = |script: Script| script.paced(s(IDLE - 5));
    let world = world(drip);
    let heard = world.ask(Ask::chat(1).streamed()).await;
    assert_eq!(heard.end, End::Clean);
    assert!(heard.text().ends_with("data: [DONE]\n\n"));
    assert!(world.ask(Ask::chat(1)).await.cache().starts_with("hit"));
}
