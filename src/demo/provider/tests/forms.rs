//! Each answer has the form its reference names.

use serde_json::{Value, json};

use super::client::{get, post, provider};

fn ask(content: &str) -> Value {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}]})
}

fn with(mut body: Value, members: Value) -> Value {
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

fn weather() -> Value {
    let tool = |name| {
        json!({"type": "function", "function": {"name": name, "parameters":
            {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}})
    };
    json!({"tools": [tool("weather"), tool("tides")]})
}

#[tokio::test]
async fn same_request_same_words_new_id() {
    let provider = provider().await;
    let first = post(&provider, "/v1/chat/completions", &ask("hi")).await;
    let second = post(&provider, "/v1/chat/completions", &ask("hi")).await;
    assert_eq!(first.json()["choices"], second.json()["choices"]);
    assert_eq!(first.json()["usage"], second.json()["usage"]);
    assert_ne!(first.json()["id"], second.json()["id"]);
    assert_ne!(first.json()["created"], second.json()["created"]);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    let other = post(&provider, "/v1/chat/completions", &ask("hello")).await;
    assert_ne!(first.json()["choices"], other.json()["choices"]);
}

#[tokio::test]
async fn chat_answer_has_every_member_clients_require() {
    let provider = provider().await;
    let answer = post(&provider, "/v1/chat/completions", &ask("hi")).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    let choice = &body["choices"][0];
    assert!(choice["message"]["content"].is_string());
    assert!(choice["message"]["refusal"].is_null() && choice["message"].get("refusal").is_some());
    assert!(choice.get("logprobs").is_some());
    assert_eq!(choice["finish_reason"], "stop");
    let usage = &body["usage"];
    let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
}

/// Folds chunks the way a client does.
fn fold(chunks: &[Value], index: u64) -> (String, Vec<(String, String)>, String) {
    let (mut text, mut calls, mut finish) = (String::new(), Vec::<(String, String)>::new(), String::new());
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().cloned().unwrap_or_default());
    for choice in choices.filter(|choice| choice["index"] == index) {
        text += choice["delta"]["content"].as_str().unwrap_or_default();
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let at = call["index"].as_u64().unwrap() as usize;
            if at == calls.len() {
                calls.push((call["function"]["name"].as_str().unwrap().to_owned(), String::new()));
            }
            calls[at].1 += call["function"]["arguments"].as_str().unwrap();
        }
        finish += choice["finish_reason"].as_str().unwrap_or_default();
    }
    (text, calls, finish)
}

#[tokio::test]
async fn stream_says_what_the_json_says() {
    let provider = provider().await;
    for extra in [json!({}), json!({"n": 3}), json!({"max_tokens": 3}), weather()] {
        let whole = post(&provider, "/v1/chat/completions", &with(ask("hi"), extra.clone())).await.json();
        let body = with(with(ask("hi"), extra), json!({"stream": true}));
        let stream = post(&provider, "/v1/chat/completions", &body).await;
        assert_eq!(stream.header("content-type"), Some("text/event-stream; charset=utf-8"));
        let mut data = stream.data();
        assert_eq!(data.pop().unwrap(), "[DONE]");
        assert!(data.iter().all(|chunk| chunk["id"] == data[0]["id"] && chunk.get("usage").is_none()));
        for (index, choice) in (0..).zip(whole["choices"].as_array().unwrap()) {
            let (text, calls, finish) = fold(&data, index);
            assert_eq!(text, choice["message"]["content"].as_str().unwrap_or_default());
            let expected = choice["message"]["tool_calls"].as_array().into_iter().flatten();
            let expected: Vec<_> = expected
                .map(|call| {
                    let text = |member: &str| call["function"][member].as_str().unwrap().to_owned();
                    (text("name"), text("arguments"))
                })
                .collect();
            assert_eq!(calls, expected);
            assert_eq!(finish, choice["finish_reason"].as_str().unwrap());
        }
    }
}

#[tokio::test]
async fn usage_chunk_comes_only_when_asked_for() {
    let provider = provider().await;
    let whole = post(&provider, "/v1/chat/completions", &ask("hi")).await.json();
    let body = with(ask("hi"), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let mut data = post(&provider, "/v1/chat/completions", &body).await.data();
    data.pop();
    let last = data.pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], whole["usage"]);
    assert!(data.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
}

#[tokio::test]
async fn parallel_tool_calls_are_one_per_tool_with_valid_arguments() {
    let provider = provider().await;
    let answer = post(&provider, "/v1/chat/completions", &with(ask("hi"), weather())).await.json();
    let message = &answer["choices"][0]["message"];
    assert!(message["content"].is_null());
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let calls = message["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    for call in calls {
        let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        assert!(arguments["city"].is_string() && arguments["days"].is_u64());
    }
    let single = with(with(ask("hi"), weather()), json!({"parallel_tool_calls": false}));
    let answer = post(&provider, "/v1/chat/completions", &single).await.json();
    assert_eq!(answer["choices"][0]["message"]["tool_calls"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn refusals_and_log_probabilities() {
    let provider = provider().await;
    let refused = post(&provider, "/v1/chat/completions", &ask("sim:refuse")).await.json();
    assert!(refused["choices"][0]["message"]["content"].is_null());
    assert!(refused["choices"][0]["message"]["refusal"].is_string());
    let body = with(ask("hi"), json!({"logprobs": true, "top_logprobs": 2}));
    let answer = post(&provider, "/v1/chat/completions", &body).await.json();
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap().clone();
    let text: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
    assert_eq!(text, answer["choices"][0]["message"]["content"].as_str().unwrap());
    assert!(tokens.iter().all(|token| token["top_logprobs"].as_array().unwrap().len() == 2));
}

#[tokio::test]
async fn structured_answer_is_json_of_its_schema() {
    let provider = provider().await;
    let schema = json!({"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "m", "schema": schema}});
    let body = with(ask("hi"), json!({"response_format": format}));
    let answer = post(&provider, "/v1/chat/completions", &body).await.json();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let value: Value = serde_json::from_str(text).unwrap();
    assert!(value["mood"] == "good" || value["mood"] == "bad");
}

#[tokio::test]
async fn arabic_is_answered_in_arabic() {
    let provider = provider().await;
    let answer = post(&provider, "/v1/chat/completions", &ask("كم سعر الشحن؟")).await.json();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(text.chars().any(|letter| ('\u{600}'..'\u{700}').contains(&letter)), "{text}");
}

#[tokio::test]
async fn completions_answer_each_prompt() {
    let provider = provider().await;
    let body = json!({"model": "m", "prompt": ["a", "b"], "max_tokens": 4});
    let answer = post(&provider, "/v1/completions", &body).await.json();
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    assert_eq!(answer["choices"][1]["finish_reason"], "length");
    let tokens = json!({"model": "m", "prompt": [1, 2, 3], "stream": true});
    let data = post(&provider, "/v1/completions", &tokens).await.data();
    assert_eq!(data.last().unwrap(), "[DONE]");
    assert!(data[0]["choices"][0]["text"].is_string());
}

#[tokio::test]
async fn responses_stream_in_the_order_of_the_reference() {
    let provider = provider().await;
    let body = json!({"model": "m", "input": "hi"});
    let whole = post(&provider, "/v1/responses", &body).await.json();
    assert_eq!((&whole["status"], &whole["object"]), (&json!("completed"), &json!("response")));
    let stream = post(&provider, "/v1/responses", &with(body, json!({"stream": true}))).await;
    let names: Vec<_> =
        stream.text().lines().filter_map(|line| Some(line.strip_prefix("event: ")?.to_owned())).collect();
    let data = stream.data();
    assert!(names.iter().zip(&data).all(|(name, data)| data["type"] == name.as_str()));
    assert!((0..).zip(&data).all(|(number, data): (u64, _)| data["sequence_number"] == number));
    let mut order = names.clone();
    order.dedup();
    assert_eq!(
        order,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let text: String = data
        .iter()
        .filter(|data| data["type"] == "response.output_text.delta")
        .map(|data| data["delta"].as_str().unwrap())
        .collect();
    assert_eq!(text, whole["output"][0]["content"][0]["text"].as_str().unwrap());
    assert_eq!(data.last().unwrap()["response"]["usage"], whole["usage"]);
}

#[tokio::test]
async fn responses_call_functions_and_stop_at_the_limit() {
    let provider = provider().await;
    let tool = json!({"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}});
    let body =
        json!({"model": "m", "input": [{"role": "user", "content": "hi"}], "tools": [tool], "stream": true});
    let data = post(&provider, "/v1/responses", &body).await.data();
    let last = &data.last().unwrap()["response"]["output"][0];
    assert_eq!(last["type"], "function_call");
    let pieces: String = data
        .iter()
        .filter(|data| data["type"] == "response.function_call_arguments.delta")
        .map(|data| data["delta"].as_str().unwrap())
        .collect();
    assert_eq!(pieces, last["arguments"].as_str().unwrap());
    let cut = post(
        &provider,
        "/v1/responses",
        &json!({"model": "m", "input": "sim:words=50", "max_output_tokens": 16}),
    )
    .await
    .json();
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
}

#[tokio::test]
async fn vectors_depend_on_the_input_alone() {
    use base64::Engine;
    let provider = provider().await;
    let embed = |input: Value, more: Value| {
        let body = with(json!({"model": "text-embedding-3-small", "input": input}), more);
        let provider = &provider;
        async move { post(provider, "/v1/embeddings", &body).await.json() }
    };
    let one = embed(json!("blue"), json!({})).await;
    let two = embed(json!(["red", "blue"]), json!({})).await;
    assert_eq!(one["data"][0]["embedding"], two["data"][1]["embedding"]);
    assert_eq!(two["data"][1]["index"], 1);
    assert_eq!(one["data"][0]["embedding"].as_array().unwrap().len(), 1536);
    let coded = embed(json!("blue"), json!({"encoding_format": "base64"})).await;
    let bytes =
        base64::prelude::BASE64_STANDARD.decode(coded["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let floats: Vec<_> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    let plain: Vec<f32> = serde_json::from_value(one["data"][0]["embedding"].clone()).unwrap();
    assert_eq!(floats, plain);
    let length: f32 = plain.iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-3, "{length}");
    let short = embed(json!("blue"), json!({"dimensions": 8})).await;
    assert_eq!(short["data"][0]["embedding"].as_array().unwrap().len(), 8);
    let tokens = embed(json!([1, 2, 3]), json!({})).await;
    let rows = embed(json!([[1, 2, 3], [4]]), json!({})).await;
    assert_eq!(tokens["data"][0]["embedding"], rows["data"][0]["embedding"]);
    assert_eq!(tokens["data"].as_array().unwrap().len(), 1);
    let close = |a: &Value, b: &Value| -> f64 {
        let row = |list: &Value| list["data"][0]["embedding"].as_array().unwrap().clone();
        row(a).iter().zip(&row(b)).map(|(a, b)| a.as_f64().unwrap() * b.as_f64().unwrap()).sum()
    };
    let opening = embed(json!("when do you open today"), json!({})).await;
    let reworded = embed(json!("when do you open today please"), json!({})).await;
    assert!(close(&opening, &reworded) > 0.8, "{}", close(&opening, &reworded));
    assert!(close(&opening, &one) < 0.4, "{}", close(&opening, &one));
}

#[tokio::test]
async fn moderations_and_vector_stores() {
    let provider = provider().await;
    let moderated = post(&provider, "/v1/moderations", &json!({"input": ["kill him", "kind"]})).await.json();
    assert_eq!(
        (&moderated["results"][0]["flagged"], &moderated["results"][1]["flagged"]),
        (&json!(true), &json!(false))
    );
    let parts = json!({"input": [{"type": "text", "text": "kind"}]});
    assert_eq!(
        post(&provider, "/v1/moderations", &parts).await.json()["results"].as_array().unwrap().len(),
        1
    );
    let found = post(&provider, "/v1/vector_stores/vs_1/search", &json!({"query": "tax"})).await.json();
    assert_eq!(found["data"].as_array().unwrap().len(), 3);
    let none = post(&provider, "/v1/vector_stores/vs_empty/search", &json!({"query": "tax"})).await.json();
    assert_eq!(none["data"], json!([]));
    assert_eq!(get(&provider, "/v1/vector_stores/vs_empty").await.json()["file_counts"]["completed"], 0);
    assert_eq!(get(&provider, "/v1/models").await.json()["object"], "list");
    assert_eq!(get(&provider, "/v1/models/gpt-4o").await.json()["id"], "gpt-4o");
}

#[tokio::test]
async fn anthropic_stream_and_json_agree() {
    let provider = provider().await;
    let tool = json!({"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}});
    for extra in [json!({}), json!({"tools": [tool]})] {
        let body = with(with(ask("hi"), json!({"max_tokens": 100})), extra);
        let whole = post(&provider, "/v1/messages", &body).await.json();
        let stream = post(&provider, "/v1/messages", &with(body, json!({"stream": true}))).await;
        let data = stream.data();
        assert_eq!(data[0]["type"], "message_start");
        assert_eq!(data.last().unwrap()["type"], "message_stop");
        let end = data.iter().find(|data| data["type"] == "message_delta").unwrap();
        assert_eq!(end["delta"]["stop_reason"], whole["stop_reason"]);
        assert_eq!(end["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
        let pieces = |member: &str| -> String {
            data.iter().filter_map(|data| data["delta"][member].as_str()).collect()
        };
        assert_eq!(pieces("text"), whole["content"][0]["text"].as_str().unwrap_or_default());
        if whole["stop_reason"] == "tool_use" {
            let input: Value = serde_json::from_str(&pieces("partial_json")).unwrap();
            assert_eq!(input, whole["content"][0]["input"]);
        }
    }
}

#[tokio::test]
async fn gemini_stream_and_json_agree() {
    let provider = provider().await;
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let whole = post(&provider, "/v1beta/models/gemini-2.5-flash:generateContent", &body).await.json();
    let stream = post(&provider, "/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse", &body).await;
    let data = stream.data();
    let text: String = data
        .iter()
        .map(|data| data["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(text, whole["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap());
    let last = data.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["usageMetadata"], whole["usageMetadata"]);
    assert!(data[..data.len() - 1].iter().all(|data| data["candidates"][0].get("finishReason").is_none()));
    let array = post(&provider, "/v1/models/gemini-2.5-flash:streamGenerateContent", &body).await.json();
    assert_eq!(array.as_array().unwrap().len(), data.len());
    let content = json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 4});
    let one = post(&provider, "/v1beta/models/e:embedContent", &content).await.json();
    let many =
        post(&provider, "/v1beta/models/e:batchEmbedContents", &json!({"requests": [content]})).await.json();
    assert_eq!(one["embedding"], many["embeddings"][0]);
    assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn gemini_refuses_turns_and_proofs_that_do_not_match() {
    let provider = provider().await;
    let user = |text: &str| json!({"role": "user", "parts": [{"text": text}]});
    let call = |proof: Option<&str>| {
        let part = json!({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": proof});
        json!({"role": "model", "parts": [part]})
    };
    let result = json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]});
    let own = Some("c2ltdWxhdGVk");
    for (contents, refused) in [
        (json!([user("a"), call(own), result]), None),
        (json!([user("a"), call(None), result]), Some("missing a thought_signature")),
        (json!([user("a"), call(Some("AbC=")), result]), Some("Corrupted")),
        (json!([user("a"), call(own), user("b")]), Some("number of function response parts")),
        (json!([call(own), result]), Some("immediately after a user turn")),
        (json!([user("a"), {"role": "model", "parts": [{"text": "b"}]}]), Some("end with a user role")),
    ] {
        let path = "/v1beta/models/gemini-3.8-flash:generateContent";
        let answer = post(&provider, path, &json!({"contents": contents})).await.json();
        let message = answer["error"]["message"].as_str();
        assert_eq!(message.is_some(), refused.is_some(), "{answer}");
        assert!(message.unwrap_or_default().contains(refused.unwrap_or_default()), "{answer}");
    }
}
