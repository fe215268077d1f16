//! The answer of a vector-store search: its results and their scores.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{member_span, with_member};

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Scored {
    score: Option<f64>,
}

/// A page without its results that score below `least`; `None` where none
/// does, or it is no page. Results come best first, so behind a page that lost some no other follows.
pub fn above(page: &Bytes, least: f64) -> Option<Bytes> {
    let Page { data } = serde_json::from_slice(page).ok()?;
    let fits = |result: &&&RawValue| {
        let read = serde_json::from_str::<Scored>(result.get());
        // One without a score is not ours to judge.
        read.ok().and_then(|result| result.score).is_none_or(|score| score >= least)
    };
    let kept: Vec<&str> = data.iter().filter(fits).map(|result| result.get()).collect();
    if kept.len() == data.len() {
        return None;
    }
    let mut left = with_member(page, "data", format!("[{}]", kept.join(",")).as_bytes())?;
    for (name, value) in [("has_more", &b"false"[..]), ("next_page", b"null")] {
        if member_span(&left, name).is_some() {
            left = with_member(&left, name, value)?;
        }
    }
    Some(left.into())
}

/// Bytes of one result's text that count: an embedding model takes no more (OpenAI: 8,192 tokens).
const LONGEST_TEXT: usize = 8192;

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    data: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(default)]
    content: Vec<Chunk>,
}

#[derive(Deserialize)]
struct Chunk {
    text: Option<String>,
}

/// The texts of a page's results, each once, at most so many; empty where it is no page.
pub fn texts(page: &[u8], most: usize) -> Vec<String> {
    let Ok(Found { data }) = serde_json::from_slice(page) else { return Vec::new() };
    let mut texts: Vec<String> = Vec::new();
    for hit in data {
        let mut text = hit.content.into_iter().filter_map(|chunk| chunk.text).collect::<Vec<_>>().join("\n");
        let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        if !text.trim().is_empty() && !texts.contains(&text) && texts.len() < most {
            texts.push(text);
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(page: &'static str, least: f64) -> Option<String> {
        let left = above(&Bytes::from_static(page.as_bytes()), least)?;
        Some(String::from_utf8(left.to_vec()).unwrap())
    }

    #[test]
    fn results_below_the_floor_go_and_all_else_stays_as_it_is() {
        let page = r#"{"object":"p", "data":[{"score":0.9,"x":1.10},{"score":0.3},{"x":2},{"score":0.29}],"has_more":true,"next_page":"n"}"#;
        let left = r#"{"object":"p", "data":[{"score":0.9,"x":1.10},{"score":0.3},{"x":2}],"has_more":false,"next_page":null}"#;
        assert_eq!(floor(page, 0.3), Some(left.to_owned()));
        assert_eq!(floor(page, 0.0), None);
        let nothing = r#"{"object":"p", "data":[{"x":2}],"has_more":false,"next_page":null}"#;
        assert_eq!(floor(page, 1.0), Some(nothing.to_owned()));
    }

    #[test]
    fn the_texts_of_results_are_told_each_once() {
        let result = |text: &str| serde_json::json!({"score": 1, "content": [{"type": "text", "text": text}, {"type": "text", "text": "b"}, {"type": "image"}]});
        let long = "é".repeat(LONGEST_TEXT);
        let page = serde_json::json!({"data": [result("a"), result("a"), {"content": [{"text": " "}]}, {}, result(&long), result("c")]});
        let found = texts(page.to_string().as_bytes(), 3);
        assert_eq!(found, ["a\nb".to_owned(), long[..LONGEST_TEXT].to_owned(), "c\nb".to_owned()]);
        assert_eq!(texts(page.to_string().as_bytes(), 1).len(), 1);
        for page in ["", "[]", "{}", r#"{"data":7}"#, r#"{"data":[{"content":7}]}"#] {
            assert_eq!(texts(page.as_bytes(), 3), [""; 0], "{page}");
        }
    }

    #[test]
    fn what_is_no_page_stays_as_it_is() {
        for page in ["", "[]", "{}", r#"{"data":7}"#, r#"{"data":[]}"#, r#"{"error":{"message":"m"}}"#] {
            assert_eq!(floor(page, 1.0), None, "{page}");
        }
    }
}
