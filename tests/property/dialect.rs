//! However a provider's stream is cut, a client is told the same; what every API has words for survives
//! the way there and back; and nothing strange brings a translation down.

use pareto::dialect::{self, Api, Server, Stamp, Target, Translator};
use pareto::response::shape::{Shape, fold, unfold};
use pareto::sse::Event;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::json::value;
use crate::golden::{Case, translate};

fn streams() -> Vec<(Case, Vec<u8>)> {
    Case::all()
        .into_iter()
        .filter_map(|case| case.read("reply.in.sse").map(|stream| (case, stream)))
        .collect()
}

pub fn text() -> impl Strategy<Value = String> {
    "[a-z é€😀\"\\\\\n]{1,40}"
}

pub fn arguments() -> impl Strategy<Value = Value> {
    vec(("[a-z]{1,5}", value()), 0..3).prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// A conversation in words that every API has: system, user with images, calls with their results.
fn conversation() -> impl Strategy<Value = Value> {
    let step = (text(), any::<bool>(), vec((text(), arguments(), text()), 0..3), text());
    let turns = (proptest::option::of(text()), vec(step, 1..4), text());
    (turns, wishes()).prop_map(|((system, steps, last), mut asked)| {
        let mut messages: Vec<Value> =
            system.map(|text| json!({"role": "system", "content": text})).into_iter().collect();
        for (at, (said, seen, calls, answer)) in steps.into_iter().enumerate() {
            let content = match seen {
                false => said.into(),
                true => json!([{"type": "text", "text": said},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]),
            };
            messages.push(json!({"role": "user", "content": content}));
            let id = |index: usize| format!("call_{at}_{index}");
            if !calls.is_empty() {
                let made: Vec<Value> = (0..)
                    .zip(&calls)
                    .map(|(index, (_, arguments, _))| {
                        json!({"id": id(index), "type": "function",
                            "function": {"name": "f", "arguments": arguments.to_string()}})
                    })
                    .collect();
                messages.push(json!({"role": "assistant", "content": answer, "tool_calls": made}));
                for (index, (_, _, result)) in calls.iter().enumerate() {
                    messages.push(json!({"role": "tool", "tool_call_id": id(index), "content": result}));
                }
            }
            messages.push(json!({"role": "assistant", "content": format!("{answer}.")}));
        }
        messages.push(json!({"role": "user", "content": last}));
        asked["messages"] = messages.into();
        asked
    })
}

/// How the answer is wished, in words that every API has.
fn wishes() -> impl Strategy<Value = Value> {
    let choice = select(vec![
        Value::Null,
        json!("none"),
        json!("required"),
        json!({"type": "function", "function": {"name": "f"}}),
    ]);
    let sampling = select(vec![json!({}), json!({"temperature": 0.5}), json!({"top_p": 0.25})]);
    let effort = select(vec![None, Some("low"), Some("medium"), Some("high")]);
    (choice, sampling, effort, any::<[bool; 3]>(), vec("[a-z€]{1,5}", 0..4)).prop_map(
        |(choice, sampling, effort, [strict, one_by_one, json], stop)| {
            let schema = json!({"type": "object", "properties": {"a": {"type": "string", "description": "A"}},
                "required": ["a"], "additionalProperties": false});
            let mut asked =
                json!({"model": "gpt-5", "max_completion_tokens": 9000, "user": "u", "stream": true});
            let mut tool = json!({"name": "f", "description": "F", "parameters": schema});
            // A forced call says nothing of strictness at Gemini, and excludes thinking at Anthropic.
            let strict = strict && choice.is_null();
            if strict {
                tool["strict"] = true.into();
            }
            asked["tools"] = json!([{"type": "function", "function": tool}]);
            if one_by_one && choice != "none" {
                asked["parallel_tool_calls"] = false.into();
            }
            if let Some(effort) =
                effort.filter(|_| sampling == json!({}) && (choice.is_null() || choice == "none"))
            {
                asked["reasoning_effort"] = effort.into();
            }
            if json {
                let named = json!({"name": "answer", "schema": schema, "strict": true});
                asked["response_format"] = json!({"type": "json_schema", "json_schema": named});
            }
            if !choice.is_null() {
                asked["tool_choice"] = choice;
            }
            if !stop.is_empty() {
                asked["stop"] = stop.into();
            }
            let members = asked.as_object_mut().unwrap();
            members.extend(sampling.as_object().cloned().unwrap());
            asked
        },
    )
}

/// What only Gemini has words for besides.
fn numbers() -> impl Strategy<Value = Value> {
    (any::<i32>(), 1..20_u32, 1..5_u32, 2..8_u32).prop_map(|(seed, penalty, top, n)| {
        json!({"seed": seed, "presence_penalty": f64::from(penalty) / 10.0, "frequency_penalty": -0.5,
            "logprobs": true, "top_logprobs": top, "n": n})
    })
}

fn through(client: Api, provider: Api, model: &str, body: &Value) -> Value {
    let prompt = dialect::read(client, body.to_string().as_bytes()).unwrap();
    let target = Target { model, server: Server::Other };
    serde_json::from_slice(&dialect::write(provider, &prompt, target).unwrap()).unwrap()
}

/// The conversation as a client of Gemini's holds it.
fn geminis(asked: &Value) -> Value {
    let mut asked = asked.clone();
    asked["parallel_tool_calls"] = true.into();
    through(Api::Chat, Api::Generate, "gemini-3.8-flash", &asked)
}

/// A message of an answer, with what both chat and Messages have words for.
fn answer() -> impl Strategy<Value = Value> {
    (text(), vec(arguments(), 0..3)).prop_map(|(text, calls)| {
        let mut content = vec![json!({"type": "text", "text": text})];
        let called = !calls.is_empty();
        content.extend((0..).zip(calls).map(|(index, input)| {
            json!({"type": "tool_use", "id": format!("toolu_{index}"), "name": "f", "input": input})
        }));
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": if called { "tool_use" } else { "end_turn" }, "stop_sequence": null,
            "usage": {"input_tokens": 20, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 5,
                "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 2}}})
    })
}

fn translator(provider: Api, client: Api) -> Translator {
    let stamp = Stamp { id: "s".into(), created: 1, model: "m".into() };
    Translator::new(provider, &dialect::Prompt::new(client), stamp).unwrap()
}

fn all(mut translator: Translator, events: &[Event]) -> Vec<Event> {
    let mut told = Vec::new();
    for event in events {
        told.extend(translator.event(event).unwrap());
    }
    told.extend(translator.end());
    told
}

proptest! {
    #[test]
    fn any_chunking_of_a_stream_translates_the_same(which: Index, cuts in vec(any::<Index>(), 0..12)) {
        let streams = streams();
        let (case, stream) = &streams[which.index(streams.len())];
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        let whole = translate(case.translator(), [stream.as_slice()]);
        prop_assert_eq!(translate(case.translator(), chunks), whole.clone());
        let bytewise = stream.chunks(1);
        prop_assert_eq!(translate(case.translator(), bytewise), whole);
    }

    #[test]
    fn a_request_there_and_back_is_the_same_request(asked in conversation()) {
        let anthropics = through(Api::Chat, Api::Messages, "claude-sonnet-4-5", &asked);
        let mut back = through(Api::Messages, Api::Chat, "gpt-5", &anthropics);
        let options = back.as_object_mut().unwrap().shift_remove("stream_options");
        prop_assert_eq!(options, Some(json!({"include_usage": true})));
        prop_assert_eq!(back, asked);
    }

    #[test]
    fn a_request_to_gemini_and_back_is_the_same_request(mut asked in conversation(), numbers in numbers()) {
        // Gemini has no words for the user and for one call at a time, and streams by its path.
        for name in ["user", "stream", "parallel_tool_calls"] {
            asked.as_object_mut().unwrap().shift_remove(name);
        }
        asked.as_object_mut().unwrap().extend(numbers.as_object().cloned().unwrap());
        let back = through(Api::Generate, Api::Chat, "gpt-5", &geminis(&asked));
        prop_assert_eq!(back, asked);
    }

    #[test]
    fn an_answer_to_gemini_and_back_is_the_same_answer(mut body in answer()) {
        let events = unfold(Shape::Messages, body.to_string().as_bytes()).unwrap();
        let geminis = all(translator(Api::Messages, Api::Generate), &events);
        let back = all(translator(Api::Generate, Api::Messages), &geminis);
        let mut folded: Value = serde_json::from_slice(&fold(Shape::Messages, &back).unwrap()).unwrap();
        folded["id"] = "msg_1".into();
        // Gemini does not count what it writes to its cache.
        body["usage"]["input_tokens"] = 23.into();
        body["usage"]["cache_creation_input_tokens"] = 0.into();
        prop_assert_eq!(folded, body);
    }

    #[test]
    fn an_answer_there_and_back_is_the_same_answer(body in answer()) {
        let events = unfold(Shape::Messages, body.to_string().as_bytes()).unwrap();
        let chat = all(translator(Api::Messages, Api::Chat), &events);
        let back = all(translator(Api::Chat, Api::Messages), &chat);
        let mut folded: Value = serde_json::from_slice(&fold(Shape::Messages, &back).unwrap()).unwrap();
        folded["id"] = "msg_1".into();
        prop_assert_eq!(folded, body);
    }

    #[test]
    fn strange_requests_are_refused_and_never_panic(asked in conversation(), strange in value(), at: Index) {
        for (client, body) in [
            (Api::Chat, asked.clone()),
            (Api::Messages, through(Api::Chat, Api::Messages, "claude-sonnet-4-5", &asked)),
            (Api::Generate, geminis(&asked)),
            (Api::Responses, json!({"model": "m", "input": [{"role": "user", "content": "Hi"}], "text": {}, "tools": []})),
        ] {
            let mut body = body;
            let members = body.as_object_mut().unwrap();
            let name = members.keys().nth(at.index(members.len())).cloned().unwrap();
            members[&name] = strange.clone();
            if let Ok(prompt) = dialect::read(client, body.to_string().as_bytes()) {
                for provider in [Api::Chat, Api::Messages, Api::Generate] {
                    let _ = dialect::write(provider, &prompt, Target { model: "claude-opus-5", server: Server::Mistral });
                }
            }
            let _ = dialect::cleaned(client, Server::Mistral, body.to_string().as_bytes());
        }
    }

    #[test]
    fn strange_events_never_panic(which: Index, strange in value(), at: Index, cut: Index) {
        let streams = streams();
        let (case, stream) = &streams[which.index(streams.len())];
        let mut decoder = pareto::sse::Decoder::new(1 << 20);
        decoder.push(bytes::Bytes::copy_from_slice(stream));
        let mut translator = case.translator();
        while let Some(item) = decoder.next_item().unwrap() {
            let pareto::sse::Item::Event(event) = item else { continue };
            if event.is_done() {
                continue;
            }
            let mut data: Value = serde_json::from_slice(event.data()).unwrap();
            let Some(members) = data.as_object_mut() else { continue };
            let name = members.keys().nth(at.index(members.len())).cloned().unwrap();
            members[&name] = strange.clone();
            let _ = translator.event(&Event::new(None, data.to_string().as_bytes()));
            let text = data.to_string();
            let mut end = cut.index(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let _ = translator.event(&Event::new(None, &text.as_bytes()[..end]));
        }
        translator.end();
    }
}
