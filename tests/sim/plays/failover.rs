//! Providers that fail before their first word: who is asked next, when, how often, and what the client
//! and the books hear of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pareto::io::upstream::Fault;
use tokio::time::{Instant, sleep};

use super::s;
use crate::answer::Api;
use crate::provider::{Asked, Last, Script, error_body};
use crate::world::{Ask, End, World};

/// Three providers; the route's own settings follow.
pub fn three(route: &str) -> String {
    let provider = |name: &str| {
        format!(
            "{name}: {{url: \"https://{name}.test/v1\", keys: [key-{name}], timeouts: {{connect: 5s, first_byte: 20s, idle: 10s, total: 60s}}}}"
        )
    };
    let providers = ["a", "b", "c"].map(provider).join(", ");
    format!(
        "providers: {{{providers}}}\ncache: {{share: credential}}\nroutes: [{{models: [\"*\"], {route}}}]\n"
    )
}

/// One target and two fallbacks.
const A_B_C: &str = "targets: [{provider: a}], fallbacks: [{provider: b}, {provider: c}]";

fn world(config: &str, script: impl Fn(&Asked, Script) -> Script + Send + Sync + 'static) -> Arc<World> {
    World::new(config, move |asked: &Asked| script(asked, Script::answer(asked, 5)))
}

/// The providers asked, in order.
fn asked(world: &World) -> String {
    world.provider.log().iter().map(|record| record.asked.host[..1].to_owned()).collect()
}

/// A 429 with these headers.
fn limited(script: Script, header: (&'static str, &str)) -> Script {
    let mut script = script.status(429);
    script.headers.push((header.0, header.1.to_owned()));
    script
}

fn with_body(script: Script, status: u16, body: &'static str) -> Script {
    let mut script = script.status(status);
    script.pieces = vec![(Duration::ZERO, Bytes::from_static(body.as_bytes()))];
    script
}

const QUOTA: &str =
    r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_first_word_goes_straight_to_the_next_target() {
    type Spoil = fn(Script) -> Script;
    let error_inside: Spoil = |script| {
        let body = error_body(script.mark.call);
        let body = if script.events { format!("data: {body}\n\n") } else { body };
        Script { pieces: vec![(Duration::ZERO, body.into())], complete: false, ..script }
    };
    // What goes wrong, how long it takes to be seen, and what is counted of it.
    let faults: [(&str, Spoil, u64, &str); 13] = [
        ("connect", |s| s.refused(Fault::Connect), 0, "connect"),
        ("connect timeout", |script| script.after(s(5)).refused(Fault::ConnectTimeout), 5, "connect_timeout"),
        ("closed", |s| s.refused(Fault::Closed), 0, "closed"),
        ("no first byte", |script| script.after(s(21)), 20, "first_byte_timeout"),
        ("not HTTP", |s| s.refused(Fault::Protocol), 0, "protocol"),
        ("408", |s| s.status(408), 0, "refused"),
        ("429", |s| s.status(429), 0, "refused"),
        ("500", |s| s.status(500), 0, "refused"),
        ("503", |s| s.status(503), 0, "refused"),
        ("529", |s| s.status(529), 0, "refused"),
        ("silence after the head", |s| s.cut(0, Last::Silence), 10, "idle_timeout"),
        ("nothing", |s| s.cut(0, Last::End), 0, "broken"),
        ("an error inside a 200", error_inside, 0, "error_in_answer"),
    ];
    for (name, spoil, after, result) in faults {
        for ask in [Ask::chat(1), Ask::chat(1).streamed()] {
            let world = world(
                &three(A_B_C),
                move |asked, script| {
                    if asked.host == "a.test" { spoil(script) } else { script }
                },
            );
            let heard = world.ask(ask.clone()).await;
            assert_eq!(asked(&world), "ab", "{name}");
            assert_eq!((heard.status.as_u16(), heard.waited()), (200, s(after)), "{name} {}", heard.text());
            assert_eq!((heard.header("x-pareto-provider"), heard.header("x-pareto-attempts")), ("b", "2"));
            assert!(heard.text().contains("answer of call 1:") && heard.end != End::Broken(""), "{name}");
            sleep(s(1)).await;
            assert_eq!(
                world.metric("attempts_total", &format!("provider=\"a\",result=\"{result}\"")),
                1.0,
                "{name}"
            );
            assert_eq!(world.metric("attempts_total", "provider=\"b\",result=\"ok\""), 1.0, "{name}");
            // Money: the answer that was given, and only that.
            assert_eq!(world.metric("tokens_total", "provider=\"a\""), 0.0, "{name}");
            assert_eq!(world.metric("tokens_total", "kind=\"output\""), 5.0, "{name}");
            assert_eq!(world.unrest(), Vec::<String>::new(), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_time_is_up_is_told_how_many_were_asked() {
    let world = world(&three(&format!("{A_B_C}, retries: {{attempts: 4}}")), |_, script| {
        script.after(s(16)).status(503)
    });
    let heard = world.ask(Ask::chat(1)).await;
    assert_eq!((heard.status.as_u16(), heard.waited()), (504, s(60)), "{}", heard.text());
    assert_eq!((heard.header("x-pareto-attempts"), asked(&world).len()), ("4", 4));
}

#[tokio::test(start_paused = true)]
async fn what_is_the_clients_own_fault_is_not_asked_again() {
    for status in [400, 409, 413, 415, 422] {
        let world = world(&three(A_B_C), move |_, script| script.status(status));
        let heard = world.ask(Ask::chat(1)).await;
        assert_eq!((heard.status.as_u16(), asked(&world).as_str()), (status, "a"));
        assert_eq!(heard.header("x-should-retry"), "", "the SDK may judge that by itself");
        assert!(heard.text().contains("error of call 0"));
    }
}

#[tokio::test(start_paused = true)]
async fn once_all_have_failed_the_client_is_told_at_once_and_not_to_try_again() {
    let dead = world(&three(A_B_C), |_, script| script.refused(Fault::Connect));
    let refusing = world(&three(A_B_C), |_, script| script.status(503));
    for (world, status) in [(dead, 502), (refusing, 503)] {
        for ask in [Ask::chat(1), Ask::chat(1).streamed()] {
            let heard = world.ask(ask).await;
            assert_eq!((heard.status.as_u16(), heard.end, heard.waited()), (status, End::Whole, s(0)));
            assert_eq!(heard.header("x-should-retry"), "false");
            assert_eq!(heard.header("x-pareto-attempts"), "3");
        }
        assert_eq!(asked(&world), "abcabc");
    }
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_attempts_than_the_budget() {
    for attempts in 1..6 {
        let route = format!("{A_B_C}, retries: {{attempts: {attempts}}}");
        let world = world(&three(&route), |_, script| script.status(500));
        world.ask(Ask::chat(1)).await;
        assert_eq!(world.provider.calls(), attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn between_rounds_it_waits_by_chance_up_to_a_bound_that_doubles() {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let world = world(&three("targets: [{provider: a}]"), |_, script| script.status(500));
        world.ask(Ask::chat(1)).await;
        let log = world.provider.log();
        assert_eq!(log.len(), 3);
        first.push(log[1].started - log[0].started);
        second.push(log[2].started - log[1].started);
    }
    for (waits, bound) in [(first, s(2)), (second, s(4))] {
        let longest = waits.iter().max().unwrap();
        assert!(*longest <= bound + Duration::from_millis(1) && *longest > bound / 2, "{waits:?}");
        assert!(*waits.iter().min().unwrap() < bound / 2, "full jitter: {waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_a_provider_names_is_a_floor() {
    const GEMINI: &str = r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}]"#;
    type Spoil = fn(Script) -> Script;
    let named: [Spoil; 4] = [
        |script| limited(script, ("retry-after", "7")),
        |script| limited(script, ("retry-after-ms", "7000")),
        |script| limited(script, ("retry-after", "Fri, 15 Jan 2027 08:00:07 GMT")),
        |script| with_body(script, 429, GEMINI),
    ];
    for spoil in named {
        let world =
            world(
                &three("targets: [{provider: a}]"),
                move |asked, script| {
                    if asked.number == 0 { spoil(script) } else { script }
                },
            );
        let heard = world.ask(Ask::chat(1)).await;
        assert_eq!((heard.status, heard.header("x-pareto-attempts")), (http::StatusCode::OK, "2"));
        assert!((s(7)..s(8)).contains(&heard.waited()), "{:?}", heard.waited());
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_says_when_is_left_alone_until_then() {
    let world = world(&three(A_B_C), |asked, script| match &*asked.host {
        "a.test" if asked.number == 0 => limited(script, ("retry-after", "30")),
        _ => script,
    });
    assert_eq!(world.ask(Ask::chat(1)).await.waited(), s(0));
    for prompt in 2..12 {
        assert_eq!(world.ask(Ask::chat(prompt)).await.waited(), s(0));
        sleep(s(2)).await;
    }
    assert_eq!(asked(&world), "abbbbbbbbbbb");
    sleep(s(11)).await;
    world.ask(Ask::chat(20)).await;
    assert!(asked(&world).ends_with("ba"), "{}", asked(&world));
}

#[tokio::test(start_paused = true)]
async fn lack_of_money_is_no_reason_to_wait() {
    let world = world(&three("targets: [{provider: a}]"), |_, script| with_body(script, 429, QUOTA));
    let heard = world.ask(Ask::chat(1)).await;
    assert_eq!((world.provider.calls(), heard.waited()), (1, s(0)));
    assert!(heard.text().contains("insufficient_quota"));
    assert_eq!(heard.header("x-should-retry"), "false");
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_benched_and_the_next_one_used() {
    for (status, body) in [(401, "{}"), (403, "{}"), (402, "{}"), (429, QUOTA)] {
        let config = "providers: {a: {url: \"https://a.test/v1\", keys: [bad, good]}}\n";
        let world = world(config, move |asked, script| {
            if asked.credential == "Bearer bad" { with_body(script, status, body) } else { script }
        });
        for prompt in 0..10 {
            let heard = world.ask(Ask::chat(prompt)).await;
            assert_eq!(heard.status, 200, "{status} {}", heard.text());
        }
        let bad = |world: &World| {
            world.provider.log().iter().filter(|record| record.asked.credential == "Bearer bad").count()
        };
        assert_eq!(bad(&world), 1, "{status}");
        sleep(s(301)).await;
        for prompt in 10..12 {
            assert_eq!(world.ask(Ask::chat(prompt)).await.status, 200);
        }
        assert_eq!(bad(&world), 2, "{status}: looked at again after a while");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_those_who_have_hung_up() {
    for abandoned in ["stop", "finish"] {
        let config = three(A_B_C) + &format!("coalesce: {{abandoned: {abandoned}}}\n");
        let world = world(&config, |_, script| script.after(s(3)).status(503));
        let client = world.spawn(Ask::chat(1));
        sleep(s(1)).await;
        client.abort();
        sleep(s(60)).await;
        assert_eq!(asked(&world), "a", "{abandoned}");
        assert_eq!(world.unrest(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn one_deadline_holds_for_all_attempts_together() {
    let route = format!("{A_B_C}, timeouts: {{total: 30s}}");
    let world = world(&three(&route), |_, script| script.after(s(18)).status(500));
    let started = Instant::now();
    let heard = world.ask(Ask::chat(1)).await;
    assert_eq!((heard.status.as_u16(), started.elapsed()), (504, s(30)));
    assert_eq!(asked(&world), "ab");
    assert_eq!(world.metric("attempts_total", "result=\"total_timeout\""), 1.0);
    assert_eq!(world.unrest(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn vectors_of_another_model_are_no_substitute() {
    let route = "targets: [{provider: a}], fallbacks: [{provider: b, model: other}, {provider: c}]";
    let world = world(
        &three(route),
        |asked, script| if asked.host == "c.test" { script } else { script.status(500) },
    );
    let heard = world.ask(Ask { api: Api::Embeddings, ..Ask::chat(1) }).await;
    assert_eq!((heard.status.as_u16(), asked(&world).as_str()), (200, "ac"));
}

#[tokio::test(start_paused = true)]
async fn once_a_word_was_heard_nobody_else_is_asked() {
    let world = world(&three(A_B_C), |_, script| script.cut(2, Last::Fault(Fault::Cut)));
    let heard = world.ask(Ask::chat(1).streamed()).await;
    assert_eq!((heard.status.as_u16(), heard.end), (200, End::Broken("pareto_upstream_failed")));
    assert_eq!(asked(&world), "a");
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_asks_once_and_observing_it_counts_what_it_would_have_done() {
    for (switch, observed) in [("off", 0.0), ("observe", 1.0)] {
        let config = three(A_B_C) + &format!("features: {{failover: {switch}}}\n");
        let world = world(&config, |_, script| script.status(503));
        assert_eq!(world.ask(Ask::chat(1)).await.status, 503);
        assert_eq!(asked(&world), "a");
        assert_eq!(world.metric("observed_calls_total", "failover"), observed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_one_route_is_not_anothers() {
    let world = world(&three("targets: [{provider: a}]"), |_, script| script);
    world.ask(Ask::chat(1)).await;
    world.reload(&three("targets: [{provider: b}]"));
    assert_eq!(world.ask(Ask::chat(1)).await.header("x-pareto-provider"), "b");
    world.reload(&three("targets: [{provider: a}], retries: {attempts: 2}"));
    assert!(world.ask(Ask::chat(1)).await.cache().starts_with("hit"));
}
