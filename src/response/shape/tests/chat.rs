//! OpenAI chat and text completions, and servers compatible with them.

use super::*;

const BODY: &str = r#"{"id":"chatcmpl-A1","object":"chat.completion","created":1795000000,"model":"gpt-5.4-mini-2026-03-17",
 "choices":[{"index":0,"message":{"role":"assistant","content":"Blue.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],
 "usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15,
  "prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":0},
  "completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},
 "service_tier":"default","system_fingerprint":"fp_1"}"#;

const STREAM: [&str; 5] = [
    r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1795000000,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aZ3"}"#,
    r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1795000000,"model":"m","choices":[{"index":0,"delta":{"content":"Blue"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"q"}"#,
    r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1795000000,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
    r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1795000000,"model":"m","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}"#,
    "[DONE]",
];

#[test]
fn a_stream_folds_to_the_completion_it_stands_for() {
    let expected = r#"{"id":"chatcmpl-A1","object":"chat.completion","created":1795000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Blue","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}"#;
    let events = chunks(&STREAM);
    assert_eq!(fold(Shape::Chat, &events).unwrap(), expected);
    let (progress, signals) = follow(Shape::Chat, &events);
    assert_eq!(signals[4], Signal::Terminal);
    assert!(signals[..4].iter().all(|signal| *signal == Signal::Content));
    assert_eq!(progress.storable(), Ok(()));
    assert_eq!(progress.usage().map(|usage| (usage.input, usage.output)), Some((12, 3)));
    assert_eq!(progress.model(), Some("m"));
}

#[test]
fn a_completion_unfolds_to_the_stream_it_stands_for() {
    let events = unfold(Shape::Chat, BODY.as_bytes()).unwrap();
    let head = r#"{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1795000000,"model":"gpt-5.4-mini-2026-03-17","service_tier":"default","system_fingerprint":"fp_1","choices":["#;
    let text: Vec<_> =
        events.iter().map(|event| String::from_utf8_lossy(event.data()).into_owned()).collect();
    let choice = |delta: &str, reason: &str| {
        format!(
            r#"{head}{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}],"usage":null}}"#
        )
    };
    assert_eq!(
        text[0],
        choice(r#"{"role":"assistant","content":"","refusal":null,"annotations":[]}"#, "null")
    );
    assert_eq!(text[1], choice(r#"{"content":"Blue."}"#, "null"));
    assert_eq!(text[2], choice("{}", "\"stop\""));
    assert!(text[3].starts_with(&format!("{head}],\"usage\":{{\"prompt_tokens\":12,")));
    assert_eq!(text[4], "[DONE]");
    assert_eq!(text.len(), 5);
    assert!(round_trips(Shape::Chat, Form::Body(BODY.as_bytes())));
}

#[test]
fn tool_calls_come_in_pieces_by_index() {
    let events = chunks(&[
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"g","arguments":"{"}}]},"finish_reason":null}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]},"finish_reason":null}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}},{"index":1,"function":{"arguments":"}"}}]},"finish_reason":null}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        "[DONE]",
    ]);
    let body = folded(Shape::Chat, &events);
    let calls = json!([
        {"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
        {"id":"call_2","type":"function","function":{"name":"g","arguments":"{}"}}]);
    assert_eq!(body["choices"][0]["message"]["tool_calls"], calls);
    assert_eq!(body["choices"][0]["message"]["content"], Value::Null);
    assert!(round_trips(Shape::Chat, Form::Events(&events)));
    // Cut arguments are no JSON, whatever the finish reason says: to be passed on, not to be kept.
    let mut cut = events.clone();
    cut.remove(3);
    assert!(fold(Shape::Chat, &cut).is_ok());
    assert!(!round_trips(Shape::Chat, Form::Events(&cut)));
}

#[test]
fn tool_calls_without_an_index_are_told_apart_by_their_ids() {
    let call = |id: &str, name: &str| {
        format!(
            r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"id":"{id}","type":"function","function":{{"name":"{name}","arguments":"{{}}"}}}}]}},"finish_reason":null}}]}}"#
        )
    };
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;
    let body = folded(Shape::Chat, &chunks(&[&call("a", "f"), &call("b", "g"), end]));
    let names: Vec<_> = body["choices"][0]["message"]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["function"]["name"].clone())
        .collect();
    assert_eq!(names, ["f", "g"]);
    let same_index = call("b", "g").replace(r#"{"id""#, r#"{"index":0,"id""#);
    assert!(fold(Shape::Chat, &chunks(&[&call("a", "f"), &same_index, end])).is_err());
}

#[test]
fn azure_opens_with_a_chunk_of_its_own() {
    let azure = r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}"#;
    let finish =
        STREAM[2].replace("\"stop\"", "\"stop\",\"content_filter_results\":{\"hate\":{\"filtered\":false}}");
    let events = chunks(&[azure, STREAM[0], STREAM[1], &finish, STREAM[3], "[DONE]"]);
    let body = folded(Shape::Chat, &events);
    assert_eq!(
        (&body["id"], &body["created"], &body["model"]),
        (&json!("chatcmpl-A1"), &json!(1795000000), &json!("m"))
    );
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["prompt_filter_results"][0]["prompt_index"], 0);
    assert_eq!(body["choices"][0]["content_filter_results"]["hate"]["filtered"], false);
    assert_eq!(follow(Shape::Chat, &events).0.model(), Some("m"));
    assert!(round_trips(Shape::Chat, Form::Events(&events)));
    assert_eq!(hide_usage(Shape::Chat, &events[0]), Some(events[0].clone()));
}

#[test]
fn an_end_is_proven_by_finish_reasons_not_by_done() {
    let (progress, _) = follow(Shape::Chat, &chunks(&STREAM[..2]));
    assert_eq!((progress.ended(), progress.storable()), (false, Err("the stream was cut")));
    let (progress, _) = follow(Shape::Chat, &chunks(&STREAM[..3]));
    assert_eq!((progress.ended(), progress.storable()), (true, Ok(())));
    let (progress, _) = follow(Shape::Chat, &chunks(&[STREAM[0], STREAM[1], "[DONE]"]));
    assert_eq!((progress.ended(), progress.storable()), (true, Err("an unfinished choice")));
    let (progress, _) = follow(Shape::Chat, &chunks(&["[DONE]"]));
    assert!(progress.ended() && progress.storable().is_err());
    let mut two = Progress::new(Shape::Chat).expecting(2);
    chunks(&STREAM[..3]).iter().for_each(|event| drop(two.observe(event)));
    assert!(!two.ended());
    two.observe(&Event::new(None, STREAM[2].replace("\"index\":0", "\"index\":1").as_bytes()));
    assert_eq!(two.storable(), Ok(()));
}

#[test]
fn errors_and_garbage_inside_a_stream_are_told() {
    let error = r#"{"error":{"message":"busy","type":"server_error","param":null,"code":null}}"#;
    let (progress, signals) = follow(Shape::Chat, &chunks(&[STREAM[0], error]));
    let Signal::Error(seen) = &signals[1] else { panic!("{signals:?}") };
    assert_eq!(
        (seen.status, seen.message.as_str(), seen.kind.as_deref()),
        (500, "busy", Some("server_error"))
    );
    assert!(progress.ended() && progress.storable().is_err());
    let (progress, signals) =
        follow(Shape::Chat, &chunks(&[STREAM[0], "{\"choices\":[{", STREAM[2], "[DONE]"]));
    assert_eq!(signals[1], Signal::Malformed);
    assert_eq!(progress.storable(), Err("malformed event"));
    let (_, signals) =
        follow(Shape::Chat, &chunks(&[r#"{"object":"error","message":"old vLLM","type":"x","code":400}"#]));
    assert!(
        matches!(&signals[0], Signal::Error(error) if error.status == 400 && error.message == "old vLLM")
    );
    let (_, signals) = follow(
        Shape::Chat,
        &chunks(&[r#"{"choices":[{"index":99999999,"delta":{}}]}"#, r#"{"type":"ping"}"#]),
    );
    assert_eq!(signals, [Signal::Malformed, Signal::Content]);
}

#[test]
fn a_body_is_kept_only_if_it_is_whole() {
    let storable = |body: &str| inspect(Shape::Chat, body.as_bytes()).storable;
    assert_eq!(storable(BODY), Ok(()));
    assert_eq!(storable(&BODY.replace("\"stop\"", "null")), Err("an unfinished choice"));
    assert_eq!(storable(&BODY.replace("\"Blue.\"", "\"\"")), Err("an empty answer"));
    assert_eq!(storable(&BODY.replace("\"Blue.\",\"refusal\":null", "null,\"refusal\":\"No.\"")), Ok(()));
    assert_eq!(storable(r#"{"choices":[]}"#), Err("no choices"));
    assert_eq!(storable(r#"{"id":"x"}"#), Err("no choices"));
    assert_eq!(
        storable(r#"{"error":{"message":"rate limited","code":429}}"#),
        Err("an error inside the answer")
    );
    assert_eq!(storable("<html>"), Err("not JSON of the expected form"));
    let call = |arguments: &str| {
        storable(&BODY.replace(
            "\"Blue.\"",
            &format!("null,\"tool_calls\":[{{\"id\":\"a\",\"type\":\"function\",\"function\":{{\"name\":\"f\",\"arguments\":{arguments}}}}}]"),
        ))
    };
    assert_eq!(call(r#""{\"a\":1}""#), Ok(()));
    assert_eq!(call(r#""{\"a\":""#), Err("tool arguments are not JSON"));
    assert_eq!(call(r#""""#), Err("tool arguments are not JSON"));
    let openrouter = inspect(Shape::Chat, br#"{"error":{"message":"Provider returned error","code":502}}"#);
    assert_eq!(openrouter.error.map(|error| error.status), Some(502));
    let seen = inspect(Shape::Chat, BODY.replace("\"default\"", "\"flex\"").as_bytes());
    assert_eq!(seen.usage.map(|usage| usage.tier), Some(crate::response::usage::ServiceTier::Flex));
    assert_eq!(seen.model.as_deref(), Some("gpt-5.4-mini-2026-03-17"));
}

#[test]
fn what_compatible_servers_write_differently_still_round_trips() {
    for body in [
        r#"{"id":"c","object":"chat.completion","model":"llama","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}"#,
        r#"{"id":"c","object":"chat.completion","model":"mistral","choices":[{"index":0,"message":{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},"index":0}],"prefix":false},"finish_reason":"tool_calls"}],"usage":null}"#,
        r#"{"id":"c","object":"chat.completion","model":"r","choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"Hm.","content":"Hi","tool_calls":[]},"logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":1},"prompt_logprobs":null,"kv":{"a":1}}"#,
        r#"{"id":"c","object":"chat.completion","model":"g","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"x"}}}]},"finish_reason":"tool_calls"}]}"#,
    ] {
        assert!(round_trips(Shape::Chat, Form::Body(body.as_bytes())), "{body}");
    }
}

#[test]
fn logprobs_go_with_their_text() {
    let words = ["The quick brown fox", " jumps over the lazy", " dog"];
    let tokens: Vec<_> =
        words.iter().map(|word| json!({"token": word, "logprob": -0.1, "bytes": null})).collect();
    let mut body: Value = serde_json::from_str(BODY).unwrap();
    body["choices"][0]["message"]["content"] = words.concat().into();
    body["choices"][0]["logprobs"] = json!({"content": tokens, "refusal": null});
    let events = unfold(Shape::Chat, body.to_string().as_bytes()).unwrap();
    for (event, token) in events[1..4].iter().zip(&tokens) {
        assert_eq!(data(event)["choices"][0]["logprobs"], json!({"content": [token], "refusal": null}));
    }
    assert_eq!(data(&events[4])["choices"][0]["logprobs"], Value::Null);
    assert_eq!(folded(Shape::Chat, &events), body);
}

#[test]
fn usage_is_hidden_byte_by_byte() {
    let events = chunks(&STREAM);
    let hidden: Vec<_> = events.iter().filter_map(|event| hide_usage(Shape::Chat, event)).collect();
    assert_eq!(hidden.len(), 4);
    assert_eq!(hidden[0].data(), STREAM[0].replace("\"usage\":null,", "").as_bytes());
    assert_eq!(hidden[2].data(), STREAM[2].replace(",\"usage\":null", "").as_bytes());
    let talk = Event::new(None, br#"{"choices":[{"delta":{"content":"\"usage\":null"}}]}"#);
    assert_eq!(hide_usage(Shape::Chat, &talk), Some(talk.clone()));
    let together = Event::new(None, br#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}"#);
    assert_eq!(hide_usage(Shape::Chat, &together).unwrap().data(), br#"{"choices":[{"delta":{}}]}"#);
}

#[test]
fn padding_is_stripped_wherever_it_stands() {
    assert_eq!(
        strip_padding(&chunks(&STREAM)[0]).data(),
        STREAM[0].replace(",\"obfuscation\":\"aZ3\"", "").as_bytes()
    );
    let talk = Event::new(None, br#"{"choices":[{"delta":{"content":"obfuscation"}}]}"#);
    assert_eq!(strip_padding(&talk), talk);
}

#[test]
fn text_completions_have_text_in_each_chunk() {
    let body = r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":"Hello there, how are you today?","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#;
    let events = unfold(Shape::Completions, body.as_bytes()).unwrap();
    assert_eq!(
        data(&events[0])["choices"][0],
        json!({"text":"Hello there, how","index":0,"logprobs":null,"finish_reason":null})
    );
    assert_eq!(
        data(&events[2])["choices"][0],
        json!({"text":"","index":0,"logprobs":null,"finish_reason":"length"})
    );
    assert_eq!(fold(Shape::Completions, &events).unwrap(), body);
    assert_eq!(inspect(Shape::Completions, body.as_bytes()).storable, Ok(()));
}
