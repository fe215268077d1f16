//! The turns of a conversation, as they lie in a body: who speaks, and where the text is.
//!
//! Nothing is copied: a turn is a slice of the body, and its texts are the JSON strings in it.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::endpoint::Endpoint;

/// One turn, as it is written in the body.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    json: &'a str,
    /// It is a text by itself: `input` of `/v1/responses` may be the user's words alone.
    bare: bool,
}

/// The turns of a conversation in order, the oldest first; empty where there is none.
pub fn turns(endpoint: Endpoint, body: &[u8]) -> Vec<Turn<'_>> {
    let read = match endpoint {
        Endpoint::Chat | Endpoint::Messages => {
            serde_json::from_slice(body).map(|Messages { messages }| messages)
        }
        Endpoint::Responses => serde_json::from_slice(body).map(|Inputs { input }| input),
        Endpoint::Generate => serde_json::from_slice(body).map(|Contents { contents }| contents),
        _ => return Vec::new(),
    };
    let Ok(Some(all)) = read else { return Vec::new() };
    if all.get().starts_with('"') {
        return vec![Turn { json: all.get(), bare: true }];
    }
    let turns: Vec<&RawValue> = serde_json::from_str(all.get()).unwrap_or_default();
    turns.iter().map(|turn| Turn { json: turn.get(), bare: false }).collect()
}

/// Where the texts of the last message of the user lie in `body`: JSON strings, quotes included. A
/// message without text (the result of a tool) does not count.
pub fn last_user_texts(endpoint: Endpoint, body: &[u8]) -> Vec<Range<usize>> {
    let texts =
        turns(endpoint, body).into_iter().rev().filter(|turn| turn.is_user()).map(|turn| turn.texts());
    let start = body.as_ptr() as usize;
    let span = |text: &str| {
        // A text is a slice of the body: where it begins there is how far its address lies behind.
        let from = (text.as_ptr() as usize).wrapping_sub(start);
        from..from.wrapping_add(text.len())
    };
    let last = texts.into_iter().find(|texts| !texts.is_empty()).unwrap_or_default();
    last.into_iter().map(span).collect()
}

impl<'a> Turn<'a> {
    /// The turn as written.
    pub fn json(self) -> &'a str {
        self.json
    }

    /// Whether the user speaks. Gemini's turns without a role are the user's.
    pub fn is_user(self) -> bool {
        if self.bare {
            return true;
        }
        let Ok(spoken) = serde_json::from_str::<Spoken>(self.json) else { return false };
        match spoken.role {
            Some(role) => role == "user",
            None => spoken.parts.is_some(),
        }
    }

    /// Its texts as JSON strings, in order.
    pub fn texts(self) -> Vec<&'a str> {
        if self.bare {
            return vec![self.json];
        }
        let Ok(spoken) = serde_json::from_str::<Spoken>(self.json) else { return Vec::new() };
        let Some(content) = spoken.content.or(spoken.parts) else { return Vec::new() };
        if content.get().starts_with('"') {
            return vec![content.get()];
        }
        let parts: Vec<Piece> = serde_json::from_str(content.get()).unwrap_or_default();
        parts.iter().filter(|part| part.is_said()).filter_map(|part| part.text).map(RawValue::get).collect()
    }
}

#[derive(Deserialize)]
struct Messages<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Inputs<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Contents<'a> {
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Spoken<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    parts: Option<&'a RawValue>,
}

/// A part of a turn: a text, an image, the result of a tool.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

impl Piece<'_> {
    /// Whether it is a text that the user said. Gemini's parts have no type.
    fn is_said(&self) -> bool {
        let said = matches!(self.kind.as_deref(), None | Some("text" | "input_text"));
        said && self.text.is_some_and(|text| text.get().starts_with('"'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(endpoint: Endpoint, body: &str) -> Vec<&str> {
        last_user_texts(endpoint, body.as_bytes()).into_iter().map(|span| &body[span]).collect()
    }

    #[test]
    fn the_last_words_of_the_user_are_found_in_every_api() {
        let chat = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},
            {"content" : "c\n" ,"role":"user"},{"role":"assistant","tool_calls":[]},{"role":"tool","content":"d"}]}"#;
        assert_eq!(last(Endpoint::Chat, chat), [r#""c\n""#]);
        let parts = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},
            {"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"b"}]}]}"#;
        assert_eq!(last(Endpoint::Chat, parts), [r#""a""#, r#""b""#]);
        assert_eq!(last(Endpoint::Responses, r#"{"input":"a"}"#), [r#""a""#]);
        let items = r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},
            {"type":"function_call_output","output":"b"}]}"#;
        assert_eq!(last(Endpoint::Responses, items), [r#""a""#]);
        let messages = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},
            {"role":"user","content":[{"type":"tool_result","content":"c"}]}]}"#;
        assert_eq!(last(Endpoint::Messages, messages), [r#""a""#]);
        let contents = r#"{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"b"}]}]}"#;
        assert_eq!(last(Endpoint::Generate, contents), [r#""a""#]);
    }

    #[test]
    fn where_nobody_speaks_there_is_no_text() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"messages":7}"#,
            r#"{"messages":[7,"x",null,{"role":"user"}]}"#,
            r#"{"messages":[{"role":"user","content":7}]}"#,
            r#"{"messages":[{"role":"user","content":[{"text":7}]}]}"#,
        ] {
            assert!(last(Endpoint::Chat, body).is_empty(), "{body}");
        }
        assert!(last(Endpoint::Embeddings, r#"{"input":"a"}"#).is_empty());
    }
}
