//! Between any two APIs, whatever is said: a stream is told the same however it is cut, all that was said is
//! told, and a failure or a cut is never told as an end.

use pareto::dialect::{Api, Prompt, Stamp, Translator};
use pareto::response::shape::{Progress, Signal, fold};
use pareto::sse::Event;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::dialect::{arguments, text};
use crate::golden::translate;

pub const CLIENTS: [Api; 4] = [Api::Chat, Api::Responses, Api::Messages, Api::Generate];
pub const PROVIDERS: [Api; 3] = [Api::Chat, Api::Messages, Api::Generate];

/// What a model says, one after the other.
#[derive(Clone, Debug)]
pub enum Step {
    Thought(String),
    Text(String),
    Call(Value),
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Whole,
    /// The provider says that it failed.
    Failed,
    /// The bytes just end.
    Cut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        text().prop_map(Step::Thought),
        text().prop_map(Step::Text),
        arguments().prop_map(Step::Call),
    ];
    vec(step, 1..7)
}

/// What was said in all.
#[derive(Debug, Default, PartialEq)]
pub struct All {
    thoughts: String,
    pub text: String,
    calls: Vec<Value>,
}

impl All {
    fn of(steps: &[Step]) -> Self {
        let mut all = Self::default();
        for step in steps {
            match step {
                Step::Thought(thought) => all.thoughts += thought,
                Step::Text(text) => all.text += text,
                Step::Call(arguments) => all.calls.push(arguments.clone()),
            }
        }
        all
    }

    /// What a client reads in a whole answer.
    pub fn told(client: Api, body: &Value) -> Self {
        let mut all = Self::default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let parsed = |value: &Value| serde_json::from_str(value.as_str().unwrap()).unwrap();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        match client {
            Api::Chat => {
                let message = &body["choices"][0]["message"];
                all.thoughts = text(&message["reasoning_content"]);
                all.text = text(&message["content"]);
                all.calls = list(&message["tool_calls"])
                    .iter()
                    .map(|call| parsed(&call["function"]["arguments"]))
                    .collect();
            }
            Api::Responses => {
                for item in list(&body["output"]) {
                    match item["type"].as_str().unwrap() {
                        "reasoning" => all.thoughts += &text(&item["summary"][0]["text"]),
                        "message" => all.text += &text(&item["content"][0]["text"]),
                        _ => all.calls.push(parsed(&item["arguments"])),
                    }
                }
            }
            Api::Messages => {
                for block in list(&body["content"]) {
                    match block["type"].as_str().unwrap() {
                        "thinking" => all.thoughts += &text(&block["thinking"]),
                        "text" => all.text += &text(&block["text"]),
                        _ => all.calls.push(block["input"].clone()),
                    }
                }
            }
            Api::Generate => {
                for part in list(&body["candidates"][0]["content"]["parts"]) {
                    match (part.get("functionCall"), part["thought"] == true) {
                        (Some(call), _) => all.calls.push(call["args"].clone()),
                        (None, true) => all.thoughts += &text(&part["text"]),
                        (None, false) => all.text += &text(&part["text"]),
                    }
                }
            }
        }
        all
    }
}

/// A text in two, not always between letters that go together.
fn halves(text: &str) -> [&str; 2] {
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap();
    [&text[..middle], &text[middle..]]
}

/// The stream of a provider that says this.
pub fn spoken(provider: Api, steps: &[Step], end: End, line: &str) -> Vec<u8> {
    let mut out = String::new();
    let mut event = |name: &str, data: Value| {
        if !name.is_empty() {
            out.push_str(&format!("event: {name}{line}"));
        }
        out.push_str(&format!("data: {data}{line}{line}"));
    };
    match provider {
        Api::Messages => messages(steps, end, &mut event),
        Api::Generate => generate(steps, end, &mut |chunk| event("", chunk)),
        Api::Chat | Api::Responses => {
            chat(steps, end, &mut |chunk| event("", chunk));
            if end == End::Whole {
                out.push_str(&format!("data: [DONE]{line}{line}"));
            }
        }
    }
    out.into_bytes()
}

fn chat(steps: &[Step], end: End, tell: &mut impl FnMut(Value)) {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}], "usage": null})
    };
    tell(chunk(json!({"role": "assistant", "content": ""}), Value::Null));
    let mut calls: Vec<String> = Vec::new();
    for step in steps {
        match step {
            Step::Thought(thought) => {
                for half in halves(thought) {
                    tell(chunk(json!({"reasoning_content": half}), Value::Null));
                }
            }
            Step::Text(text) => {
                for half in halves(text) {
                    tell(chunk(json!({"content": half}), Value::Null));
                }
            }
            Step::Call(arguments) => calls.push(arguments.to_string()),
        }
    }
    // All calls begin, and their pieces come in turn: OpenAI may send parallel calls so.
    for (index, _) in calls.iter().enumerate() {
        let function = json!({"name": "f", "arguments": ""});
        let call =
            json!({"index": index, "id": format!("c{index}"), "type": "function", "function": function});
        tell(chunk(json!({"tool_calls": [call]}), Value::Null));
    }
    for half in 0..2 {
        for (index, arguments) in calls.iter().enumerate() {
            let piece = json!({"index": index, "function": {"arguments": halves(arguments)[half]}});
            tell(chunk(json!({"tool_calls": [piece]}), Value::Null));
        }
    }
    match end {
        End::Whole => {
            tell(chunk(json!({}), if calls.is_empty() { "stop" } else { "tool_calls" }.into()));
            tell(json!({"id": "chatcmpl-1", "model": "m", "choices": [],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}));
        }
        End::Failed => {
            tell(json!({"error": {"message": "m", "type": "server_error", "param": null, "code": null}}))
        }
        End::Cut => {}
    }
}

fn messages(steps: &[Step], end: End, tell: &mut impl FnMut(&str, Value)) {
    let mut event = |name: &str, mut data: Value| {
        data["type"] = name.into();
        tell(name, data);
    };
    event(
        "message_start",
        json!({"message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "usage": {"input_tokens": 1, "output_tokens": 1}}}),
    );
    for (index, step) in steps.iter().enumerate() {
        let call = step_json(step);
        let (block, deltas) = match step {
            Step::Thought(thought) => {
                let mut deltas =
                    halves(thought).map(|half| json!({"type": "thinking_delta", "thinking": half})).to_vec();
                deltas.push(json!({"type": "signature_delta", "signature": "EqQB"}));
                (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas)
            }
            Step::Text(text) => {
                let deltas = halves(text).map(|half| json!({"type": "text_delta", "text": half})).to_vec();
                (json!({"type": "text", "text": ""}), deltas)
            }
            Step::Call(_) => {
                let piece = |half| json!({"type": "input_json_delta", "partial_json": half});
                let block = json!({"type": "tool_use", "id": format!("t{index}"), "name": "f", "input": {}});
                (block, halves(&call).map(piece).to_vec())
            }
        };
        event("content_block_start", json!({"index": index, "content_block": block}));
        event("ping", json!({}));
        for delta in deltas {
            event("content_block_delta", json!({"index": index, "delta": delta}));
        }
        event("content_block_stop", json!({"index": index}));
    }
    match end {
        End::Whole => {
            let calls = steps.iter().any(|step| matches!(step, Step::Call(_)));
            let reason = if calls { "tool_use" } else { "end_turn" };
            let delta = json!({"stop_reason": reason, "stop_sequence": null});
            event("message_delta", json!({"delta": delta, "usage": {"output_tokens": 2}}));
            event("message_stop", json!({}));
        }
        End::Failed => event("error", json!({"error": {"type": "overloaded_error", "message": "m"}})),
        End::Cut => {}
    }
}

fn step_json(step: &Step) -> String {
    match step {
        Step::Call(arguments) => arguments.to_string(),
        _ => String::new(),
    }
}

fn generate(steps: &[Step], end: End, tell: &mut impl FnMut(Value)) {
    let chunk = |parts: Value| {
        json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}, "modelVersion": "m", "responseId": "r"})
    };
    for step in steps {
        match step {
            Step::Thought(thought) => {
                for half in halves(thought) {
                    tell(chunk(json!([{"text": half, "thought": true}])));
                }
            }
            Step::Text(text) => tell(chunk(halves(text).map(|half| json!({"text": half})).to_vec().into())),
            Step::Call(arguments) => {
                tell(chunk(
                    json!([{"functionCall": {"name": "f", "args": arguments}, "thoughtSignature": "eA=="}]),
                ));
            }
        }
    }
    match end {
        End::Whole => {
            let mut last = chunk(json!([{"text": ""}]));
            last["candidates"][0]["finishReason"] = "STOP".into();
            tell(last);
        }
        End::Failed => tell(json!({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}})),
        End::Cut => {}
    }
}

pub fn translator(provider: Api, client: Api) -> Translator {
    let mut prompt = Prompt::new(client);
    prompt.thoughts = true;
    let stamp = Stamp { id: "s".into(), created: 1, model: "m".into() };
    Translator::new(provider, &prompt, stamp).unwrap()
}

/// How a client's stream ends, and whether it was told of a failure.
pub fn followed(client: Api, told: &[Event]) -> (Progress, bool) {
    let mut progress = Progress::new(client.shape());
    let mut failed = false;
    for event in told {
        assert!(!failed, "something follows an error");
        match progress.observe(event) {
            Signal::Error(_) => failed = true,
            Signal::Malformed => panic!("not of the client's API: {}", String::from_utf8_lossy(event.data())),
            Signal::Content | Signal::Terminal => {}
        }
    }
    (progress, failed)
}

proptest! {
    // Each case is twelve pairs of APIs, cut three ways.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn all_that_is_said_is_told_between_any_two_apis(
        steps in steps(),
        end in select(vec![End::Whole, End::Whole, End::Failed, End::Cut]),
        line in select(vec!["\n", "\r\n"]),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        for provider in PROVIDERS {
            let stream = spoken(provider, &steps, end, line);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            for client in CLIENTS {
                let whole = translate(translator(provider, client), [stream.as_slice()]);
                let pieces = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
                prop_assert_eq!(&translate(translator(provider, client), pieces), &whole);
                prop_assert_eq!(&translate(translator(provider, client), stream.chunks(1)), &whole);
                let (progress, failed) = followed(client, &whole);
                prop_assert_eq!(failed, end == End::Failed, "{:?} to {:?}", provider, client);
                prop_assert_eq!(progress.storable().is_ok(), end == End::Whole, "{:?} to {:?}", provider, client);
                if end == End::Whole {
                    let body: Value = serde_json::from_slice(&fold(client.shape(), &whole).unwrap()).unwrap();
                    let told = All::told(client, &body);
                    prop_assert_eq!(told, All::of(&steps), "{:?} to {:?}: {}", provider, client, body);
                }
            }
        }
    }
}
