//! A reply told as the named events of OpenAI's responses.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::Api;
use super::super::errors;
use super::super::prompt::Prompt;
use super::super::resume::Partial;
use super::super::said::{Delta, Finish, Said, Tell, Tokens, tell_json};
use super::super::translator::Stamp;
use super::OURS;
use crate::sse::EventWriter;

/// Tells a client of responses.
pub(in super::super) struct ResponsesTeller {
    stamp: Stamp,
    /// What an answer repeats of its request; of one that goes on, what was told of it.
    echo: Map<String, Value>,
    custom: Vec<String>,
    /// The client asked for a summary of thoughts.
    thoughts: bool,
    sequence: u64,
    begun: bool,
    items: Vec<Item>,
    finish: Option<Finish>,
    tokens: Option<Tokens>,
}

/// An item of the output, as far as it was told.
struct Item {
    id: String,
    kind: Kind,
    /// Its text or arguments so far.
    text: String,
    /// No more will come.
    done: bool,
}

/// More of an item: the one event of which there are many.
#[derive(Serialize)]
struct Piece<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: u64,
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// A message whose one part is this kind of text.
    Message(Text),
    Reasoning,
    Call {
        call: u32,
        id: String,
        name: String,
        custom: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Output,
    Refusal,
}

impl Text {
    /// The kind of part, its member, the family of its events.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Output => ("output_text", "text", "response.output_text"),
            Self::Refusal => ("refusal", "refusal", "response.refusal"),
        }
    }

    fn part(self, text: &str) -> Value {
        match self {
            Self::Output => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
            Self::Refusal => json!({"type": "refusal", "refusal": text}),
        }
    }
}

impl Item {
    /// The item as it is when it is announced, or as it is in the end.
    fn value(&self, done: bool) -> Value {
        let status = if done { "completed" } else { "in_progress" };
        let text = if done { self.text.as_str() } else { "" };
        match &self.kind {
            Kind::Message(kind) => {
                let content = if done { json!([kind.part(text)]) } else { json!([]) };
                json!({"type": "message", "id": self.id, "status": status, "role": "assistant", "content": content})
            }
            Kind::Reasoning => {
                let summary = if done { json!([{"type": "summary_text", "text": text}]) } else { json!([]) };
                json!({"type": "reasoning", "id": self.id, "summary": summary})
            }
            Kind::Call { id, name, custom: true, .. } => {
                json!({"type": "custom_tool_call", "id": self.id, "call_id": id, "name": name, "input": text, "status": status})
            }
            Kind::Call { id, name, .. } => {
                json!({"type": "function_call", "id": self.id, "call_id": id, "name": name, "arguments": text, "status": status})
            }
        }
    }

    /// The events of its text: their family, the member of the last, the place within the item.
    fn family(&self) -> (&'static str, &'static str, Option<&'static str>) {
        match &self.kind {
            Kind::Message(text) => {
                let (_, member, family) = text.words();
                (family, member, Some("content_index"))
            }
            Kind::Reasoning => ("response.reasoning_summary_text", "text", Some("summary_index")),
            Kind::Call { custom: true, .. } => ("response.custom_tool_call_input", "input", None),
            Kind::Call { .. } => ("response.function_call_arguments", "arguments", None),
        }
    }

    /// The family of the events around its one part, and the part.
    fn part(&self, done: bool) -> Option<(&'static str, Value)> {
        let text = if done { self.text.as_str() } else { "" };
        match &self.kind {
            Kind::Message(kind) => Some(("response.content_part", kind.part(text))),
            Kind::Reasoning => {
                Some(("response.reasoning_summary_part", json!({"type": "summary_text", "text": text})))
            }
            Kind::Call { .. } => None,
        }
    }
}

impl ResponsesTeller {
    /// A teller of the reply to `prompt`.
    pub(in super::super) fn new(prompt: &Prompt, stamp: Stamp) -> Self {
        let custom = prompt.tools.iter().filter(|tool| tool.custom).map(|tool| tool.name.clone());
        Self {
            stamp,
            echo: prompt.echo.clone(),
            custom: custom.collect(),
            thoughts: prompt.thoughts,
            sequence: 0,
            begun: false,
            items: Vec::new(),
            finish: None,
            tokens: None,
        }
    }

    fn event(&mut self, out: &mut EventWriter, kind: &str, members: Value) {
        let mut frame = Map::new();
        frame.insert("type".into(), kind.into());
        frame.insert("sequence_number".into(), self.sequence.into());
        if let Value::Object(mut members) = members {
            frame.append(&mut members);
        }
        self.sequence += 1;
        tell_json(out, kind, &frame);
    }

    /// The response as far as it has come.
    fn response(&self, status: &str) -> Value {
        let reason = match (status, &self.finish) {
            ("incomplete", Some(Finish::Filtered)) => json!({"reason": "content_filter"}),
            ("incomplete", _) => json!({"reason": "max_output_tokens"}),
            _ => Value::Null,
        };
        let ended = status != "in_progress";
        let output: Vec<Value> = self.items.iter().filter(|_| ended).map(|item| item.value(true)).collect();
        let mut response = json!({
            "id": format!("resp_{}", self.stamp.id),
            "object": "response",
            "created_at": self.stamp.created,
            "status": status,
            "error": null,
            "incomplete_details": reason,
            "model": self.stamp.model,
            "output": output,
            "usage": self.tokens.filter(|_| ended).map(|tokens| usage(&tokens)),
        });
        if let Value::Object(members) = &mut response {
            members.extend(self.echo.clone());
        }
        response
    }

    /// The beginning comes with the first content: until then a failure can be a status.
    fn begin(&mut self, out: &mut EventWriter) {
        if !std::mem::replace(&mut self.begun, true) {
            let response = self.response("in_progress");
            self.event(out, "response.created", json!({"response": response}));
            self.event(out, "response.in_progress", json!({"response": response}));
        }
    }

    fn delta(&mut self, out: &mut EventWriter, delta: Delta) {
        match delta {
            Delta::Text(text) => self.text(out, Kind::Message(Text::Output), "msg", &text),
            Delta::Refusal(text) => self.text(out, Kind::Message(Text::Refusal), "msg", &text),
            Delta::Thinking(text) if self.thoughts => self.text(out, Kind::Reasoning, OURS, &text),
            // Not asked for, or words this API does not have.
            Delta::Thinking(_) | Delta::Signature(_) | Delta::Logprobs(_) => {}
            Delta::Call { call, id, name, .. } => {
                let custom = self.custom.contains(&name);
                self.close_text(out);
                self.open(out, Kind::Call { call, id, name, custom }, if custom { "ctc" } else { "fc" });
            }
            Delta::Arguments { call, json } => {
                let is =
                    |item: &Item| matches!(&item.kind, Kind::Call { call: number, .. } if *number == call);
                if let Some(at) = self.items.iter().position(is) {
                    self.append(out, at, &json);
                }
            }
        }
    }

    /// More text of the item under way, or of a new one.
    fn text(&mut self, out: &mut EventWriter, kind: Kind, prefix: &str, text: &str) {
        let under_way = self.items.iter().position(|item| !item.done && item.kind == kind);
        let at = match under_way {
            Some(at) => at,
            None => {
                self.close_text(out);
                self.open(out, kind, prefix)
            }
        };
        self.append(out, at, text);
    }

    fn open(&mut self, out: &mut EventWriter, kind: Kind, prefix: &str) -> usize {
        self.begin(out);
        let at = self.items.len();
        let id = format!("{prefix}_{}_{at}", self.stamp.id);
        let item = Item { id, kind, text: String::new(), done: false };
        let added = json!({"output_index": at, "item": item.value(false)});
        let part = item.part(false);
        self.items.push(item);
        self.event(out, "response.output_item.added", added);
        if let Some((family, part)) = part {
            let members = self.at(at, [("part", part)]);
            self.event(out, &format!("{family}.added"), members);
        }
        at
    }

    fn append(&mut self, out: &mut EventWriter, at: usize, text: &str) {
        let Some(item) = self.items.get_mut(at) else { return };
        item.text.push_str(text);
        let (family, _, place) = item.family();
        let kind = format!("{family}.delta");
        let within = |name| (place == Some(name)).then_some(0);
        let piece = Piece {
            kind: &kind,
            sequence_number: self.sequence,
            item_id: &item.id,
            output_index: at,
            content_index: within("content_index"),
            summary_index: within("summary_index"),
            delta: text,
            logprobs: (family == "response.output_text").then_some([]),
        };
        self.sequence += 1;
        tell_json(out, &kind, &piece);
    }

    /// Where an item's event belongs, and what it says.
    fn at<const N: usize>(&self, at: usize, said: [(&str, Value); N]) -> Value {
        let item = self.items.get(at);
        let mut members = json!({"item_id": item.map(|item| item.id.as_str()), "output_index": at});
        if let Some((_, _, Some(index))) = item.map(Item::family) {
            members[index] = 0.into();
        }
        for (name, value) in said {
            members[name] = value;
        }
        members
    }

    /// Ends the text under way: something else follows.
    fn close_text(&mut self, out: &mut EventWriter) {
        let is = |item: &Item| !item.done && !matches!(item.kind, Kind::Call { .. });
        if let Some(at) = self.items.iter().position(is) {
            self.close(out, at);
        }
    }

    fn close(&mut self, out: &mut EventWriter, at: usize) {
        let Some(item) = self.items.get_mut(at) else { return };
        item.done = true;
        let ((family, member, _), text) = (item.family(), item.text.clone());
        let (part, whole) = (item.part(true), item.value(true));
        let name = match &item.kind {
            Kind::Call { name, custom: false, .. } => Some(name.clone()),
            _ => None,
        };
        let mut members = self.at(at, [(member, text.into())]);
        if let Some(name) = name {
            members["name"] = name.into();
        }
        if family == "response.output_text" {
            members["logprobs"] = json!([]);
        }
        self.event(out, &format!("{family}.done"), members);
        if let Some((family, part)) = part {
            let members = self.at(at, [("part", part)]);
            self.event(out, &format!("{family}.done"), members);
        }
        self.event(out, "response.output_item.done", json!({"output_index": at, "item": whole}));
    }

    fn end(&mut self, out: &mut EventWriter) {
        self.begin(out);
        for at in 0..self.items.len() {
            if self.items.get(at).is_some_and(|item| !item.done) {
                self.close(out, at);
            }
        }
        let status = match &self.finish {
            Some(Finish::Length | Finish::Paused | Finish::Filtered) => "incomplete",
            _ => "completed",
        };
        let response = self.response(status);
        self.event(out, &format!("response.{status}"), json!({"response": response}));
    }
}

impl Tell for ResponsesTeller {
    fn tell(&mut self, said: Said, out: &mut EventWriter) {
        match said {
            Said::Begin { id, model } => self.stamp.begin(id, model),
            // Responses know one answer, so only one was asked for.
            Said::Delta(0, delta) => self.delta(out, delta),
            Said::Finish(0, finish) => self.finish = Some(finish),
            Said::Delta(..) | Said::Finish(..) => {}
            Said::Usage(tokens) => self.tokens = Some(tokens),
            Said::Error(error) => {
                let body = errors::body(Api::Responses, &error);
                let code = error.code.or(error.kind);
                let members = json!({"code": code, "message": body["error"]["message"], "param": null});
                self.event(out, "error", members);
            }
            Said::End => self.end(out),
        }
    }

    fn go_on(&mut self, partial: &Partial) {
        let Some(told) = &partial.told else { return };
        self.begun = true;
        self.sequence = told.next;
        self.echo.clone_from(&told.response);
        if let Some(id) = &told.message {
            let (kind, text) = (Kind::Message(Text::Output), partial.text.clone());
            self.items.push(Item { id: id.clone(), kind, text, done: false });
        }
    }
}

/// `usage` in the words of responses.
fn usage(tokens: &Tokens) -> Value {
    let counts = tokens.usage;
    json!({
        "input_tokens": counts.input,
        "input_tokens_details": {
            "cached_tokens": counts.cached_input,
            "cache_write_tokens": counts.cache_write.saturating_add(counts.cache_write_1h),
        },
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": tokens.thinking},
        "total_tokens": counts.input.saturating_add(counts.output),
    })
}
