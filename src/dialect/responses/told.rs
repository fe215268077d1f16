//! What a client of responses was told of an answer that broke off.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::resume::Partial;
use crate::response::shape::Text;
use crate::response::unresumed::Unresumed;
use crate::sse::Event;

/// Members of a response that only its end knows.
const AT_THE_END: [&str; 6] = ["status", "error", "incomplete_details", "output", "usage", "completed_at"];

/// What was told around a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Told {
    /// The response as it was announced, without what only its end knows.
    pub(super) response: Map<String, Value>,
    /// The id of the message that the text is in, once that has begun.
    pub(super) message: Option<String>,
    /// The number of the next event.
    pub(super) next: u64,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    sequence_number: u64,
    response: Option<Map<String, Value>>,
    #[serde(borrow)]
    item: Option<Announced<'a>>,
    #[serde(borrow)]
    part: Option<Announced<'a>>,
    #[serde(borrow)]
    delta: Option<Text<'a>>,
}

/// An item or a part of one, as it begins.
#[derive(Deserialize)]
struct Announced<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    id: Option<String>,
}

impl Announced<'_> {
    fn of_kind(self, kind: &str) -> Option<Self> {
        (self.kind.0 == kind).then_some(self)
    }
}

/// The events of a response so far.
#[derive(Default)]
struct Begun {
    told: Told,
    text: String,
    /// The id of a message that has begun without a place for its text.
    announced: Option<String>,
    /// The text has ended.
    closed: bool,
}

impl Begun {
    /// `None` where there is more to it than the unfinished text of one message.
    fn note(&mut self, frame: Frame) -> Option<()> {
        self.told.next = frame.sequence_number.checked_add(1)?;
        match &*frame.kind.0 {
            "response.created" => self.told.response = frame.response?,
            "response.queued" | "response.in_progress" => {}
            "response.output_item.added" if self.announced.is_none() && self.told.message.is_none() => {
                self.announced = Some(frame.item?.of_kind("message")?.id?);
            }
            "response.content_part.added" => {
                frame.part?.of_kind("output_text")?;
                self.told.message = Some(self.announced.take()?);
            }
            "response.output_text.delta" if self.told.message.is_some() => {
                self.text.push_str(&frame.delta?.0);
            }
            "response.output_text.done" | "response.content_part.done" | "response.output_item.done" => {
                self.closed = true;
            }
            _ => return None,
        }
        Some(())
    }
}

/// What an item keeps somebody else from going on.
fn obstacle(item: &Announced) -> Option<Unresumed> {
    match &*item.kind.0 {
        "reasoning" => Some(Unresumed::Thoughts),
        kind if kind.ends_with("_call") => Some(Unresumed::ToolCall),
        _ => None,
    }
}

/// The beginning of an answer.
///
/// # Errors
/// There is more to it than the unfinished text of one message.
pub(in super::super) fn heard<'e>(events: impl Iterator<Item = &'e Event>) -> Result<Partial, Unresumed> {
    let mut begun = Begun::default();
    for event in events {
        let frame: Frame = serde_json::from_slice(event.data()).map_err(|_| Unresumed::BeyondText)?;
        if let Some(why) = frame.item.as_ref().and_then(obstacle) {
            return Err(why);
        }
        begun.note(frame).ok_or(Unresumed::BeyondText)?;
    }
    let Begun { mut told, text, announced, closed } = begun;
    if closed || announced.is_some() {
        return Err(Unresumed::BeyondText);
    }
    AT_THE_END.iter().for_each(|name| drop(told.response.shift_remove(*name)));
    // Nobody keeps an answer of two.
    told.response.insert("store".into(), false.into());
    Ok(Partial { text, told: Some(Box::new(told)), ..Partial::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BEGUN: [&str; 4] = [
        r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"m","status":"in_progress","output":[],"usage":null,"store":true,"metadata":{"a":"b"}}}"#,
        r#"{"type":"response.in_progress","sequence_number":1,"response":{}}"#,
        r#"{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_1","type":"message","content":[]}}"#,
        r#"{"type":"response.content_part.added","sequence_number":3,"item_id":"msg_1","part":{"type":"output_text","text":""}}"#,
    ];
    const DELTA: &str =
        r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","delta":"one \"two"}"#;

    fn of(data: &[&str]) -> Result<Partial, Unresumed> {
        let events: Vec<_> = data.iter().map(|data| Event::new(None, data.as_bytes())).collect();
        heard(events.iter())
    }

    #[test]
    fn what_was_told_is_known_again() {
        let partial = of(&[&BEGUN[..], &[DELTA]].concat()).unwrap();
        assert_eq!(partial.text, "one \"two");
        let told = partial.told.unwrap();
        assert_eq!((told.message.as_deref(), told.next), (Some("msg_1"), 5));
        let response = json!({"id": "resp_1", "model": "m", "store": false, "metadata": {"a": "b"}});
        assert_eq!(Value::from(told.response), response);
        assert_eq!(of(&BEGUN[..2]).unwrap().told.unwrap().message, None);
    }

    #[test]
    fn only_unfinished_text_of_one_message_is_gone_on_from() {
        assert_eq!(
            of(&BEGUN[..3]),
            Err(Unresumed::BeyondText),
            "what has begun without a place for its text"
        );
        for other in [
            r#"{"type":"response.output_text.done","sequence_number":5,"text":"one"}"#,
            r#"{"type":"response.output_text.annotation.added","sequence_number":5}"#,
            r#"{"type":"response.content_part.added","sequence_number":5,"part":{"type":"output_text"}}"#,
            r#"{"type":"error","sequence_number":5,"message":"m"}"#,
            r#"{"type":"response.completed","sequence_number":5,"response":{}}"#,
        ] {
            let why = Err(Unresumed::BeyondText);
            assert_eq!(of(&[&BEGUN[..], &[DELTA, other]].concat()), why, "{other}");
        }
        let done = r#"{"type":"response.output_text.done","sequence_number":5,"text":"one"}"#;
        let call = r#"{"type":"response.output_item.added","sequence_number":6,"item":{"id":"fc_1","type":"function_call"}}"#;
        assert_eq!(of(&[&BEGUN[..], &[DELTA, done, call]].concat()), Err(Unresumed::ToolCall));
        let thought = r#"{"type":"response.output_item.added","sequence_number":2,"item":{"id":"rs_1","type":"reasoning"}}"#;
        assert_eq!(of(&[BEGUN[0], BEGUN[1], thought]), Err(Unresumed::Thoughts));
    }
}
