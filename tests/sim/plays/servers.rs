//! Servers that speak OpenAI's API, each at its own host: what they want otherwise, and what they answer
//! otherwise.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::answer::{Api, read_events};
use crate::provider::{Asked, Script};
use crate::world::{Ask, End, World};

/// A route to a server at this base URL, and to a spare one after it.
fn before(base: &str, answer: impl Fn(&Asked, Script) -> Script + Send + Sync + 'static) -> Arc<World> {
    let config = format!(
        "providers: {{own: {{url: \"https://{base}\", keys: [key]}}, spare: {{url: \"https://spare.test/v1\", keys: [k]}}}}\n\
         routes: [{{models: [\"*\"], targets: [{{provider: own}}], fallbacks: [{{provider: spare}}]}}]\n"
    );
    World::new(&config, move |asked: &Asked| {
        let script = Script::answer(asked, 5);
        if asked.host == "spare.test" { script } else { answer(asked, script) }
    })
}

/// The same answer with this before it.
fn after(bytes: &'static str, mut script: Script) -> Script {
    script.pieces.insert(0, (Duration::ZERO, Bytes::from_static(bytes.as_bytes())));
    script
}

/// An answer that is this alone.
fn only(bytes: &'static str, script: Script) -> Script {
    after(bytes, script.cut(0, crate::provider::Last::End))
}

/// Whose answer a client has heard whole.
async fn heard_whole(world: &Arc<World>, ask: Ask) -> String {
    let heard = world.ask(ask.clone()).await;
    assert_eq!(heard.status, 200, "{}", heard.text());
    if ask.stream {
        let said = read_events(Api::Chat, &heard.body).unwrap();
        assert!(said.finished && said.closed && heard.end == End::Clean, "{}", heard.text());
    }
    heard.header("x-pareto-provider").to_owned()
}

const FILTERED: &str = "data: {\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\",\"choices\":[],\
    \"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"}}}]}\n\n";

#[tokio::test(start_paused = true)]
async fn azure_takes_its_key_its_own_way_and_tells_its_filters_first() {
    let world = before("mine.openai.azure.com/openai/v1", |asked, script| {
        let mut script = if asked.stream { after(FILTERED, script) } else { script };
        script.headers.push(("x-ratelimit-remaining-requests", "-1".to_owned()));
        script
    });
    for ask in [Ask::chat(1).streamed(), Ask::chat(2)] {
        assert_eq!(heard_whole(&world, ask).await, "own", "what is left is unknown, not nothing");
    }
    let asked = world.provider.record(0).asked;
    assert_eq!(asked.target, "/openai/v1/chat/completions");
    assert_eq!((asked.headers["api-key"].as_bytes(), asked.credential.as_str()), (&b"key"[..], ""));
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_connection_awake_is_no_part_of_an_answer() {
    for (base, comment) in [
        ("api.deepseek.com", ": keep-alive\n\n"),
        ("openrouter.ai/api/v1", ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"),
    ] {
        let world = before(base, move |_, script| after(comment, script));
        assert_eq!(heard_whole(&world, Ask::chat(1).streamed()).await, "own", "{base}");
    }
    let world = before("api.deepseek.com", |_, script| after("\n\n\n", script));
    assert_eq!(heard_whole(&world, Ask::chat(1)).await, "own");
    assert_eq!(world.metric("tokens_total", "kind=\"output\""), 5.0, "blank lines before JSON are JSON");
    assert!(world.ask(Ask::chat(1)).await.cache().starts_with("hit"));
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_200_goes_to_the_next_whatever_its_form() {
    const ROUTER: &str = "{\"error\":{\"message\":\"Provider returned error\",\"code\":502}}";
    const OLD: &str = "{\"object\":\"error\",\"message\":\"out of memory\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}";
    const ROUTER_EVENT: &str = "data: {\"error\":{\"message\":\"Provider returned error\",\"code\":502}}\n\n";
    const OLD_EVENT: &str = "data: {\"object\":\"error\",\"message\":\"out of memory\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}\n\n";
    for (base, whole, event) in
        [("openrouter.ai/api/v1", ROUTER, ROUTER_EVENT), ("vllm.test/v1", OLD, OLD_EVENT)]
    {
        let world = before(base, move |asked, script| only(if asked.stream { event } else { whole }, script));
        for ask in [Ask::chat(1), Ask::chat(2).streamed()] {
            assert_eq!(heard_whole(&world, ask).await, "spare", "{base}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_ollama_has_not_pulled_is_the_next_ones_and_no_fault_of_its() {
    let world = before("localhost/v1", |_, script| script.status(404));
    for prompt in 0..12 {
        assert_eq!(heard_whole(&world, Ask::chat(prompt)).await, "spare");
    }
    let own = world.provider.log().iter().filter(|record| record.asked.host == "localhost").count();
    assert_eq!(own, 12, "its breaker stays closed");
}
