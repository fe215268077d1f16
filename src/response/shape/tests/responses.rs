//! OpenAI responses.

use super::*;

const BODY: &str = r#"{"id":"resp_1","object":"response","created_at":1795000000,"status":"completed","error":null,"incomplete_details":null,"model":"m","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Blue.","annotations":[]}]}],"usage":{"input_tokens":12,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":15}}"#;

#[test]
fn text_unfolds_to_the_documented_order_of_events() {
    let events = unfold(Shape::Responses, BODY.as_bytes()).unwrap();
    let kinds: Vec<_> = events.iter().map(|event| data(event)["type"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds, expected);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.name(), Some(kinds[number].as_bytes()));
        assert_eq!(data(event)["sequence_number"], number);
    }
    assert_eq!(data(&events[0])["response"]["status"], "in_progress");
    assert_eq!(data(&events[0])["response"]["usage"], Value::Null);
    assert_eq!(data(&events[2])["item"]["content"], json!([]));
    let delta = json!({"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Blue.","logprobs":[]});
    assert_eq!(data(&events[4]), delta);
    assert_eq!(fold(Shape::Responses, &events).unwrap(), BODY);
    let (progress, signals) = follow(Shape::Responses, &events);
    assert_eq!(signals.last(), Some(&Signal::Terminal));
    assert_eq!(progress.storable(), Ok(()));
    assert_eq!(progress.usage().map(|usage| (usage.input, usage.output)), Some((12, 3)));
    let error = error_event(Shape::Responses, events.last(), "m", "t", "c");
    assert_eq!(data(&error)["sequence_number"], 9);
}

#[test]
fn only_a_completed_response_is_kept() {
    let end = |kind: &str, status: &str| {
        let data = format!(
            r#"{{"type":"{kind}","sequence_number":1,"response":{{"status":"{status}","model":"m","error":{{"code":"server_error","message":"boom"}}}}}}"#
        );
        let (progress, mut signals) = follow(Shape::Responses, &[Event::new(Some(kind), data.as_bytes())]);
        (progress.ended(), progress.storable().is_ok(), signals.remove(0))
    };
    assert_eq!(end("response.incomplete", "incomplete"), (true, false, Signal::Terminal));
    let (ended, storable, signal) = end("response.failed", "failed");
    assert!(ended && !storable);
    assert!(matches!(signal, Signal::Error(error) if error.message == "boom" && error.status == 500));
    assert!(!end("response.queued", "queued").0);
    let (progress, signals) = follow(
        Shape::Responses,
        &[Event::new(Some("error"), br#"{"type":"error","code":"rate_limit_exceeded","message":"slow","param":null,"sequence_number":3}"#)],
    );
    assert!(matches!(&signals[0], Signal::Error(error) if error.status == 429 && error.message == "slow"));
    assert!(progress.ended() && progress.storable().is_err());
    for status in ["failed", "incomplete", "in_progress", "queued", "cancelled"] {
        let body = BODY.replacen("completed", status, 1);
        assert!(inspect(Shape::Responses, body.as_bytes()).storable.is_err());
        assert!(unfold(Shape::Responses, body.as_bytes()).is_err());
    }
    assert_eq!(inspect(Shape::Responses, BODY.as_bytes()).storable, Ok(()));
}

#[test]
fn an_output_that_only_the_events_have_is_put_in() {
    let mut events = unfold(Shape::Responses, BODY.as_bytes()).unwrap();
    let mut last = data(events.last().unwrap());
    last["response"]["output"] = json!([]);
    *events.last_mut().unwrap() = Event::new(None, last.to_string().as_bytes());
    assert_eq!(folded(Shape::Responses, &events), serde_json::from_str::<Value>(BODY).unwrap());
}

#[test]
fn function_calls_refusals_and_reasoning_stream_in_their_own_families() {
    let mut body: Value = serde_json::from_str(BODY).unwrap();
    body["output"] = json!([
        {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Thinking."}]},
        {"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"refusal","refusal":"No."}]},
        {"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{\"a\":1}","status":"completed"}]);
    let events = unfold(Shape::Responses, body.to_string().as_bytes()).unwrap();
    let deltas: Vec<_> = events.iter().map(data).filter(|data| data.get("delta").is_some()).collect();
    assert_eq!(deltas[0]["type"], "response.reasoning_summary_text.delta");
    assert_eq!((&deltas[1]["type"], &deltas[1]["delta"]), (&json!("response.refusal.delta"), &json!("No.")));
    let arguments = (&deltas[2]["type"], &deltas[2]["delta"], &deltas[2]["item_id"]);
    assert_eq!(
        arguments,
        (&json!("response.function_call_arguments.delta"), &json!("{\"a\":1}"), &json!("fc_1"))
    );
    assert!(round_trips(Shape::Responses, Form::Body(body.to_string().as_bytes())));
    body["output"][2]["arguments"] = "{\"a\":".into();
    assert_eq!(
        inspect(Shape::Responses, body.to_string().as_bytes()).storable,
        Err("tool arguments are not JSON")
    );
}
