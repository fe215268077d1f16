//! A reply told as chat completion chunks, the way OpenAI sends them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::resume::Partial;
use super::super::said::{Delta, Finish, Said, Tell, Tokens};
use super::super::translator::Stamp;
use super::super::{Api, errors, prompt::Prompt, prompt::Signature};
use crate::response::usage::ServiceTier;
use crate::sse::EventWriter;

/// Tells a client of chat completions. What surrounds the choices is the same in every chunk; each has
/// `"usage":null` at its end, as where the client asked for the usage chunk: readers who did not ask
/// are spared both.
pub(in super::super) struct ChatTeller {
    stamp: Stamp,
    /// Everything of a chunk before its choice, once the reply has begun.
    head: Vec<u8>,
    choices: Vec<Choice>,
    tokens: Option<Tokens>,
    legacy_functions: bool,
    custom: Vec<String>,
}

/// What was told of one choice.
#[derive(Default)]
struct Choice {
    begun: bool,
    /// For each call whether it is one of a custom tool.
    calls: Vec<bool>,
    /// Anthropic's thoughts, as blocks: they go back with the next request.
    thoughts: Vec<Value>,
}

impl ChatTeller {
    /// A teller of the reply to `prompt`.
    pub(in super::super) fn new(prompt: &Prompt, stamp: Stamp) -> Self {
        let custom = prompt.tools.iter().filter(|tool| tool.custom).map(|tool| tool.name.clone());
        Self {
            stamp,
            head: Vec::new(),
            choices: Vec::new(),
            tokens: None,
            legacy_functions: prompt.legacy_functions,
            custom: custom.collect(),
        }
    }

    fn begin(&mut self, id: Option<&str>, model: Option<&str>) {
        self.head(&format!("chatcmpl-{}", id.unwrap_or(&self.stamp.id)), model);
    }

    fn head(&mut self, id: &str, model: Option<&str>) {
        let envelope = json!({
            "id": id,
            "object": "chat.completion.chunk",
            "created": self.stamp.created,
            "model": model.unwrap_or(&self.stamp.model),
        });
        self.head = envelope.to_string().into_bytes();
        self.head.pop();
        self.head.extend_from_slice(b",\"choices\":[");
    }

    /// Writes one chunk with this delta of a choice.
    fn chunk(
        &mut self,
        out: &mut EventWriter,
        index: u32,
        delta: &impl Serialize,
        end: (Option<&str>, &Value),
    ) {
        if self.head.is_empty() {
            self.begin(None, None);
        }
        let (finish_reason, logprobs) = end;
        let choice = ChunkChoice { index, delta, logprobs, finish_reason };
        out.event(b"", |out| {
            out.extend_from_slice(&self.head);
            // Text, numbers and string-keyed maps: there is nothing that could fail.
            let _ = serde_json::to_writer(&mut *out, &choice);
            out.extend_from_slice(b"],\"usage\":null}");
        });
    }

    fn delta(&mut self, out: &mut EventWriter, index: u32, delta: Delta) {
        self.open(out, index, matches!(delta, Delta::Text(_)));
        let nothing = (None, &Value::Null);
        match delta {
            Delta::Text(text) => self.chunk(out, index, &Content { content: &text }, nothing),
            Delta::Refusal(refusal) => self.chunk(out, index, &Refusal { refusal: &refusal }, nothing),
            Delta::Thinking(text) => {
                self.remember(index, |blocks| append_thought(blocks, &text));
                self.chunk(out, index, &Reasoning { reasoning_content: &text }, nothing);
            }
            Delta::Signature(signature) => self.sign(out, index, &signature),
            Delta::Call { call, id, name, signature } => {
                self.call(out, index, call, &id, &name, signature.as_ref());
            }
            Delta::Arguments { call, json } => self.arguments(out, index, call, &json),
            Delta::Logprobs(tokens) => {
                let logprobs = json!({"content": tokens, "refusal": null});
                self.chunk(out, index, &Map::new(), (None, &logprobs));
            }
        }
    }

    /// The chunk with the role comes before the first of a choice. Until then nothing was told, and a
    /// failure can still be a status.
    fn open(&mut self, out: &mut EventWriter, index: u32, text: bool) {
        let begun = self.choice(index).is_none_or(|choice| std::mem::replace(&mut choice.begun, true));
        if !begun {
            let content = if text { "".into() } else { Value::Null };
            let role = json!({"role": "assistant", "content": content, "refusal": null});
            self.chunk(out, index, &role, (None, &Value::Null));
        }
    }

    /// What was told of a choice; `None` beyond all bounds.
    fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        const MOST: usize = 128;
        let at = index as usize;
        if at < MOST && self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        self.choices.get_mut(at)
    }

    fn remember(&mut self, index: u32, change: impl FnOnce(&mut Vec<Value>)) {
        if let Some(choice) = self.choice(index) {
            change(&mut choice.thoughts);
        }
    }

    /// A proof of Anthropic's closes a thought and is given at the choice's end; one of Gemini's that
    /// belongs to text has the place that Google gives it.
    fn sign(&mut self, out: &mut EventWriter, index: u32, signature: &Signature) {
        match signature.by {
            Api::Messages if signature.redacted => self.remember(index, |blocks| {
                blocks.push(json!({"type": "redacted_thinking", "data": signature.data}));
            }),
            Api::Messages => self.remember(index, |blocks| {
                if let Some(last) = blocks.last_mut() {
                    last["signature"] = signature.data.as_str().into();
                }
            }),
            _ => {
                let kept = json!({"extra_content": {"google": {"thought_signature": signature.data}}});
                self.chunk(out, index, &kept, (None, &Value::Null));
            }
        }
    }

    fn call(
        &mut self,
        out: &mut EventWriter,
        index: u32,
        call: u32,
        id: &str,
        name: &str,
        signature: Option<&Signature>,
    ) {
        let custom = self.custom.iter().any(|known| known == name);
        if let Some(choice) = self.choice(index) {
            choice.calls.push(custom);
        }
        let nothing = (None, &Value::Null);
        if self.legacy_functions {
            let function = json!({"function_call": {"name": name, "arguments": ""}});
            return self.chunk(out, index, &function, nothing);
        }
        let mut begun = if custom {
            json!({"index": call, "id": id, "type": "custom", "custom": {"name": name, "input": ""}})
        } else {
            json!({"index": call, "id": id, "type": "function", "function": {"name": name, "arguments": ""}})
        };
        if let Some(signature) = signature.filter(|signature| signature.by == Api::Generate) {
            begun["extra_content"] = json!({"google": {"thought_signature": signature.data}});
        }
        self.chunk(out, index, &json!({"tool_calls": [begun]}), nothing);
    }

    fn arguments(&mut self, out: &mut EventWriter, index: u32, call: u32, json: &str) {
        let calls = self.choice(index).map(|choice| choice.calls.as_slice()).unwrap_or_default();
        let custom = calls.get(call as usize) == Some(&true);
        let nothing = (None, &Value::Null);
        if self.legacy_functions {
            let piece = FunctionCall { function_call: Arguments { arguments: json } };
            self.chunk(out, index, &piece, nothing);
        } else if custom {
            let piece = json!({"tool_calls": [{"index": call, "custom": {"input": json}}]});
            self.chunk(out, index, &piece, nothing);
        } else {
            let piece = Piece { index: call, function: Arguments { arguments: json } };
            self.chunk(out, index, &ToolCalls { tool_calls: [piece] }, nothing);
        }
    }

    fn finish(&mut self, out: &mut EventWriter, index: u32, finish: &Finish) {
        self.open(out, index, false);
        let reason = match finish {
            Finish::Stop(_) => "stop",
            Finish::Length | Finish::Paused => "length",
            Finish::Calls if self.legacy_functions => "function_call",
            Finish::Calls => "tool_calls",
            Finish::Filtered => "content_filter",
        };
        // Unsigned thoughts would be no use to Anthropic.
        let thoughts = self.choice(index).map(|choice| std::mem::take(&mut choice.thoughts));
        let mut thoughts = thoughts.unwrap_or_default();
        thoughts.retain(|block| block.get("signature").is_some() || block.get("data").is_some());
        if !thoughts.is_empty() && *finish == Finish::Calls {
            let kept = json!({"extra_content": {"anthropic": {"thinking": thoughts}}});
            self.chunk(out, index, &kept, (None, &Value::Null));
        }
        self.chunk(out, index, &Map::new(), (Some(reason), &Value::Null));
    }

    fn end(&mut self, out: &mut EventWriter) {
        if let Some(tokens) = self.tokens {
            let tier = match tokens.usage.tier {
                ServiceTier::Default => "default",
                ServiceTier::Flex => "flex",
                ServiceTier::Priority => "priority",
            };
            out.event(b"", |out| {
                out.extend_from_slice(&self.head);
                let rest = format!("],\"service_tier\":\"{tier}\",\"usage\":{}}}", usage(&tokens));
                out.extend_from_slice(rest.as_bytes());
            });
        }
        out.event(b"", |out| out.extend_from_slice(b"[DONE]"));
    }
}

impl Tell for ChatTeller {
    fn tell(&mut self, said: Said, out: &mut EventWriter) {
        match said {
            Said::Begin { id, model } => self.begin(id.as_deref(), model.as_deref()),
            Said::Delta(index, delta) => self.delta(out, index, delta),
            Said::Finish(index, finish) => self.finish(out, index, &finish),
            Said::Usage(tokens) => self.tokens = Some(tokens),
            Said::Error(error) => {
                let body = errors::body(Api::Chat, &error).to_string();
                out.event(b"", |out| out.extend_from_slice(body.as_bytes()));
            }
            Said::End => self.end(out),
        }
    }

    fn go_on(&mut self, partial: &Partial) {
        self.stamp.created = partial.created.unwrap_or(self.stamp.created);
        self.head(partial.id.as_deref().unwrap_or_default(), partial.model.as_deref());
        if let Some(choice) = self.choice(0) {
            choice.begun = true;
        }
    }
}

/// `usage` in OpenAI's words.
fn usage(tokens: &Tokens) -> Value {
    let counts = tokens.usage;
    json!({
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input.saturating_add(counts.output),
        "prompt_tokens_details": {
            "cached_tokens": counts.cached_input,
            "cache_write_tokens": counts.cache_write.saturating_add(counts.cache_write_1h),
        },
        "completion_tokens_details": {"reasoning_tokens": tokens.thinking},
    })
}

fn append_thought(blocks: &mut Vec<Value>, more: &str) {
    if let Some(open) = blocks.last_mut().filter(|last| last.get("signature").is_none())
        && let Some(Value::String(text)) = open.get_mut("thinking")
    {
        text.push_str(more);
        return;
    }
    blocks.push(json!({"type": "thinking", "thinking": more}));
}

/// A choice of a chunk, in OpenAI's order.
#[derive(Serialize)]
struct ChunkChoice<'a, D> {
    index: u32,
    delta: &'a D,
    logprobs: &'a Value,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Content<'a> {
    content: &'a str,
}

#[derive(Serialize)]
struct Refusal<'a> {
    refusal: &'a str,
}

#[derive(Serialize)]
struct Reasoning<'a> {
    reasoning_content: &'a str,
}

#[derive(Serialize)]
struct ToolCalls<'a> {
    tool_calls: [Piece<'a>; 1],
}

#[derive(Serialize)]
struct Piece<'a> {
    index: u32,
    function: Arguments<'a>,
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    function_call: Arguments<'a>,
}

#[derive(Serialize)]
struct Arguments<'a> {
    arguments: &'a str,
}
