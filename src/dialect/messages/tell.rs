//! A reply told as Anthropic's events around content blocks.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::held::{HeldCall, HeldCalls};
use super::super::prompt::Prompt;
use super::super::resume::Partial;
use super::super::said::{Delta, Finish, Said, Tell, Tokens, tell_json};
use super::super::translator::Stamp;
use super::super::{Api, errors};
use super::read_turns::UNSIGNED;
use crate::sse::EventWriter;

/// Tells a client of Messages. Anthropic gives one block after the other, and nothing says when a call is
/// whole: once one has begun, all that is no piece of it is held back until the end.
pub(in super::super) struct MessagesTeller {
    stamp: Stamp,
    begun: bool,
    blocks: usize,
    open: Open,
    held: HeldCalls,
    /// Text and thoughts that came after a call had begun.
    late: Vec<Late>,
    finish: Option<Finish>,
    tokens: Tokens,
    /// The client asked to see thoughts.
    thoughts: bool,
}

/// What is told after all calls.
enum Late {
    Text(String),
    Thought { text: String, signature: Option<String> },
}

/// The content block under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Thinking { signed: bool },
    Call(u32),
}

/// More of the block under way: the one event of which there are many.
#[derive(Serialize)]
struct BlockDelta<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    index: usize,
    delta: Piece<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Piece<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

impl MessagesTeller {
    /// A teller of the reply to `prompt`.
    pub(in super::super) fn new(prompt: &Prompt, stamp: Stamp) -> Self {
        Self {
            stamp,
            begun: false,
            blocks: 0,
            open: Open::Nothing,
            held: HeldCalls::default(),
            late: Vec::new(),
            finish: None,
            tokens: Tokens::default(),
            thoughts: prompt.thoughts,
        }
    }

    /// The message's beginning comes with its first content: until then a failure can be a status.
    fn begin(&mut self, out: &mut EventWriter) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let message = json!({
            "id": format!("msg_{}", self.stamp.id),
            "type": "message",
            "role": "assistant",
            "model": self.stamp.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage(&Tokens::default()),
        });
        tell_json(out, "message_start", &json!({"type": "message_start", "message": message}));
    }

    fn open(&mut self, out: &mut EventWriter, open: Open, block: &Value) {
        self.begin(out);
        self.close(out);
        let index = self.blocks;
        self.open = open;
        tell_json(
            out,
            "content_block_start",
            &json!({"type": "content_block_start", "index": index, "content_block": block}),
        );
    }

    fn close(&mut self, out: &mut EventWriter) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => return,
            Open::Thinking { signed: false } => {
                self.piece(out, Piece::Signature { signature: UNSIGNED });
            }
            Open::Text | Open::Thinking { .. } | Open::Call(_) => {}
        }
        let stop = json!({"type": "content_block_stop", "index": self.blocks});
        tell_json(out, "content_block_stop", &stop);
        self.blocks += 1;
    }

    fn piece(&self, out: &mut EventWriter, delta: Piece) {
        let kind = "content_block_delta";
        tell_json(out, kind, &BlockDelta { kind, index: self.blocks, delta });
    }

    fn text(&mut self, out: &mut EventWriter, text: String) {
        if self.is_late() {
            match self.late.last_mut() {
                Some(Late::Text(late)) => late.push_str(&text),
                _ => self.late.push(Late::Text(text)),
            }
            return;
        }
        if self.open != Open::Text {
            self.open(out, Open::Text, &json!({"type": "text", "text": ""}));
        }
        self.piece(out, Piece::Text { text: &text });
    }

    fn thought(&mut self, out: &mut EventWriter, text: String) {
        if self.is_late() {
            match self.late.last_mut() {
                Some(Late::Thought { text: late, signature: None }) => late.push_str(&text),
                _ => self.late.push(Late::Thought { text, signature: None }),
            }
            return;
        }
        if !matches!(self.open, Open::Thinking { .. }) {
            let block = json!({"type": "thinking", "thinking": "", "signature": ""});
            self.open(out, Open::Thinking { signed: false }, &block);
        }
        self.piece(out, Piece::Thinking { thinking: &text });
    }

    fn sign(&mut self, out: &mut EventWriter, proof: String) {
        if let Some(Late::Thought { signature, .. }) = self.late.last_mut() {
            *signature = Some(proof);
        } else if matches!(self.open, Open::Thinking { .. }) {
            self.open = Open::Thinking { signed: true };
            self.piece(out, Piece::Signature { signature: &proof });
        }
    }

    /// Whether a call may be under way.
    fn is_late(&self) -> bool {
        matches!(self.open, Open::Call(_))
    }

    fn delta(&mut self, out: &mut EventWriter, delta: Delta) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => self.text(out, text),
            Delta::Thinking(text) if self.thoughts => self.thought(out, text),
            Delta::Signature(signature) if signature.by == Api::Messages => self.sign(out, signature.data),
            // Not asked for, or words this API does not have.
            Delta::Thinking(_) | Delta::Signature(_) | Delta::Logprobs(_) => {}
            Delta::Call { call, id, name, .. } => self.call(out, call, id, name),
            Delta::Arguments { call, json } if self.open == Open::Call(call) => {
                self.piece(out, Piece::Input { partial_json: &json });
            }
            Delta::Arguments { call, json } => self.held.add(call, &json),
        }
    }

    fn call(&mut self, out: &mut EventWriter, call: u32, id: String, name: String) {
        if self.is_late() {
            self.held.begin(call, id, name, None);
        } else {
            self.open_call(out, call, &id, &name);
        }
    }

    fn open_call(&mut self, out: &mut EventWriter, call: u32, id: &str, name: &str) {
        self.open(out, Open::Call(call), &json!({"type": "tool_use", "id": id, "name": name, "input": {}}));
    }

    fn end(&mut self, out: &mut EventWriter) {
        self.begin(out);
        while let Some(HeldCall { call, id, name, json, .. }) = self.held.pop() {
            self.open_call(out, call, &id, &name);
            self.piece(out, Piece::Input { partial_json: &json });
        }
        self.close(out);
        for late in std::mem::take(&mut self.late) {
            match late {
                Late::Text(text) => self.text(out, text),
                Late::Thought { text, signature } => {
                    self.thought(out, text);
                    signature.into_iter().for_each(|proof| self.sign(out, proof));
                }
            }
        }
        self.close(out);
        let (reason, sequence) = match self.finish.take() {
            Some(Finish::Stop(Some(sequence))) => ("stop_sequence", Some(sequence)),
            Some(Finish::Stop(None)) | None => ("end_turn", None),
            Some(Finish::Length | Finish::Paused) => ("max_tokens", None),
            Some(Finish::Calls) => ("tool_use", None),
            Some(Finish::Filtered) => ("refusal", None),
        };
        let end = json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": usage(&self.tokens),
        });
        tell_json(out, "message_delta", &end);
        tell_json(out, "message_stop", &json!({"type": "message_stop"}));
    }
}

impl Tell for MessagesTeller {
    fn tell(&mut self, said: Said, out: &mut EventWriter) {
        match said {
            Said::Begin { id, model } => self.stamp.begin(id, model),
            // Messages know one answer, so only one was asked for.
            Said::Delta(0, delta) => self.delta(out, delta),
            Said::Finish(0, finish) => self.finish = Some(finish),
            Said::Delta(..) | Said::Finish(..) => {}
            Said::Usage(tokens) => self.tokens = tokens,
            Said::Error(error) => tell_json(out, "error", &errors::body(Api::Messages, &error)),
            Said::End => self.end(out),
        }
    }

    fn go_on(&mut self, partial: &Partial) {
        self.begun = true;
        if partial.opened {
            self.open = Open::Text;
        }
    }
}

/// `usage` in Anthropic's words: three counters of input that do not overlap.
fn usage(tokens: &Tokens) -> Value {
    let counts = tokens.usage;
    let written = counts.cache_write.saturating_add(counts.cache_write_1h);
    json!({
        "input_tokens": counts.input.saturating_sub(counts.cached_input).saturating_sub(written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": counts.cached_input,
        "output_tokens": counts.output,
        "output_tokens_details": {"thinking_tokens": tokens.thinking},
    })
}
