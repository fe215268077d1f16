//! Anthropic's events, heard.

use serde::Deserialize;

use super::super::Api;
use super::super::prompt::Signature;
use super::super::said::{Delta, Finish, Hear, Said, Tokens};
use crate::response::shape::{ProviderError, Text, error_in};
use crate::response::usage::AnthropicUsage;
use crate::sse::Event;

/// Hears Anthropic.
#[derive(Default)]
pub(in super::super) struct MessagesHearer {
    usage: AnthropicUsage,
    calls: u32,
    /// The content block under way.
    block: Block,
    finish: Option<Finish>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Block {
    #[default]
    Said,
    /// A call of a tool, and whether some of its arguments have come.
    Call(u32, bool),
    /// Something only Anthropic has: a search of its own, say.
    Foreign,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    content_block: Option<Content<'a>>,
    #[serde(borrow)]
    delta: Option<Content<'a>>,
    usage: Option<AnthropicUsage>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    usage: Option<AnthropicUsage>,
}

/// A content block as it begins, a piece of one, or what the message's end says.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    input: Option<Box<serde_json::value::RawValue>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    stop_sequence: Option<Text<'a>>,
    #[serde(borrow)]
    stop_details: Option<StopDetails<'a>>,
}

#[derive(Deserialize)]
struct StopDetails<'a> {
    #[serde(borrow)]
    explanation: Option<Text<'a>>,
}

fn owned(text: Option<Text>) -> String {
    text.map(|text| text.0.into_owned()).unwrap_or_default()
}

fn filled(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0.into_owned()).filter(|text| !text.is_empty())
}

impl Hear for MessagesHearer {
    fn hear(&mut self, event: &Event, said: &mut Vec<Said>) -> Result<(), &'static str> {
        let Ok(frame) = serde_json::from_slice::<Frame>(event.data()) else {
            return Err("an event was not what the API promises");
        };
        if let Some(newer) = frame.usage {
            self.usage.update(&newer);
        }
        match frame.kind.as_ref().map_or("", |kind| &kind.0) {
            "message_start" => self.begin(frame.message, said),
            "content_block_start" => self.start(frame.content_block, said),
            "content_block_delta" => self.delta(frame.delta, said),
            "content_block_stop" => {
                if let Block::Call(call, false) = std::mem::take(&mut self.block) {
                    said.push(Said::Delta(0, Delta::Arguments { call, json: "{}".to_owned() }));
                }
            }
            "message_delta" => self.finish(frame.delta, said),
            "message_stop" => self.stop(said),
            "error" => {
                let unnamed =
                    || ProviderError { status: 500, message: String::new(), kind: None, code: None };
                said.push(Said::Error(error_in(event.data()).unwrap_or_else(unnamed)));
            }
            // Pings, and what Anthropic may add.
            _ => {}
        }
        Ok(())
    }

    /// `message_stop` is the proof; without it the reply was cut.
    fn end(&mut self, _: &mut Vec<Said>) {}
}

impl MessagesHearer {
    fn begin(&mut self, message: Option<Message>, said: &mut Vec<Said>) {
        let Some(message) = message else { return };
        if let Some(usage) = message.usage {
            self.usage.update(&usage);
        }
        said.push(Said::Begin { id: filled(message.id), model: filled(message.model) });
    }

    fn start(&mut self, block: Option<Content>, said: &mut Vec<Said>) {
        let Some(block) = block else { return };
        self.block = Block::Said;
        match block.kind.as_ref().map_or("", |kind| &kind.0) {
            "text" => said.extend(filled(block.text).map(|text| Said::Delta(0, Delta::Text(text)))),
            "thinking" => {
                said.extend(filled(block.thinking).map(|text| Said::Delta(0, Delta::Thinking(text))));
            }
            "redacted_thinking" => {
                let signature = Signature { by: Api::Messages, data: owned(block.data), redacted: true };
                said.push(Said::Delta(0, Delta::Signature(signature)));
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                let (id, name) = (owned(block.id), owned(block.name));
                said.push(Said::Delta(0, Delta::Call { call, id, name, signature: None }));
                // A stream begins with `{}` and sends the input in pieces.
                let input = block.input.filter(|input| !matches!(input.get(), "{}" | "null"));
                self.block = Block::Call(call, input.is_some());
                said.extend(
                    input
                        .map(|input| Said::Delta(0, Delta::Arguments { call, json: input.get().to_owned() })),
                );
            }
            _ => self.block = Block::Foreign,
        }
    }

    fn delta(&mut self, delta: Option<Content>, said: &mut Vec<Said>) {
        let Some(delta) = delta else { return };
        let heard = match delta.kind.as_ref().map_or("", |kind| &kind.0) {
            "text_delta" => filled(delta.text).map(Delta::Text),
            "thinking_delta" => filled(delta.thinking).map(Delta::Thinking),
            "signature_delta" => filled(delta.signature)
                .map(|data| Delta::Signature(Signature { by: Api::Messages, data, redacted: false })),
            "input_json_delta" => match (self.block, filled(delta.partial_json)) {
                (Block::Call(call, _), Some(json)) => {
                    self.block = Block::Call(call, true);
                    Some(Delta::Arguments { call, json })
                }
                _ => None,
            },
            // Citations, and what Anthropic may add.
            _ => None,
        };
        if self.block != Block::Foreign {
            said.extend(heard.map(|delta| Said::Delta(0, delta)));
        }
    }

    fn finish(&mut self, delta: Option<Content>, said: &mut Vec<Said>) {
        let Some(delta) = delta else { return };
        let Some(reason) = delta.stop_reason else { return };
        self.finish = Some(match &*reason.0 {
            "stop_sequence" => Finish::Stop(filled(delta.stop_sequence)),
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            "pause_turn" => Finish::Paused,
            "tool_use" => Finish::Calls,
            "refusal" => {
                let why = delta.stop_details.and_then(|details| filled(details.explanation));
                said.extend(why.map(|why| Said::Delta(0, Delta::Refusal(why))));
                Finish::Filtered
            }
            _ => Finish::Stop(None),
        });
    }

    fn stop(&mut self, said: &mut Vec<Said>) {
        // Without a stop reason nothing proves that the message is whole.
        let Some(finish) = self.finish.take() else { return };
        let tokens = Tokens { usage: self.usage.counts(), thinking: self.usage.thinking() };
        said.extend([Said::Finish(0, finish), Said::Usage(tokens), Said::End]);
    }
}
