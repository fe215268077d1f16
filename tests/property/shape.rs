//! An answer is the same answer in both forms: folding undoes unfolding, and a stream that was made
//! here is followed to a proven end like a provider's own.

use pareto::response::shape::{
    Form, Progress, Shape, Signal, fold, hide_usage, inspect, round_trips, unfold,
};
use pareto::sse::Event;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::json::value;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{1,120}", "[ -~é€😀ا-ي\n\"\\\\]{1,60}", "(e\u{301}|👩\u{200D}👧| ){1,40}"]
}

/// A JSON object as tool arguments are.
fn object() -> impl Strategy<Value = Value> {
    vec(("[a-z]{1,5}", value()), 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn tokens() -> impl Strategy<Value = Value> {
    vec(("[a-z ]{1,6}", -9.0_f64..-0.1), 0..9).prop_map(|tokens| {
        let token = |(token, logprob): (String, f64)| {
            json!({"token": token, "logprob": logprob, "bytes": token.as_bytes(), "top_logprobs": []})
        };
        tokens.into_iter().map(token).collect()
    })
}

fn tool_call() -> impl Strategy<Value = Value> {
    let function = ("[a-z]{1,8}", object()).prop_map(|(name, arguments)| {
        json!({"type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
    });
    let custom = ("[a-z]{1,8}", text())
        .prop_map(|(name, input)| json!({"type": "custom", "custom": {"name": name, "input": input}}));
    prop_oneof![4 => function, 1 => custom]
}

fn chat_message() -> impl Strategy<Value = Value> {
    let parts = (of(text()), of(text()), vec(tool_call(), 0..4), of(text()), any::<[bool; 3]>());
    parts.prop_map(|(content, refusal, mut calls, reasoning, [annotations, function, nulls])| {
        let mut message = json!({"role": "assistant"});
        let silent = content.is_none() && refusal.is_none() && calls.is_empty() && !function;
        if nulls || content.is_some() || silent {
            message["content"] = if silent { "x".into() } else { content.into() };
        }
        if nulls || refusal.is_some() {
            message["refusal"] = refusal.into();
        }
        if let Some(reasoning) = reasoning {
            message["reasoning_content"] = reasoning.into();
        }
        if annotations {
            message["annotations"] = json!([]);
        }
        if function {
            message["function_call"] = json!({"name": "f", "arguments": "{\"a\":1}"});
        }
        if !calls.is_empty() {
            for (index, call) in calls.iter_mut().enumerate() {
                call["id"] = format!("call_{index}").into();
            }
            message["tool_calls"] = calls.into();
        }
        message
    })
}

/// The envelope around choices, with what only some providers send.
fn envelope(object: &'static str) -> impl Strategy<Value = Value> {
    (any::<[bool; 4]>(), 1_u64..99).prop_map(move |([usage, tier, azure, nulls], count)| {
        let mut body = json!({"id": "chatcmpl-1", "object": object, "created": 1_795_000_000, "model": "m"});
        if usage {
            body["usage"] = json!({"prompt_tokens": count, "completion_tokens": 3, "total_tokens": count + 3,
                "prompt_tokens_details": {"cached_tokens": 0}});
        }
        if tier {
            body["service_tier"] = "default".into();
        }
        if azure {
            body["prompt_filter_results"] = json!([{"prompt_index": 0, "content_filter_results": {}}]);
        }
        if nulls {
            body["system_fingerprint"] = Value::Null;
        }
        body
    })
}

/// Message, logprobs of content and refusal, finish reason, whether Azure's filter has its say.
type GeneratedChoice = (Value, Option<(Value, Option<Value>)>, &'static str, bool);

fn chat() -> impl Strategy<Value = Value> {
    let choice = (
        chat_message(),
        of((tokens(), of(tokens()))),
        prop_oneof![Just("stop"), Just("tool_calls")],
        any::<bool>(),
    );
    (envelope("chat.completion"), vec(choice, 1..4)).prop_map(|(mut body, choices)| {
        let choice = |(index, choice): (usize, GeneratedChoice)| {
            let (message, logprobs, reason, azure) = choice;
            let logprobs = logprobs.map(|(content, refusal)| json!({"content": content, "refusal": refusal}));
            let mut choice =
                json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason});
            if azure {
                choice["content_filter_results"] = json!({"hate": {"filtered": false, "severity": "safe"}});
            }
            choice
        };
        body["choices"] = choices.into_iter().enumerate().map(choice).collect();
        body
    })
}

fn completion() -> impl Strategy<Value = Value> {
    (envelope("text_completion"), vec((text(), any::<[bool; 2]>()), 1..4)).prop_map(|(mut body, choices)| {
        let choice = |(index, (text, [logprobs, uneven])): (usize, (String, [bool; 2]))| {
            let tokens: Vec<_> = text.split_inclusive(' ').collect();
            let numbers: Vec<_> = (0..tokens.len() + usize::from(uneven)).collect();
            let tops: Vec<_> = tokens.iter().map(|token| json!({*token: -0.5})).collect();
            let lists = json!({"tokens": tokens, "token_logprobs": numbers, "top_logprobs": tops, "text_offset": numbers});
            let logprobs = if logprobs { lists } else { Value::Null };
            json!({"text": text, "index": index, "logprobs": logprobs, "finish_reason": "stop"})
        };
        body["choices"] = choices.into_iter().enumerate().map(choice).collect();
        body
    })
}

fn response() -> impl Strategy<Value = Value> {
    let message = (text(), of(text()), tokens(), any::<bool>()).prop_map(|(text, refusal, logprobs, cited)| {
        let annotations = if cited { json!([{"type": "url_citation", "url": "u"}]) } else { json!([]) };
        let mut content = vec![json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs})];
        content.extend(refusal.map(|refusal| json!({"type": "refusal", "refusal": refusal})));
        json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content})
    });
    let call = object().prop_map(|arguments| {
        json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": arguments.to_string(), "status": "completed"})
    });
    let reasoning = text().prop_map(|text| {
        json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": text}], "encrypted_content": "x"})
    });
    vec(prop_oneof![message, call, reasoning], 1..4).prop_map(|output| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "error": null, "model": "m",
            "output": output, "usage": {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}})
    })
}

fn message() -> impl Strategy<Value = Value> {
    let block = prop_oneof![
        (text(), any::<[bool; 2]>()).prop_map(|(text, [cited, null]): (String, [bool; 2])| {
            let mut block = json!({"type": "text", "text": text});
            if cited {
                block["citations"] =
                    json!([{"type": "char_location", "cited_text": "a"}, {"type": "page_location"}]);
            } else if null {
                block["citations"] = Value::Null;
            }
            block
        }),
        object().prop_map(|input| json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": input})),
        text().prop_map(|text| json!({"type": "thinking", "thinking": text, "signature": "EqQB"})),
        Just(json!({"type": "redacted_thinking", "data": "xyz"})),
    ];
    (vec(block, 1..5), 1_u64..99).prop_map(|(content, output)| {
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": "end_turn", "stop_sequence": null, "stop_details": null,
            "usage": {"input_tokens": 20, "cache_read_input_tokens": 5, "output_tokens": output, "server_tool_use": null}})
    })
}

fn content() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        3 => (text(), any::<[bool; 2]>()).prop_map(|(text, [thought, signed]): (String, [bool; 2])| {
            let mut part = json!({"text": text});
            if thought {
                part["thought"] = true.into();
            }
            if signed {
                part["thoughtSignature"] = "AbC=".into();
            }
            part
        }),
        1 => object().prop_map(|args| json!({"functionCall": {"name": "f", "args": args}, "thoughtSignature": "C"})),
    ];
    vec(vec(part, 1..5), 1..3).prop_map(|candidates| {
        let candidate = |(index, mut parts): (usize, Vec<Value>)| {
            parts.push(json!({"functionCall": {"name": "last", "args": {}}}));
            json!({"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": index,
                "safetyRatings": [{"category": "C", "probability": "NEGLIGIBLE"}]})
        };
        json!({"candidates": candidates.into_iter().enumerate().map(candidate).collect::<Vec<_>>(),
            "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 3, "totalTokenCount": 23},
            "modelVersion": "m", "responseId": "abc"})
    })
}

fn answer() -> impl Strategy<Value = (Shape, Value)> {
    let of = |shape: Shape| move |body: Value| (shape, body);
    prop_oneof![
        3 => chat().prop_map(of(Shape::Chat)),
        1 => completion().prop_map(of(Shape::Completions)),
        1 => response().prop_map(of(Shape::Responses)),
        1 => message().prop_map(of(Shape::Messages)),
        1 => content().prop_map(of(Shape::Gemini)),
    ]
}

/// What a provider may write or leave out without meaning anything by it.
fn plain(shape: Shape, mut body: Value) -> Value {
    for choice in body.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        let members = choice.as_object_mut().unwrap();
        if members.get("logprobs") == Some(&Value::Null) {
            members.shift_remove("logprobs");
        }
        let message = members.get_mut("message").and_then(Value::as_object_mut);
        if let Some(message) = message {
            message
                .retain(|name, value| !(matches!(name.as_str(), "content" | "refusal") && value.is_null()));
        }
    }
    if shape == Shape::Gemini {
        for candidate in body["candidates"].as_array_mut().unwrap() {
            let mut joined: Vec<Value> = Vec::new();
            for part in candidate["content"]["parts"].as_array().unwrap() {
                match joined.last_mut() {
                    Some(last)
                        if part.get("text").is_some()
                            && last.get("text").is_some()
                            && last.get("thought") == part.get("thought")
                            && last.get("thoughtSignature").is_none() =>
                    {
                        let text = [last["text"].as_str().unwrap(), part["text"].as_str().unwrap()].concat();
                        *last = part.clone();
                        last["text"] = text.into();
                    }
                    _ => joined.push(part.clone()),
                }
            }
            candidate["content"]["parts"] = joined.into();
        }
    }
    body
}

fn read(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

proptest! {
    #[test]
    fn folding_undoes_unfolding((shape, body) in answer()) {
        let json = body.to_string();
        let events = unfold(shape, json.as_bytes()).unwrap();
        let folded = fold(shape, &events).unwrap();
        prop_assert_eq!(plain(shape, read(&folded)), plain(shape, body));
        prop_assert!(round_trips(shape, Form::Body(json.as_bytes())));
        prop_assert!(round_trips(shape, Form::Events(&events)));
    }

    #[test]
    fn a_stream_made_here_is_followed_to_a_proven_end((shape, body) in answer()) {
        let events = unfold(shape, body.to_string().as_bytes()).unwrap();
        let seen = inspect(shape, body.to_string().as_bytes());
        let mut progress = Progress::new(shape);
        for event in &events {
            let signal = progress.observe(event);
            prop_assert!(matches!(signal, Signal::Content | Signal::Terminal), "{:?}", signal);
        }
        prop_assert_eq!(progress.storable(), Ok(()));
        prop_assert_eq!(seen.storable, Ok(()));
        prop_assert_eq!(progress.usage(), seen.usage);
        prop_assert_eq!(progress.model(), seen.model.as_deref());
    }

    #[test]
    fn a_stream_cut_anywhere_before_its_end_is_neither_ended_nor_folded((shape, body) in answer(), at: prop::sample::Index) {
        let events = unfold(shape, body.to_string().as_bytes()).unwrap();
        // After the last finish reason a chat may end without usage and [DONE], and clients take it as whole.
        let last = if matches!(shape, Shape::Chat | Shape::Completions) {
            events.iter().rposition(|event| memchr(event.data(), "\"finish_reason\":\"")).unwrap()
        } else {
            events.len() - 1
        };
        let cut = &events[..at.index(last + 1)];
        let choices = body.get("choices").or(body.get("candidates")).and_then(Value::as_array).map_or(1, Vec::len);
        let mut progress = Progress::new(shape).expecting(choices);
        for event in cut {
            progress.observe(event);
        }
        prop_assert!(!progress.ended());
        prop_assert!(progress.storable().is_err());
        if choices == 1 {
            prop_assert!(fold(shape, cut).is_err());
        }
    }

    #[test]
    fn hidden_usage_leaves_all_else((shape, body) in answer()) {
        let events = unfold(shape, body.to_string().as_bytes()).unwrap();
        let hidden: Vec<Event> = events.iter().filter_map(|event| hide_usage(shape, event)).collect();
        if !matches!(shape, Shape::Chat | Shape::Completions) {
            prop_assert_eq!(hidden, events);
            return Ok(());
        }
        let mut without = body;
        without.as_object_mut().unwrap().shift_remove("usage");
        prop_assert_eq!(plain(shape, read(&fold(shape, &hidden).unwrap())), plain(shape, without));
        for event in hidden.iter().filter(|event| !event.is_done()) {
            prop_assert!(read(event.data()).get("usage").is_none());
        }
    }

    #[test]
    fn strange_bodies_and_events_never_panic(value in value(), (shape, body) in answer(), at: prop::sample::Index) {
        let mut strange = body;
        let members = strange.as_object_mut().unwrap();
        let name = members.keys().nth(at.index(members.len())).cloned().unwrap();
        members[&name] = value.clone();
        for strange in [strange.to_string(), value.to_string(), json!({"choices": [value.clone()]}).to_string()] {
            inspect(shape, strange.as_bytes());
            round_trips(shape, Form::Body(strange.as_bytes()));
            let event = Event::new(None, strange.as_bytes());
            Progress::new(shape).observe(&event);
            let _ = fold(shape, &[event.clone(), event]);
        }
    }
}

fn memchr(data: &[u8], text: &str) -> bool {
    data.windows(text.len()).any(|window| window == text.as_bytes())
}
