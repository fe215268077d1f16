//! Gemini in place of OpenAI, and OpenAI in place of Gemini: asked in the provider's words, told in the
//! client's. The simulated Gemini refuses what the real one does: calls without their proof, results
//! that do not match the calls before them.

use serde_json::{Value, json};

use super::{
    CHATS, GEMINI, GENERATE, STREAM, ask_structured, assert_streams_break, contents, directly, last, tools,
};
use crate::harness::{Ask, CHAT, Fault, Pareto};

fn generate(pareto: &Pareto, path: &str, text: &str) -> Ask {
    pareto.ask(path, contents(text))
}

#[tokio::test]
async fn an_openai_client_is_answered_by_gemini() {
    let pareto = Pareto::start(GEMINI).await;
    let answer = pareto.chat("sim:words=40 sim:think=9").set("max_completion_tokens", 500).await;
    let call = last(&pareto);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(call.path(), "/v1beta/models/gemini-3.8-flash:generateContent");
    assert_eq!((call.header("x-goog-api-key"), call.header("authorization")), (Some("g-key"), None));
    assert_eq!(call.json()["generationConfig"], json!({"maxOutputTokens": 500}));
    let geminis = directly(&pareto, &call).await;
    assert_eq!(answer.said(), geminis["candidates"][0]["content"]["parts"][0]["text"]);
    let body = answer.json();
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("gemini-3.8-flash")));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], geminis["usageMetadata"]["totalTokenCount"]);
    assert_eq!(
        body["usage"]["completion_tokens_details"]["reasoning_tokens"],
        geminis["usageMetadata"]["thoughtsTokenCount"]
    );
    assert_eq!(answer.header("x-pareto-provider"), "gemini");
    assert!(!answer.header("x-pareto-cost-usd").is_empty(), "priced as the model that answered");
}

#[tokio::test]
async fn a_stream_of_geminis_is_one_of_openais() {
    let pareto = Pareto::start(GEMINI).await;
    let answer = pareto.chat("sim:words=40").stream_with_usage().await;
    let (events, call) = (answer.events(), last(&pareto));
    assert!(call.target.ends_with(":streamGenerateContent?alt=sse"), "{}", call.target);
    assert!(answer.whole && events.len() > 8, "{}", answer.text());
    assert_eq!(*events.last().unwrap(), json!("[DONE]"));
    assert_eq!(events[events.len() - 3]["choices"][0]["finish_reason"], "stop");
    assert!(events[events.len() - 2]["usage"]["total_tokens"].as_u64() > Some(0));
    let body = pareto.chat("sim:words=40").await;
    assert!(body.is_hit() && body.said() == answer.said(), "one entry serves both forms");
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn parallel_calls_go_there_and_back_with_their_proof() {
    let pareto = Pareto::start(GEMINI).await;
    let asked = || pareto.chat("Oslo?").set("tools", tools());
    let answer = asked().await.json();
    let message = &answer["choices"][0]["message"];
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls", "{answer}");
    assert_eq!((&message["content"], message["tool_calls"].as_array().unwrap().len()), (&Value::Null, 2));
    let result = |at: usize| {
        let id = &message["tool_calls"][at]["id"];
        json!({"role": "tool", "tool_call_id": id, "content": format!("{at} m")})
    };
    // An app may send back the message as it is, or only what OpenAI's own reference names.
    let mut known = message.clone();
    known["tool_calls"].as_array_mut().unwrap().iter_mut().for_each(|call| {
        call.as_object_mut().unwrap().shift_remove("extra_content");
    });
    for (said, proof) in [(message, "c2ltdWxhdGVk"), (&known, "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=")]
    {
        let turns = json!([{"role": "user", "content": "Oslo?"}, said, result(1), result(0)]);
        let answered = asked().set("messages", turns).await;
        assert!(answered.status == 200 && !answered.said().is_empty(), "{}", answered.text());
        let contents = &last(&pareto).json()["contents"];
        assert_eq!(contents[1]["parts"][0]["thoughtSignature"], proof);
        let responses = contents[2]["parts"].as_array().unwrap().iter();
        let named: Vec<_> = responses.map(|part| &part["functionResponse"]["response"]["output"]).collect();
        assert_eq!(named, ["0 m", "1 m"], "in the order of the calls");
    }
}

#[tokio::test]
async fn streamed_calls_are_those_of_the_body() {
    let pareto = Pareto::start(GEMINI).await;
    let asked = || pareto.chat("Oslo?").set("tools", tools()).cache_control("no-store");
    let body = asked().await.json();
    let events = asked().stream().await.events();
    let pieces = events
        .iter()
        .flat_map(|event| event["choices"][0]["delta"]["tool_calls"].as_array().cloned().unwrap_or_default());
    let mut streamed = vec![String::new(); 2];
    for piece in pieces {
        streamed[piece["index"].as_u64().unwrap() as usize]
            .push_str(piece["function"]["arguments"].as_str().unwrap_or_default());
    }
    let calls = body["choices"][0]["message"]["tool_calls"].as_array().unwrap().iter();
    assert_eq!(
        calls.map(|call| call["function"]["arguments"].as_str().unwrap()).collect::<Vec<_>>(),
        streamed
    );
}

#[tokio::test]
async fn a_tool_history_of_openais_goes_on_at_gemini() {
    let pareto = Pareto::start(
        "
providers:
  openai: {url: \"{provider}\", keys: [sk-openai]}
  gemini: {url: \"{origin}\", dialect: gemini, keys: [g-key]}
routes:
  - models: [gpt-4o]
    targets: [{provider: openai}]
    fallbacks: [{provider: gemini, model: gemini-3.8-flash}]",
    )
    .await;
    let asked = || pareto.chat("Oslo?").set("tools", tools());
    let message = asked().await.json()["choices"][0]["message"].clone();
    let mut turns = vec![json!({"role": "user", "content": "Oslo?"}), message.clone()];
    for call in message["tool_calls"].as_array().unwrap() {
        turns.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "4 C"}));
    }
    pareto.provider.next(Fault::Status(503));
    let answer = asked().set("messages", turns).await;
    assert_eq!((answer.status, answer.header("x-pareto-provider")), (200, "gemini"), "{}", answer.text());
    assert!(!answer.said().is_empty());
}

#[tokio::test]
async fn structured_output_comes_in_the_schema_asked_for() {
    let pareto = Pareto::start(GEMINI).await;
    let schema = ask_structured(&pareto).await;
    let config = &last(&pareto).json()["generationConfig"];
    assert_eq!(
        (&config["responseMimeType"], &config["responseJsonSchema"]),
        (&json!("application/json"), &schema)
    );
}

#[tokio::test]
async fn what_gemini_has_no_words_for_names_its_field() {
    let pareto = Pareto::start(GEMINI).await;
    for (field, value) in [("verbosity", json!("low")), ("logit_bias", json!({"1": 2})), ("n", json!(9))] {
        let answer = pareto.chat("a").set(field, value).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(&format!("`{field}`")));
    }
    assert_eq!(pareto.provider.total(), 0);
}

#[tokio::test]
async fn what_gemini_held_back_is_filtered() {
    let pareto = Pareto::start(GEMINI).await;
    let answer = pareto.chat("sim:refuse").await;
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "content_filter", "{}", answer.text());
}

#[tokio::test]
async fn an_error_of_geminis_is_one_of_openais_to_the_client() {
    let pareto = Pareto::start(GEMINI).await;
    for (fault, status, code) in [
        (Fault::Status(403), 403, "permission_denied"),
        (Fault::Status(404), 404, "model_not_found"),
        (Fault::Status(429), 429, "rate_limit_exceeded"),
        (Fault::Status(503), 503, "overloaded_error"),
    ] {
        let pareto = Pareto::start(GEMINI).await;
        pareto.provider.always(Some(fault));
        let answer = pareto.chat("a").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
        if status == 429 {
            assert!(!answer.header("retry-after").is_empty(), "the wait stands only in Gemini's body");
        }
    }
    assert_streams_break(&pareto).await;
}

#[tokio::test]
async fn responses_are_served_by_gemini() {
    let pareto = Pareto::start(&GEMINI.replace("[gpt-4o]", "[\"*\"]")).await;
    let ask =
        |text: &str| pareto.ask("/v1/responses", json!({"model": "gpt-5", "input": text, "store": false}));
    let answer = ask("a").await;
    let (body, call) = (answer.json(), last(&pareto));
    assert_eq!((answer.status, &body["status"]), (200, &json!("completed")), "{}", answer.text());
    let geminis = directly(&pareto, &call).await;
    assert_eq!(
        body["output"][0]["content"][0]["text"],
        geminis["candidates"][0]["content"]["parts"][0]["text"]
    );
    let stream = ask("b").stream().await;
    assert!(stream.whole && stream.text().contains("event: response.completed\n"), "{}", stream.text());
}

#[tokio::test]
async fn a_gemini_client_is_answered_by_an_openai_server_where_allowed() {
    let pareto = Pareto::start(CHATS).await;
    let answer = generate(&pareto, GENERATE, "a").await;
    let call = last(&pareto);
    assert_eq!((answer.status, call.path()), (200, CHAT), "{}", answer.text());
    assert_eq!(
        (call.header("authorization"), call.header("x-goog-api-key")),
        (Some("Bearer sk-local"), None)
    );
    let body = answer.json();
    let openais = directly(&pareto, &call).await;
    assert_eq!(
        body["candidates"][0]["content"]["parts"][0]["text"],
        openais["choices"][0]["message"]["content"]
    );
    assert_eq!(body["candidates"][0]["finishReason"], "STOP");
    assert_eq!(body["usageMetadata"]["totalTokenCount"], openais["usage"]["total_tokens"]);
    let stream = generate(&pareto, STREAM, "b").await;
    let events = stream.events();
    assert!(stream.whole && last(&pareto).json()["stream"] == true, "{}", stream.text());
    assert!(
        events.last().unwrap()["usageMetadata"]["totalTokenCount"].as_u64() > Some(0),
        "{}",
        stream.text()
    );
    assert!(generate(&pareto, GENERATE, "b").await.is_hit());
}

#[tokio::test]
async fn a_gemini_client_calls_tools_of_an_openai_server() {
    let pareto = Pareto::start(CHATS).await;
    let declared = json!([{"functionDeclarations": [{"name": "weather", "parameters": {"type": "OBJECT",
        "properties": {"city": {"type": "STRING"}}, "required": ["city"]}}]}]);
    let answer = generate(&pareto, GENERATE, "Oslo?").set("tools", declared.clone()).await.json();
    let content = &answer["candidates"][0]["content"];
    let call = &content["parts"][0]["functionCall"];
    assert!(call["args"]["city"].is_string(), "{answer}");
    let response = json!({"functionResponse": {"name": "weather", "response": {"output": "4 C"}}});
    let turns = json!([{"role": "user", "parts": [{"text": "Oslo?"}]}, content,
        {"role": "user", "parts": [response]}]);
    let answered = generate(&pareto, GENERATE, "").set("contents", turns).set("tools", declared).await;
    assert!(
        answered.json()["candidates"][0]["content"]["parts"][0]["text"].is_string(),
        "{}",
        answered.text()
    );
    assert_eq!(last(&pareto).json()["messages"][2]["tool_call_id"], call["id"]);
}

#[tokio::test]
async fn an_error_of_openais_is_one_of_geminis_to_the_client() {
    let pareto = Pareto::start(CHATS).await;
    pareto.provider.always(Some(Fault::Status(429)));
    let answer = generate(&pareto, GENERATE, "a").await;
    assert_eq!((answer.status, &answer.json()["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    pareto.provider.always(Some(Fault::ErrorMidStream));
    let broken = generate(&pareto, STREAM, "sim:words=40").await;
    assert!(!broken.whole && broken.events().last().unwrap()["error"]["code"].is_u64(), "{}", broken.text());
}
