//! A stream that breaks off goes on at another target: the client sees one answer.

use serde_json::{Value, json};

use super::Two;
use crate::harness::{Answer, Ask, Binary, Fault, Pareto, Provider, provider};

const TEXT: &str = "one two three four five six seven eight nine ten eleven twelve";
/// A server of which the file says that it goes on from a text.
const IN_TURN: &str = "targets: [{provider: sim}], fallbacks: [{provider: other, model: llama, takes: {prefill: true}}], \
     resume: true, timeouts: {idle: 2s}";

fn say(two: &Two) -> Ask {
    two.pareto.chat(&format!("sim:say={TEXT}")).stream_with_usage()
}

/// What OpenAI's stream adds up to: one id, one model, one role, one finish, one usage, one end.
fn assert_one_answer(answer: &Answer, text: &str) {
    assert!((answer.status, answer.whole) == (200, true), "{}", answer.text());
    assert_eq!(answer.said(), text, "{}", answer.text());
    let events = answer.events();
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(done, "[DONE]");
    for member in ["id", "model", "created", "object"] {
        assert!(chunks.iter().all(|chunk| chunk[member] == chunks[0][member]), "{member}: {}", answer.text());
    }
    let having = |pointer: &str| {
        chunks.iter().filter(|chunk| chunk.pointer(pointer).is_some_and(|v| !v.is_null())).count()
    };
    assert_eq!(having("/choices/0/delta/role"), 1, "{}", answer.text());
    assert_eq!(having("/choices/0/finish_reason"), 1);
    assert_eq!(having("/usage"), 1);
    assert!(!answer.text().contains("\"error\""));
}

#[tokio::test]
async fn whatever_breaks_a_stream_the_client_sees_one_answer() {
    for fault in [
        Fault::ResetMidStream,
        Fault::FinMidStream,
        Fault::NoFinish,
        Fault::Malformed,
        Fault::ErrorMidStream,
        Fault::HangMidStream,
    ] {
        let two = Two::start(IN_TURN).await;
        two.pareto.provider.next(fault);
        let answer = say(&two).await;
        assert_one_answer(&answer, TEXT);
        assert_eq!(two.asked(), (1, 1), "{fault}");
        let asked = two.other.calls().remove(0).json();
        let begun = asked["messages"][1]["content"].as_str().unwrap();
        assert!(TEXT.starts_with(begun) && begun.len() > 3 && !begun.ends_with(' '), "{fault}: {begun:?}");
        assert_eq!((&asked["model"], &asked["continue_final_message"]), (&json!("llama"), &json!(true)));
        assert!(answer.text().contains("\n: x-pareto-resumed: other\n"), "{fault}: {}", answer.text());
        two.pareto.counts("resumed_total", &[("provider", "other")], 1.0).await;
    }
}

#[tokio::test]
async fn usage_and_cost_are_of_both_calls_and_nothing_is_stored() {
    let two = Two::start(IN_TURN).await;
    two.pareto.provider.next(Fault::ResetMidStream);
    let answer = say(&two).await;
    let events = answer.events();
    let usage = &events[events.len() - 2]["usage"];
    // Both were asked the question; together they said the text once.
    let alone = Two::start(IN_TURN).await;
    let events = say(&alone).await.events();
    let once = &events[events.len() - 2]["usage"];
    let count = |usage: &Value, name: &str| usage[name].as_f64().unwrap();
    assert!(count(usage, "prompt_tokens") > 1.5 * count(once, "prompt_tokens"), "{usage} {once}");
    assert!(count(usage, "completion_tokens") >= count(once, "completion_tokens"), "{usage} {once}");
    // The client is told what the books have: of the second call what it said, of the first an estimate.
    let sim = two.pareto.metric("tokens_total", &[("provider", "sim")]).await;
    let other = two.pareto.metric("tokens_total", &[("provider", "other")]).await;
    assert!(sim > 10.0 && other > 10.0, "{sim} {other}");
    assert_eq!(sim + other, count(usage, "total_tokens"), "{usage}");
    assert!(two.pareto.metric("cost_usd_total", &[("provider", "sim")]).await > 0.0);
    say(&two).await;
    assert_eq!(two.asked(), (2, 1), "an answer of two models was stored");
}

#[tokio::test]
async fn what_cannot_be_sewn_together_ends_with_an_error() {
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}}]);
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}});
    for (member, value) in
        [("tools", tools), ("response_format", format), ("n", json!(2)), ("logprobs", json!(true))]
    {
        let two = Two::start(IN_TURN).await;
        two.pareto.provider.next(Fault::ResetMidStream);
        say(&two).set(member, value).await.assert_broken_off();
        assert_eq!(two.asked(), (1, 0), "{member}");
    }
}

#[tokio::test]
async fn nobody_goes_on_where_the_route_does_not_say_so_or_no_target_can() {
    let other = "targets: [{provider: sim}], fallbacks: [{provider: other, takes: {prefill: true}}]";
    let unable = "targets: [{provider: sim}], fallbacks: [{provider: other}], resume: true";
    let spent = "targets: [{provider: sim}], fallbacks: [{provider: other, takes: {prefill: true}}], resume: true, \
                 retries: {attempts: 1}";
    for route in [other, unable, spent] {
        let two = Two::start(route).await;
        two.pareto.provider.next(Fault::ResetMidStream);
        say(&two).await.assert_broken_off();
        assert_eq!(two.asked(), (1, 0), "{route}");
    }
}

#[tokio::test]
async fn a_rest_that_breaks_off_as_well_is_gone_on_from_or_ends_with_an_error() {
    let two =
        Two::start(&format!("{IN_TURN}, retries: {{attempts: 3, backoff: {{base: 1ms, max: 1ms}}}}")).await;
    two.pareto.provider.next(Fault::ResetMidStream);
    two.other.next(Fault::ResetMidStream);
    assert_one_answer(&say(&two).await, TEXT);
    assert_eq!(two.asked(), (1, 2));
    // Who refuses connections is asked as well, but does not notice.
    for (fault, asked) in [
        (Fault::ResetMidStream, 1),
        (Fault::Status(503), 1),
        (Fault::Status(400), 1),
        (Fault::Refuse, 0),
        (Fault::ErrorInBody, 1),
        (Fault::Empty, 1),
    ] {
        let two = Two::start(&format!("{IN_TURN}, retries: {{attempts: 2}}")).await;
        two.pareto.provider.next(Fault::ResetMidStream);
        two.other.next(fault);
        let answer = say(&two).await;
        answer.assert_broken_off();
        assert!(TEXT.starts_with(&answer.said()) && answer.said().len() > 3, "{fault}: {}", answer.text());
        assert_eq!(two.asked(), (1, asked), "{fault}");
        two.pareto.counts("attempts_total", &[], 2.0).await;
    }
}

#[tokio::test]
async fn the_log_says_that_an_answer_went_on_elsewhere() {
    let (sim, other) = (provider().await, provider().await);
    let file = format!(
        "providers: {{sim: {{url: \"{}\", keys: [k]}}, other: {{url: \"{}\", keys: [k]}}}}\nroutes: [{{models: [\"gpt-*\"], {IN_TURN}}}]\n",
        sim.url(),
        other.url()
    );
    let mut pareto = Binary::start(&file).await;
    sim.next(Fault::ResetMidStream);
    let body = json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": format!("sim:say={TEXT}")}]});
    let asked =
        reqwest::Client::new().post(format!("http://{}/v1/chat/completions", pareto.address)).json(&body);
    let answer = Answer::of(asked.send().await.unwrap()).await;
    assert!(answer.whole, "{}", answer.text());
    assert!(pareto.logs("resumed").await.contains("exchange"));
}

#[tokio::test]
async fn who_refuses_the_rest_is_passed_by() {
    let two = Two::start(
        "targets: [{provider: sim}], resume: true, fallbacks: [{provider: other, model: one, takes: {prefill: true}}, \
         {provider: other, model: two, takes: {prefill: true}}]",
    )
    .await;
    two.pareto.provider.next(Fault::ResetMidStream);
    two.other.next(Fault::Status(400));
    assert_one_answer(&say(&two).await, TEXT);
    assert_eq!(two.asked(), (1, 2));
}

/// A sidecar before a simulated OpenAI, Anthropic and Gemini; the route is the model's name before the dash.
async fn three() -> (Pareto, Provider, Provider) {
    let (sim, claude, gemini) = (provider().await, provider().await, provider().await);
    let route = |first: &str, second: &str| {
        format!(
            "{{models: [\"{first}-{second}\"], targets: [{}], fallbacks: [{}], resume: true}}",
            target(first),
            target(second)
        )
    };
    let pairs = [
        ("openai", "claude"),
        ("openai", "gemini"),
        ("openai", "newer"),
        ("claude", "vllm"),
        ("claude", "openai"),
        ("gemini", "claude"),
        ("gemini", "vllm"),
    ];
    let routes: Vec<_> = pairs.iter().map(|(first, second)| route(first, second)).collect();
    let origin = |provider: &Provider| provider.url().trim_end_matches("/v1").to_owned();
    let file = format!(
        "providers: {{sim: {{url: \"{}\", keys: [k], translate: true}}, claude: {{url: \"{}\", dialect: anthropic, keys: [k], translate: true}}, \
         gemini: {{url: \"{}\", dialect: gemini, keys: [k], translate: true}}}}\nroutes: [{}]\n",
        sim.url(),
        origin(&claude),
        origin(&gemini),
        routes.join(", ")
    );
    (Pareto::before(sim, &file), claude, gemini)
}

fn target(name: &str) -> &'static str {
    match name {
        "openai" => "{provider: sim, model: gpt-4o}",
        "vllm" => "{provider: sim, model: llama, takes: {prefill: true}}",
        "claude" => "{provider: claude, model: claude-sonnet-4-5}",
        "newer" => "{provider: claude, model: claude-opus-4-8}",
        _ => "{provider: gemini, model: gemini-2.5-flash}",
    }
}

#[tokio::test]
async fn an_answer_goes_on_in_another_api() {
    for (model, first, second) in [
        ("openai-claude", "sim", "claude"),
        ("claude-vllm", "claude", "sim"),
        ("gemini-claude", "gemini", "claude"),
        ("gemini-vllm", "gemini", "sim"),
    ] {
        let (pareto, claude, gemini) = three().await;
        match first {
            "sim" => pareto.provider.next(Fault::ResetMidStream),
            "claude" => claude.next(Fault::ResetMidStream),
            _ => gemini.next(Fault::ResetMidStream),
        }
        let ask = pareto.chat(&format!("sim:say={TEXT}")).set("model", model);
        let answer = ask.stream_with_usage().await;
        assert_one_answer(&answer, TEXT);
        assert!(answer.text().contains(&format!("\n: x-pareto-resumed: {second}\n")), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_model_that_takes_no_beginning_is_not_asked_to_go_on() {
    for model in ["openai-newer", "openai-gemini"] {
        let (pareto, claude, gemini) = three().await;
        pareto.provider.next(Fault::ResetMidStream);
        pareto.chat(&format!("sim:say={TEXT}")).set("model", model).stream().await.assert_broken_off();
        assert_eq!((claude.total(), gemini.total()), (0, 0), "{model}");
    }
}

#[tokio::test]
async fn clients_of_messages_and_of_gemini_see_one_answer_too() {
    for model in ["claude-openai", "claude-vllm"] {
        let (pareto, claude, _) = three().await;
        claude.next(Fault::ResetMidStream);
        let body = json!({"model": model, "max_tokens": 100, "stream": true, "messages": [{"role": "user", "content": format!("sim:say={TEXT}")}]});
        let answer = pareto.ask("/v1/messages", body).with("anthropic-version", "2023-06-01").await;
        let events = answer.events();
        let kinds: Vec<_> = events
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .filter(|kind| *kind != "ping")
            .collect();
        let said: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
        assert!(said == TEXT && answer.whole, "{}", answer.text());
        let deltas = kinds.iter().filter(|kind| **kind == "content_block_delta").count();
        assert!(deltas > 2);
        let mut once = kinds.clone();
        once.dedup();
        assert_eq!(
            once,
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop"
            ]
        );
    }
    let (pareto, claude, gemini) = three().await;
    gemini.next(Fault::ResetMidStream);
    let body = json!({"contents": [{"role": "user", "parts": [{"text": format!("sim:say={TEXT}")}]}]});
    let answer = pareto.ask("/v1beta/models/gemini-claude:streamGenerateContent?alt=sse", body).await;
    let events = answer.events();
    let said: String = events
        .iter()
        .filter_map(|event| event.pointer("/candidates/0/content/parts/0/text")?.as_str())
        .collect();
    let asked = claude.calls().iter().map(|call| call.json().to_string()).collect::<Vec<_>>();
    assert!(said == TEXT && answer.whole, "{asked:?} {}", answer.text());
    // Google's Python SDK takes a comment for JSON.
    assert!(!answer.text().contains("\n: "), "{}", answer.text());
    assert!(events.iter().all(|event| event["responseId"] == events[0]["responseId"]), "{}", answer.text());
    assert_eq!(
        events.iter().filter(|event| event.pointer("/candidates/0/finishReason").is_some()).count(),
        1
    );
}

/// Asks for a response in events; the provider need not keep it.
fn respond(two: &Two) -> Ask {
    let body = json!({"model": "gpt-4o", "store": false, "input": format!("sim:say={TEXT}")});
    two.pareto.ask("/v1/responses", body).stream()
}

/// What a client of responses may rely on: numbers without a gap, one message, whole at its end.
fn assert_one_response(answer: &Answer) {
    assert!((answer.status, answer.whole) == (200, true), "{}", answer.text());
    let events = answer.events();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{}", answer.text());
    }
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    for once in [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ] {
        assert_eq!(of(once).len(), 1, "{once}: {}", answer.text());
    }
    let said: String =
        of("response.output_text.delta").iter().map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!(said, TEXT);
    let (begun, done) = (&of("response.created")[0]["response"], &of("response.completed")[0]["response"]);
    for member in ["id", "model", "created_at", "metadata", "service_tier"] {
        assert_eq!(begun[member], done[member], "{member}");
    }
    assert_eq!((&done["status"], &done["store"]), (&json!("completed"), &json!(false)));
    let item = &done["output"][0];
    assert_eq!((&item["content"][0]["text"], done["output"].as_array().unwrap().len()), (&json!(TEXT), 1));
    assert_eq!(item["id"], of("response.output_item.added")[0]["item"]["id"]);
    assert!(of("response.output_text.delta").iter().all(|event| event["item_id"] == item["id"]));
    assert!(done["usage"]["output_tokens"].as_u64() > Some(5), "{}", done["usage"]);
}

#[tokio::test]
async fn a_response_goes_on_at_a_chat_server() {
    for fault in [Fault::ResetMidStream, Fault::HangMidStream, Fault::ErrorMidStream] {
        let two = Two::start(IN_TURN).await;
        two.pareto.provider.next(fault);
        let answer = respond(&two).await;
        assert_one_response(&answer);
        assert!(answer.text().contains("\n: x-pareto-resumed: other\n"), "{fault}: {}", answer.text());
        assert_eq!(two.asked(), (1, 1), "{fault}");
        let call = two.other.calls().remove(0);
        assert_eq!(call.path(), "/v1/chat/completions");
        assert_eq!(call.json()["continue_final_message"], true, "{fault}");
    }
}

#[tokio::test]
async fn a_response_that_was_translated_from_the_start_goes_on_too() {
    let (pareto, claude, _) = three().await;
    claude.next(Fault::ResetMidStream);
    let body = json!({"model": "claude-vllm", "store": false, "input": format!("sim:say={TEXT}")});
    assert_one_response(&pareto.ask("/v1/responses", body).stream().await);
    assert_eq!((claude.total(), pareto.provider.total()), (1, 1));
}

#[tokio::test]
async fn a_response_that_only_its_maker_can_finish_ends_with_an_error_numbered_after_the_rest() {
    let kept = json!({"store": true});
    let thoughts = json!({"reasoning": {"effort": "high"}});
    let continued = json!({"previous_response_id": "resp_123456789"});
    for extra in [kept, thoughts, continued] {
        let two = Two::start(IN_TURN).await;
        two.pareto.provider.next(Fault::ResetMidStream);
        let (name, value) = extra.as_object().unwrap().iter().next().unwrap();
        let answer = respond(&two).set(name, value.clone()).await;
        assert!(!answer.whole, "{name}");
        let events = answer.events();
        assert!(events.len() > 5 && events.last().unwrap()["type"] == "error", "{}", answer.text());
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number, "{}", answer.text());
        }
        assert_eq!(two.asked(), (1, 0), "{name}");
    }
}

#[tokio::test]
async fn nobody_is_asked_to_go_on_for_a_client_that_has_left() {
    let two = Two::start(IN_TURN).await;
    two.pareto.provider.next(Fault::HangMidStream);
    let mut live = say(&two).open().await;
    live.events(2).await;
    drop(live);
    two.pareto.becomes("active_requests", &[], 0.0).await;
    two.pareto.becomes("attempts_total", &[("provider", "sim"), ("result", "abandoned")], 1.0).await;
    assert_eq!(two.asked(), (1, 0));
}
