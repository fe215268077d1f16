//! Anthropic messages.

use super::*;

const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"m","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":20,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":12}}

event: message_stop
data: {"type":"message_stop"}

"#;

const BODY: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5-5",
 "content":[{"type":"thinking","thinking":"...","signature":"EqQB"},{"type":"text","text":"4 C.","citations":null},{"type":"tool_use","id":"toolu_2","name":"weather","input":{"city":"Bergen"}}],
 "stop_reason":"tool_use","stop_sequence":null,"stop_details":null,
 "usage":{"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":42,"output_tokens_details":{"thinking_tokens":25},"server_tool_use":null,"service_tier":"standard","speed":"standard","inference_geo":"us"}}"#;

#[test]
fn a_stream_folds_to_its_message() {
    let events = events(STREAM);
    let expected = r#"{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"model":"m","stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":20,"output_tokens":12}}"#;
    assert_eq!(fold(Shape::Messages, &events).unwrap(), expected);
    let (progress, signals) = follow(Shape::Messages, &events);
    assert_eq!(signals.last(), Some(&Signal::Terminal));
    assert_eq!(progress.storable(), Ok(()));
    assert_eq!(progress.usage().map(|usage| (usage.input, usage.output)), Some((20, 12)));
    assert_eq!(progress.model(), Some("m"));
    assert!(round_trips(Shape::Messages, Form::Events(&events)));
    let (progress, _) = follow(Shape::Messages, &events[..6]);
    assert_eq!((progress.ended(), progress.storable()), (false, Err("the stream was cut")));
    assert!(fold(Shape::Messages, &events[..6]).is_err());
}

#[test]
fn a_message_unfolds_to_its_stream() {
    let events = unfold(Shape::Messages, BODY.as_bytes()).unwrap();
    let names: Vec<_> =
        events.iter().map(|event| String::from_utf8_lossy(event.name().unwrap()).into_owned()).collect();
    assert!(events.iter().zip(&names).all(|(event, name)| data(event)["type"] == *name));
    let (start, delta, stop) = ("content_block_start", "content_block_delta", "content_block_stop");
    let blocks = [start, delta, delta, stop, start, delta, stop, start, delta, delta, stop];
    assert_eq!(names[0], "message_start");
    assert_eq!(names[1..12], blocks);
    assert_eq!(names[12..], ["message_delta", "message_stop"]);
    let begun = &data(&events[0])["message"];
    assert_eq!((&begun["content"], &begun["stop_reason"]), (&json!([]), &Value::Null));
    assert_eq!(begun["usage"]["output_tokens"], 1);
    assert_eq!(data(&events[1])["content_block"], json!({"type":"thinking","thinking":"","signature":""}));
    assert_eq!(data(&events[3])["delta"], json!({"type":"signature_delta","signature":"EqQB"}));
    assert_eq!(
        data(&events[8])["content_block"],
        json!({"type":"tool_use","id":"toolu_2","name":"weather","input":{}})
    );
    assert_eq!(data(&events[9])["delta"], json!({"type":"input_json_delta","partial_json":""}));
    assert_eq!(
        data(&events[10])["delta"],
        json!({"type":"input_json_delta","partial_json":"{\"city\":\"Bergen\"}"})
    );
    let end = data(&events[12]);
    assert_eq!(end["delta"], json!({"stop_reason":"tool_use","stop_sequence":null,"stop_details":null}));
    assert_eq!(end["usage"]["output_tokens"], 42);
    let body: Value = serde_json::from_str(BODY).unwrap();
    assert_eq!(folded(Shape::Messages, &events), body);
    assert_eq!(inspect(Shape::Messages, BODY.as_bytes()).storable, Ok(()));
}

#[test]
fn an_error_after_a_200_is_an_error() {
    let error = Event::new(
        Some("error"),
        br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#,
    );
    let mut events = events(STREAM);
    events.truncate(4);
    events.push(error);
    let (progress, signals) = follow(Shape::Messages, &events);
    let Some(Signal::Error(error)) = signals.last() else { panic!("{signals:?}") };
    assert_eq!((error.status, error.message.as_str()), (503, "Overloaded"));
    assert!(progress.ended() && progress.storable().is_err());
    assert!(fold(Shape::Messages, &events).is_err());
    let inside = inspect(Shape::Messages, br#"{"type":"error","error":{"type":"api_error","message":"m"}}"#);
    assert_eq!(inside.storable, Err("an error inside the answer"));
}

#[test]
fn cut_tool_input_and_unknown_deltas_are_not_folded() {
    let body = unfold(Shape::Messages, BODY.as_bytes()).unwrap();
    let with = |delta: &str| {
        let mut events = body.clone();
        let data = format!(r#"{{"type":"content_block_delta","index":2,"delta":{delta}}}"#);
        events[10] = Event::new(Some("content_block_delta"), data.as_bytes());
        fold(Shape::Messages, &events).map(|_| ())
    };
    assert_eq!(with(r#"{"type":"input_json_delta","partial_json":"{}"}"#), Ok(()));
    assert_eq!(
        with(r#"{"type":"input_json_delta","partial_json":"{\"city"}"#),
        Err(Unfoldable("tool input is not JSON"))
    );
    assert_eq!(with(r#"{"type":"new_delta","x":1}"#), Err(Unfoldable("a delta of an unknown kind")));
}

#[test]
fn an_unfinished_or_empty_message_is_not_kept() {
    let storable = |body: &str| inspect(Shape::Messages, body.as_bytes()).storable;
    assert_eq!(
        storable(&BODY.replace("\"tool_use\",\"stop_sequence\"", "null,\"stop_sequence\"")),
        Err("no stop reason")
    );
    assert_eq!(
        storable(r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#),
        Err("an empty answer")
    );
}
