//! Rules: what is answered without a provider, refused, changed, or cached otherwise.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, CHAT, Hold, Pareto, chat, within};

const GREETING: &str = r#"
rules:
  - name: greeting
    when: {endpoint: [chat, completions, responses, messages, generate], last_message: {one_of: [hi, hello, thanks, "السلام عليكم", "شكرا"]}}
    then: {answer: "أهلا! كيف أساعدك؟"}
"#;
const SAID: &str = "أهلا! كيف أساعدك؟";

/// A question to each of the five APIs that converse, by path.
fn asking(text: &str) -> [(&'static str, Value); 5] {
    [
        (CHAT, json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})),
        ("/v1/completions", json!({"model": "gpt-3.5-turbo-instruct", "prompt": text})),
        ("/v1/responses", json!({"model": "gpt-4o", "input": text})),
        (
            "/v1/messages",
            json!({"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": [{"role": "user", "content": text}]}),
        ),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}),
        ),
    ]
}

/// Where each API has the text of an answer.
const SAYS: [&str; 5] = [
    "/choices/0/message/content",
    "/choices/0/text",
    "/output/0/content/0/text",
    "/content/0/text",
    "/candidates/0/content/parts/0/text",
];

fn assert_answered(answer: &Answer, rule: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-pareto-rule"), rule);
    assert_eq!(answer.header("cache-status"), "pareto; detail=rule");
}

#[tokio::test]
async fn a_greeting_is_answered_in_each_apis_own_form_without_the_provider() {
    let pareto = Pareto::start(GREETING).await;
    for ((path, body), place) in asking("السَّلامُ عليكم 👋").into_iter().zip(SAYS) {
        let answer = pareto.ask(path, body).await;
        assert_answered(&answer, "greeting");
        let body = answer.json();
        assert_eq!(body.pointer(place).and_then(Value::as_str), Some(SAID), "{path}: {body}");
        let used = body.get("usage").or(body.get("usageMetadata")).unwrap();
        let tokens: Vec<_> = used.as_object().unwrap().values().filter_map(Value::as_u64).collect();
        assert!(!tokens.is_empty() && tokens.iter().all(|tokens| *tokens == 0), "{path}: {used}");
        assert!(answer.header("x-request-id").starts_with("req_pareto_"));
    }
    assert_eq!(pareto.provider.total(), 0);
    pareto.counts("requests_total", &[("outcome", "rule")], 5.0).await;
    pareto.counts("saved_calls_total", &[("by", "rule")], 5.0).await;
    pareto.counts("rules_matched_total", &[("rule", "greeting"), ("action", "answer")], 5.0).await;
}

#[tokio::test]
async fn a_greeting_is_streamed_where_a_stream_was_asked_for() {
    let pareto = Pareto::start(GREETING).await;
    let chat = pareto.chat("Hello!").stream_with_usage().await;
    assert_answered(&chat, "greeting");
    assert_eq!((chat.said().as_str(), chat.events().last()), (SAID, Some(&json!("[DONE]"))));
    let usage = chat.events().iter().filter(|event| event["usage"].is_object()).count();
    assert_eq!(usage, 1);
    let [_, completions, responses, messages, _] = asking("Hello!");
    let text = |answer: &Answer, place: &str| {
        let events = answer.events();
        events
            .iter()
            .filter_map(|event| event.pointer(place)?.as_str().map(str::to_owned))
            .collect::<String>()
    };
    for ((path, body), place) in
        [(completions, "/choices/0/text"), (responses, "/delta"), (messages, "/delta/text")]
    {
        let answer = pareto.ask(path, body).stream().await;
        assert_answered(&answer, "greeting");
        assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
        assert_eq!(text(&answer, place), SAID, "{path}");
    }
    let gemini = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    let answer = pareto.ask(gemini, json!({"contents": [{"parts": [{"text": "hi"}]}]})).await;
    assert_answered(&answer, "greeting");
    assert_eq!(text(&answer, "/candidates/0/content/parts/0/text"), SAID);
    assert_eq!(pareto.provider.total(), 0);
}

#[tokio::test]
async fn whatever_says_more_than_a_greeting_goes_to_the_provider() {
    let pareto = Pareto::start(GREETING).await;
    let messages = |messages: Value| pareto.ask(CHAT, json!({"model": "gpt-4o", "messages": messages}));
    let image = json!([{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://a.example/a.png"}}]);
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    for conversation in [
        json!([{"role": "user", "content": "hi, where is my order?"}]),
        json!([{"role": "user", "content": image}]),
        json!([{"role": "user", "content": "thanks"}, {"role": "assistant", "tool_calls": [call]},
               {"role": "tool", "tool_call_id": "c", "content": "done"}]),
    ] {
        let answer = messages(conversation).await;
        assert_eq!((answer.status, answer.header("x-pareto-rule")), (200, ""), "{}", answer.text());
    }
    assert_eq!(pareto.provider.total(), 3);
}

#[tokio::test]
async fn a_conversation_goes_on_after_an_answer_of_a_rule() {
    let pareto = Pareto::start(GREETING).await;
    let ask = |text: &str, previous: Value| {
        pareto
            .ask("/v1/responses", json!({"model": "gpt-4o", "input": text, "previous_response_id": previous}))
    };
    let sent = |call: usize| pareto.provider.calls()[call].json()["previous_response_id"].clone();
    let greeted = ask("hi", Value::Null).await.json();
    let first = ask("where is my order?", greeted["id"].clone()).await.json();
    assert_eq!(sent(0), Value::Null);
    let thanked = ask("thanks", first["id"].clone()).await.json();
    let again = ask("thanks", thanked["id"].clone()).await.json();
    assert!(again["id"].as_str().unwrap().starts_with("resp_pareto_"));
    ask("and when?", again["id"].clone()).await;
    assert_eq!(sent(1), first["id"]);
}

#[tokio::test]
async fn a_search_is_answered_with_no_results() {
    let pareto = Pareto::start(
        "rules: [{name: noise, when: {endpoint: vector_store_search, last_message: {only: [emoji, punctuation]}}, then: {answer: no_results}}]",
    )
    .await;
    let search = |query: &str| pareto.ask("/v1/vector_stores/vs_1/search", json!({"query": query}));
    let answer = search("👍!!").await;
    assert_answered(&answer, "noise");
    let page = json!({"object": "vector_store.search_results.page", "search_query": ["👍!!"], "data": [],
                      "has_more": false, "next_page": null});
    assert_eq!(answer.json(), page);
    assert_ne!(search("size of shoes").await.json()["data"], json!([]));
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn trivial_inputs_share_the_embedding_of_one_text() {
    let pareto = Pareto::start(
        "rules: [{name: noise, when: {endpoint: embeddings, last_message: {only: emoji}}, then: {answer: {embedding_of: greeting}}}]",
    )
    .await;
    let embed = |input: &str| {
        pareto.ask("/v1/embeddings", json!({"model": "text-embedding-3-small", "input": input}))
    };
    let wanted = embed("greeting").await.json()["data"].clone();
    for input in ["👍", "🙏🙏"] {
        let answer = embed(input).await;
        assert_eq!(answer.header("x-pareto-rule"), "noise");
        assert_eq!(answer.json()["data"], wanted);
    }
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn a_denied_request_gets_the_rules_message_in_the_form_sdks_know() {
    let pareto = Pareto::start(
        "rules:
  - {name: secrets, when: {last_message: {matches: 'sk-[A-Za-z0-9]{20}'}}, then: {deny: {status: 400, message: Take the key out.}}}
  - {name: old, when: {model: 'gpt-3.5*'}, then: {deny: This model is no longer used.}}",
    )
    .await;
    let denied = pareto.chat("my key is sk-abcdefghijklmnopqrstuvwx").stream().await;
    denied.assert_refused(400, "pareto_denied");
    assert_eq!(denied.json()["error"]["message"], "Take the key out.");
    assert_eq!(denied.header("x-pareto-rule"), "secrets");
    let denied = pareto.chat("a").set("model", "gpt-3.5-turbo").await;
    denied.assert_refused(403, "pareto_denied");
    assert_eq!(denied.header("cache-status"), "pareto; detail=rule");
    assert_eq!(pareto.provider.total(), 0);
    pareto.counts("requests_total", &[("outcome", "rule")], 2.0).await;
    assert_eq!(pareto.metric("saved_calls_total", &[("by", "rule")]).await, 0.0);
}

#[tokio::test]
async fn what_passes_unread_can_be_denied_by_path_and_method() {
    let pareto = Pareto::start(
        "rules: [{name: no-files, when: {method: [POST, DELETE], path: '/v1/files*', not: {header: {x-team: ops}}}, then: {deny: Files are handled by ops.}}]",
    )
    .await;
    let send = |method: Method, team: &'static str| {
        let request = pareto.request(method, "/v1/files").bearer_auth("sk-alice").header("x-team", team);
        async move { Answer::of(request.body("a file").send().await.unwrap()).await }
    };
    let denied = send(Method::POST, "shop").await;
    denied.assert_refused(403, "pareto_denied");
    assert_eq!(denied.header("x-pareto-rule"), "no-files");
    assert_eq!(pareto.provider.total(), 0);
    assert_ne!(send(Method::GET, "shop").await.status, 403);
    assert_ne!(send(Method::POST, "ops").await.status, 403);
    assert_eq!(pareto.provider.total(), 2);
    assert_eq!(pareto.chat("a").await.status, 200);
    pareto.counts("rules_matched_total", &[("rule", "no-files"), ("action", "deny")], 1.0).await;
}

#[tokio::test]
async fn trivial_turns_go_to_a_cheaper_model_and_nothing_else_of_them_changes() {
    let pareto = Pareto::start(
        "providers: {p: {url: \"{origin}\"}}
rules: [{name: trivial, when: {last_message: {shorter_than: 20}, has: {tools: false}}, then: {model: small-model}}]",
    )
    .await;
    let odd = r#"{"top_p" : 1.0, "model":"gpt-4o","messages":[{"role":"user","content":"\u0061"}], "new_field":[1e0]}"#;
    let request = pareto.request(Method::POST, CHAT).bearer_auth("sk-alice").body(odd);
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!((answer.status, answer.header("x-pareto-rule")), (200, "trivial"), "{}", answer.text());
    assert_eq!(answer.header("x-pareto-model"), "small-model");
    let sent = String::from_utf8(pareto.provider.calls()[0].body.to_vec()).unwrap();
    assert_eq!(sent, odd.replace("gpt-4o", "small-model"));
    // The key is that of what was sent: who asks the small model itself meets the same answer.
    let direct =
        pareto.chat("a").set("model", "small-model").set("top_p", 1).set("new_field", json!([1])).await;
    assert!(direct.is_hit(), "{}", direct.cache());
    let gemini = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse";
    pareto.ask(gemini, json!({"contents": [{"parts": [{"text": "a"}]}]})).await;
    let called = pareto.provider.calls().last().unwrap().target.clone();
    assert!(called.starts_with("/v1beta/models/small-model:streamGenerateContent"), "{called}");
}

#[tokio::test]
async fn fields_are_set_and_dropped() {
    let pareto = Pareto::start(
        "rules:
  - {name: threshold, when: {endpoint: vector_store_search}, then: {set: {/ranking_options/score_threshold: 0.85}}}
  - {name: no-search, when: {endpoint: responses, header: {x-store: empty}}, then: {drop: ['/tools/[type=file_search]', /user]}}",
    )
    .await;
    let search = pareto.ask("/v1/vector_stores/vs_1/search", json!({"query": "q"})).await.json();
    let scores: Vec<_> = search["data"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64()).collect();
    assert!(scores.iter().all(|score| *score >= Some(0.85)), "{scores:?}");
    let body = json!({"model": "gpt-4o", "store": false, "user": "u", "input": "find it",
                      "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}], "tool_choice": "auto"});
    let answer = pareto.ask("/v1/responses", body).with("x-store", "empty").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = pareto.provider.calls()[1].json();
    assert_eq!(sent, json!({"model": "gpt-4o", "store": false, "input": "find it"}));
    // Without the hosted tool the answer is one to share, and is.
    assert!(answer.cache().contains("stored"), "{}", answer.cache());
}

#[tokio::test]
async fn a_rule_changes_what_the_cache_and_coalescing_do() {
    let pareto = Pareto::start(
        "cache: {exact: {normalize: []}}
rules:
  - {name: hot, when: {temperature: {above: 1.0}}, then: {cache: off, coalesce: off}}
  - {name: faq, when: {tenant: faq}, then: {cache: {ttl: 2h, normalize: [case]}}}",
    )
    .await;
    for _ in 0..2 {
        let answer = pareto.chat("a").set("temperature", 1.2).await;
        assert_eq!((answer.cache(), answer.header("x-pareto-rule")), ("fwd=miss", "hot"));
    }
    pareto.chat("Hello").with("x-tenant-id", "faq").await;
    let hit = pareto.chat("hello").with("x-tenant-id", "faq").await;
    assert!(hit.is_hit() && hit.cache().contains("ttl=7200"), "{}", hit.cache());
    assert_eq!(hit.header("x-pareto-rule"), "faq");
    pareto.chat("Bye").await;
    assert!(!pareto.chat("bye").await.is_hit());
}

#[tokio::test]
async fn rules_that_observe_count_and_do_nothing() {
    let pareto = Pareto::start(&format!("{GREETING}features: {{rules: observe}}")).await;
    let answer = pareto.chat("hi").await;
    assert_eq!((answer.header("x-pareto-rule"), answer.cache()), ("", "fwd=miss; stored"));
    assert_eq!(pareto.provider.total(), 1);
    pareto.counts("observed_calls_total", &[("by", "rules")], 1.0).await;
    pareto.counts("rules_matched_total", &[("rule", "greeting"), ("action", "observed")], 1.0).await;
    assert_eq!(pareto.metric("requests_total", &[("outcome", "rule")]).await, 0.0);
}

#[tokio::test]
async fn rules_for_half_of_the_tenants_act_for_the_same_half() {
    let pareto = Pareto::start(&format!("{GREETING}features: {{rules: 50%, cache: off}}")).await;
    let mut acting = Vec::new();
    for _ in 0..2 {
        for tenant in 0..30 {
            let answer = pareto.chat("hi").with("x-tenant-id", &format!("tenant-{tenant}")).await;
            acting.push(answer.header("x-pareto-rule") == "greeting");
        }
    }
    let (first, second) = acting.split_at(30);
    assert_eq!(first, second);
    assert!(first.contains(&true) && first.contains(&false));
}

#[tokio::test]
async fn explain_says_why_each_rule_matches_or_not() {
    let pareto = Pareto::start(&format!(
        "rules:
  - {{name: other, when: {{endpoint: responses}}, then: {{deny: no}}}}
{}",
        GREETING.trim_start().trim_start_matches("rules:\n")
    ))
    .await;
    let described = json!({"endpoint": "chat", "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}});
    let said = pareto.explain(described).await.json();
    assert_eq!(said["rules"]["other"]["value"], false, "{said}");
    assert_eq!(said["rules"]["other"]["why"], "endpoint is chat, not responses");
    assert_eq!(said["rules"]["greeting"], json!({"value": true, "why": "answer"}));
    assert_eq!(pareto.metric("rules_matched_total", &[]).await, 0.0);
}

#[tokio::test]
async fn explain_says_what_a_rule_changes_and_what_is_so_because_of_it() {
    let pareto = Pareto::start(
        "rules:
  - {name: fresh, when: {tenant: news}, then: {cache: off, coalesce: off}}
  - {name: long, when: {tenant: faq}, then: {cache: {ttl: 2h, normalize: [case]}, model: gpt-4o-mini, tag: faq}}
  - {name: rest, when: {endpoint: chat}, then: {burst: {window: 1s, key: user}}}",
    )
    .await;
    let explained = async |tenant: &str| {
        let headers = json!({"authorization": "Bearer sk-alice", "x-tenant-id": tenant});
        pareto.explain(json!({"endpoint": "chat", "headers": headers, "body": chat("Hi")})).await.json()
    };
    let ruled = |value: Value| json!({"value": value, "why": "the rule that decides says so"});
    let fresh = explained("news").await;
    assert_eq!(fresh["rules"]["fresh"], json!({"value": true, "why": "change of cache, coalesce"}));
    assert_eq!(fresh["rules"]["long"]["why"], "tenant is news, not faq");
    assert_eq!(fresh["rules"]["rest"], json!({"value": false, "why": "fresh decides before it"}));
    assert_eq!(
        (&fresh["cache"]["policy"], &fresh["coalesce"]["policy"]),
        (&ruled(json!("off")), &ruled(json!("off")))
    );
    let long = explained("faq").await;
    assert_eq!(long["rules"]["fresh"]["why"], "tenant is faq, not news");
    assert_eq!(long["rules"]["long"]["why"], "change of cache, model, tag");
    assert_eq!(long["cache"]["ttl"], ruled(json!("2h")));
    assert_eq!(long["cache"]["normalize"]["value"], json!(["case"]));
    let rest = explained("acme").await;
    assert_eq!(rest["rules"]["rest"]["why"], "change of burst");
    assert_eq!(rest["cache"]["policy"], json!({"value": "on"}));
}

#[tokio::test]
async fn requests_that_a_rule_lets_share_no_call_make_one_each() {
    let pareto = Pareto::start(
        "rules: [{name: alone, when: {header: {x-alone: '*'}}, then: {coalesce: off, cache: off}}]",
    )
    .await;
    pareto.provider.hold(Hold::BeforeHead);
    let asked: Vec<_> = (0..3).map(|_| pareto.chat("a").with("x-alone", "1").spawn()).collect();
    within("a call for each", pareto.provider.received(3)).await;
    let sharing: Vec<_> = (0..3).map(|_| pareto.chat("a").spawn()).collect();
    within("one call for all others", pareto.provider.received(4)).await;
    pareto.waiting(2).await;
    pareto.provider.release();
    for answer in asked {
        assert_eq!(answer.await.unwrap().cache(), "fwd=miss");
    }
    for answer in sharing {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    assert_eq!(pareto.provider.total(), 4);
}

#[tokio::test]
async fn conditions_within_conditions_decide_as_they_are_nested() {
    let pareto = Pareto::start(
        "rules:
  - name: nested
    when:
      any:
        - all: [{header: {x-team: shop}}, {not: {any: [{last_message: {matches: human}}, {stream: true}]}}]
        - {tenant: demo, not: {model: 'gpt-4o'}}
    then: {deny: no}",
    )
    .await;
    let shop = |text: &str| pareto.chat(text).with("x-team", "shop");
    let demo = |model: &str| pareto.chat("a").with("x-tenant-id", "demo").set("model", model);
    for (asked, denied) in [
        (shop("a"), true),
        (shop("a human please"), false),
        (shop("a").stream(), false),
        (pareto.chat("a"), false),
        (demo("gpt-4o"), false),
        (demo("gpt-4.1"), true),
    ] {
        assert_eq!(asked.await.status == 403, denied);
    }
}
