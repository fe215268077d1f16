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
    fn what_is_no_page_stays_as_it_is() {
        for page in ["", "[]", "{}", r#"{"data":7}"#, r#"{"data":[]}"#, r#"{"error":{"message":"m"}}"#] {
            assert_eq!(floor(page, 1.0), None, "{page}");
        }
    }
}
