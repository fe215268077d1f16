//! OpenAI text completions: chunks to a completion and back.

use serde_json::{Map, Value, json};

use super::Unfoldable;
use super::chat::drop_null;
use super::chunks::{Chunks, Collected, take};
use super::pieces::{Cut, pieces};
use crate::sse::Event;

const OBJECT: &str = "text_completion";

pub(super) fn fold(events: &[Event]) -> Result<Value, Unfoldable> {
    Collected::from(events)?.body(OBJECT, |mut collected| {
        let mut choice = Map::new();
        choice.insert("text".into(), "".into());
        choice.insert("index".into(), 0.into());
        choice.insert("logprobs".into(), Value::Null);
        take(&mut collected, &["text", "index", "logprobs", "finish_reason"], &mut choice);
        choice.append(&mut collected);
        Ok(choice.into())
    })
}

pub(super) fn unfold(body: Value, cut: Cut) -> Result<Vec<Event>, Unfoldable> {
    let mut chunks = Chunks::of(body, OBJECT)?;
    for choice in std::mem::take(&mut chunks.choices) {
        let Value::Object(mut choice) = choice else { return Err(Unfoldable("a choice is no object")) };
        if choice.get("finish_reason").is_none_or(Value::is_null) {
            return Err(Unfoldable("an unfinished choice"));
        }
        let Some(Value::String(text)) = choice.get_mut("text").map(std::mem::take) else {
            return Err(Unfoldable("a choice without text"));
        };
        let mut logprobs = Logprobs::of(choice.shift_remove("logprobs"));
        let index = choice.get("index").cloned().unwrap_or(0.into());
        for piece in pieces(&text, cut) {
            let logprobs = logprobs.for_piece(piece);
            let part = json!({"text": piece, "index": index, "logprobs": logprobs, "finish_reason": null});
            chunks.chunk(&part)?;
        }
        let mut last = Map::new();
        last.insert("text".into(), "".into());
        last.insert("index".into(), index);
        last.insert("logprobs".into(), logprobs.rest());
        choice.shift_remove("text");
        last.extend(choice);
        chunks.chunk(&last)?;
    }
    chunks.end()
}

/// The lists of a choice that have one item per token, given out with the text they belong to.
struct Logprobs {
    all: Value,
    next: usize,
    len: usize,
}

impl Logprobs {
    fn of(logprobs: Option<Value>) -> Self {
        let all = logprobs.unwrap_or(Value::Null);
        let len = all.get("tokens").and_then(Value::as_array).map_or(0, Vec::len);
        let lists = all.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_array);
        // Lists of different length can't be cut side by side: the last chunk has them whole.
        let even = lists.clone().all(|list| list.len() == len);
        Self { all, next: 0, len: if even { len } else { 0 } }
    }

    fn for_piece(&mut self, piece: &str) -> Value {
        let mut end = self.next;
        let mut left = piece.len();
        while left > 0 && end < self.len {
            left = left.saturating_sub(self.all["tokens"][end].as_str().map_or(1, str::len));
            end += 1;
        }
        if end == self.next { Value::Null } else { self.part(end) }
    }

    fn rest(mut self) -> Value {
        match (self.next, self.len) {
            (0, _) => self.all,
            (next, len) if next < len => self.part(len),
            _ => Value::Null,
        }
    }

    fn part(&mut self, end: usize) -> Value {
        let mut part = self.all.clone();
        for list in part.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_array_mut)
        {
            list.truncate(end);
            list.drain(..self.next);
        }
        self.next = end;
        part
    }
}

/// Removes the nulls of a completion that a provider may write or leave out.
pub(super) fn drop_optional_nulls(body: &mut Value) {
    let Some(body) = body.as_object_mut() else { return };
    drop_null(body, "usage");
    let choices = body.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten().filter_map(Value::as_object_mut) {
        drop_null(choice, "logprobs");
    }
}
