//! What the scripted provider says, and how a client reads it: a pure function of the call, so that
//! whoever hears an answer can tell which call it came from and whether all of it is there.
//!
//! Written and read here by means of their own (serde_json and splitting lines), not by the
//! product's code.

use bytes::Bytes;
use serde_json::{Value, json};

/// The APIs spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Api {
    /// OpenAI chat completions.
    Chat,
    /// Anthropic messages.
    Messages,
    /// Gemini's generateContent.
    Generate,
    /// OpenAI embeddings: never streams.
    Embeddings,
}

/// Tokens every prompt has.
pub const INPUT: u64 = 7;

/// Names one answer: the call that fetched it, and how many words it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The API.
    pub api: Api,
    /// The number of the call.
    pub call: u64,
    /// The words of the answer.
    pub words: usize,
}

impl Mark {
    /// The words of the answer; joined they are its text.
    pub fn pieces(self) -> Vec<String> {
        let word = |at: usize| match at {
            0 => format!("answer of call {}:", self.call),
            // Text that careless cutting would break.
            at if at % 7 == 3 => format!(" é🙂{}", at as u64 ^ self.call),
            at => format!(" \"{}\"", (at as u64).wrapping_mul(self.call + 1)),
        };
        (0..self.words).map(word).collect()
    }

    /// The whole text.
    pub fn text(self) -> String {
        self.pieces().concat()
    }

    fn id(self) -> String {
        format!("id-{}", self.call)
    }

    /// The answer as one JSON body.
    pub fn body(self) -> Bytes {
        let (id, text, output) = (self.id(), self.text(), self.words as u64);
        let body = match self.api {
            Api::Chat => json!({
                "id": id, "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                             "logprobs": null, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": INPUT, "completion_tokens": output, "total_tokens": INPUT + output},
            }),
            Api::Messages => json!({
                "id": id, "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": INPUT, "output_tokens": output},
            }),
            Api::Generate => json!({
                "candidates": [{"content": {"parts": [{"text": text}], "role": "model"},
                                "finishReason": "STOP", "index": 0}],
                "usageMetadata": gemini_usage(output), "modelVersion": "gemini-2.5-flash", "responseId": id,
            }),
            Api::Embeddings => json!({
                "object": "list", "model": "text-embedding-3-small", "id": id,
                // A vector is all that is kept of such an answer: it names the call and the words.
                "data": [{"object": "embedding", "index": 0, "embedding": [self.call as f32, self.words as f32]}],
                "usage": {"prompt_tokens": INPUT, "total_tokens": INPUT},
            }),
        };
        body.to_string().into()
    }

    /// The answer as events, each as it is written; `usage` says whether the usage frame was asked for.
    pub fn events(self, usage: bool, line_end: &str) -> Vec<String> {
        let event = |name: Option<&str>, data: &str| {
            let name = name.map(|name| format!("event: {name}{line_end}")).unwrap_or_default();
            format!("{name}data: {data}{line_end}{line_end}")
        };
        match self.api {
            Api::Chat => self.chat_events(usage).iter().map(|data| event(None, data)).collect(),
            Api::Messages => {
                let named = self.message_events();
                named.iter().map(|data| event(data["type"].as_str(), &data.to_string())).collect()
            }
            Api::Generate => self.gemini_events().iter().map(|data| event(None, &data.to_string())).collect(),
            Api::Embeddings => Vec::new(),
        }
    }

    fn chat_events(self, usage: bool) -> Vec<String> {
        let chunk = |choices: Value, tokens: Value| {
            let mut chunk = json!({"id": self.id(), "object": "chat.completion.chunk", "created": 1,
                                   "model": "gpt-4o-2024-08-06", "choices": choices});
            if usage {
                chunk["usage"] = tokens;
            }
            chunk.to_string()
        };
        let delta = |delta: Value, finish: Value| {
            chunk(
                json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]),
                Value::Null,
            )
        };
        let mut events =
            vec![delta(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null)];
        for piece in self.pieces() {
            events.push(delta(json!({"content": piece}), Value::Null));
        }
        events.push(delta(json!({}), "stop".into()));
        if usage {
            let output = self.words as u64;
            events.push(chunk(
                json!([]),
                json!({"prompt_tokens": INPUT, "completion_tokens": output, "total_tokens": INPUT + output}),
            ));
        }
        events.push("[DONE]".to_owned());
        events
    }

    fn message_events(self) -> Vec<Value> {
        let mut events = vec![
            json!({"type": "message_start", "message": {
                "id": self.id(), "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": INPUT, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ];
        for piece in self.pieces() {
            events.push(json!({"type": "content_block_delta", "index": 0,
                               "delta": {"type": "text_delta", "text": piece}}));
        }
        events.push(json!({"type": "content_block_stop", "index": 0}));
        events.push(json!({"type": "message_delta",
                           "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                           "usage": {"output_tokens": self.words as u64}}));
        events.push(json!({"type": "message_stop"}));
        events
    }

    fn gemini_events(self) -> Vec<Value> {
        let pieces = self.pieces();
        let last = pieces.len() - 1;
        let chunk = |(at, piece): (usize, &String)| {
            let mut candidate = json!({"content": {"parts": [{"text": piece}], "role": "model"}, "index": 0});
            if at == last {
                candidate["finishReason"] = "STOP".into();
            }
            json!({"candidates": [candidate], "usageMetadata": gemini_usage(at as u64 + 1),
                   "modelVersion": "gemini-2.5-flash", "responseId": self.id()})
        };
        pieces.iter().enumerate().map(chunk).collect()
    }
}

fn gemini_usage(output: u64) -> Value {
    json!({"promptTokenCount": INPUT, "candidatesTokenCount": output, "totalTokenCount": INPUT + output})
}

/// What a client made of what it heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The call it came from.
    pub call: Option<u64>,
    /// The text.
    pub text: String,
    /// A finish reason was heard.
    pub finished: bool,
    /// The dialect's own end mark was heard (`[DONE]`, `message_stop`; Gemini has none).
    pub closed: bool,
    /// Input and output tokens, where named.
    pub usage: Option<(u64, u64)>,
    /// An error inside the stream.
    pub error: Option<String>,
}

fn call_of(id: &Value) -> Option<u64> {
    id.as_str()?.strip_prefix("id-")?.parse().ok()
}

fn pair(usage: &Value, input: &str, output: &str) -> Option<(u64, u64)> {
    Some((usage[input].as_u64()?, usage[output].as_u64().unwrap_or(0)))
}

/// Reads a JSON body; `None` where it is no answer.
pub fn read_body(api: Api, body: &[u8]) -> Option<Said> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let (id, text, finished, usage) = match api {
        Api::Chat => {
            let choice = &body["choices"][0];
            let usage = pair(&body["usage"], "prompt_tokens", "completion_tokens");
            (&body["id"], &choice["message"]["content"], choice["finish_reason"] == "stop", usage)
        }
        Api::Messages => {
            let usage = pair(&body["usage"], "input_tokens", "output_tokens");
            (&body["id"], &body["content"][0]["text"], body["stop_reason"] == "end_turn", usage)
        }
        Api::Generate => {
            let candidate = &body["candidates"][0];
            let usage = pair(&body["usageMetadata"], "promptTokenCount", "candidatesTokenCount");
            let text = &candidate["content"]["parts"][0]["text"];
            (&body["responseId"], text, candidate["finishReason"] == "STOP", usage)
        }
        Api::Embeddings => {
            let usage = pair(&body["usage"], "prompt_tokens", "completion_tokens");
            let vector = &body["data"][0]["embedding"];
            let (call, words) = (vector[0].as_f64()? as u64, vector[1].as_f64()? as usize);
            let text = Mark { api, call, words }.text();
            return Some(Said { call: Some(call), text, finished: true, closed: true, usage, error: None });
        }
    };
    let text = text.as_str()?.to_owned();
    Some(Said { call: call_of(id), text, finished, closed: true, usage, error: None })
}

/// Reads a stream of events, as far as it goes.
///
/// # Errors
/// Something in it is no event of the dialect, or comes after the end.
pub fn read_events(api: Api, stream: &[u8]) -> Result<Said, String> {
    let text = std::str::from_utf8(stream).map_err(|error| format!("a character was cut: {error}"))?;
    let text = text.replace("\r\n", "\n");
    let mut said = Said { closed: api == Api::Generate, ..Said::default() };
    let blocks: Vec<_> = text.split("\n\n").collect();
    if blocks.last().is_some_and(|rest| !rest.is_empty()) {
        return Err(format!("the stream ends inside an event: {:?}", blocks.last()));
    }
    for block in blocks {
        let data: Vec<_> = block.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        if data.is_empty() {
            continue;
        }
        if said.error.is_some() || (said.closed && api != Api::Generate) {
            return Err(format!("an event after the end: {block:?}"));
        }
        if data == ["[DONE]"] {
            said.closed = true;
            continue;
        }
        let event: Value =
            serde_json::from_str(&data.join("\n")).map_err(|error| format!("{error} in {block:?}"))?;
        if !event["error"].is_null() {
            said.error = Some(event["error"].to_string());
            continue;
        }
        said.hear(api, &event)?;
    }
    Ok(said)
}

impl Said {
    fn hear(&mut self, api: Api, event: &Value) -> Result<(), String> {
        let (id, piece, usage, finished) = match api {
            Api::Chat | Api::Embeddings => {
                let choice = &event["choices"][0];
                let usage = pair(&event["usage"], "prompt_tokens", "completion_tokens");
                (&event["id"], &choice["delta"]["content"], usage, choice["finish_reason"] == "stop")
            }
            Api::Messages => {
                self.closed |= event["type"] == "message_stop";
                let start = &event["message"]["usage"]["input_tokens"];
                let output = event["usage"]["output_tokens"].as_u64();
                let usage = match (start.as_u64(), output, self.usage) {
                    (Some(input), _, _) => Some((input, 0)),
                    (_, Some(output), Some((input, _))) => Some((input, output)),
                    _ => None,
                };
                (
                    &event["message"]["id"],
                    &event["delta"]["text"],
                    usage,
                    event["delta"]["stop_reason"] == "end_turn",
                )
            }
            Api::Generate => {
                let candidate = &event["candidates"][0];
                let usage = pair(&event["usageMetadata"], "promptTokenCount", "candidatesTokenCount");
                let text = &candidate["content"]["parts"][0]["text"];
                (&event["responseId"], text, usage, candidate["finishReason"] == "STOP")
            }
        };
        match (self.call, call_of(id)) {
            (Some(before), Some(now)) if before != now => {
                return Err(format!("events of calls {before} and {now} in one stream"));
            }
            (None, now) => self.call = now,
            _ => {}
        }
        self.text.push_str(piece.as_str().unwrap_or_default());
        self.usage = usage.or(self.usage);
        self.finished |= finished;
        Ok(())
    }
}
