//! Gemini.

use super::*;

const BODY: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"4 C.","thoughtSignature":"AbC="}]},"finishReason":"STOP","index":0,"avgLogprobs":-0.1,
   "safetyRatings":[{"category":"HARM_CATEGORY_HARASSMENT","probability":"NEGLIGIBLE"}]}],
 "usageMetadata":{"promptTokenCount":20,"cachedContentTokenCount":0,"candidatesTokenCount":3,"thoughtsTokenCount":50,"toolUsePromptTokenCount":0,"totalTokenCount":73,
   "promptTokensDetails":[{"modality":"TEXT","tokenCount":20}]},
 "modelVersion":"gemini-3.8-flash","responseId":"abc"}"#;

#[test]
fn a_stream_with_crlf_folds_to_its_answer() {
    let stream = [
        r#"{"candidates":[{"content":{"parts":[{"text":"The "}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":20,"totalTokenCount":20},"modelVersion":"g","responseId":"abc"}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"weather."},{"functionCall":{"name":"f","args":{"a":1}}}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":20,"totalTokenCount":22},"modelVersion":"g","responseId":"abc"}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"s"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":20,"candidatesTokenCount":3,"thoughtsTokenCount":50,"totalTokenCount":73},"modelVersion":"g","responseId":"abc"}"#,
    ];
    let events = events(&stream.map(|data| format!("data: {data}\r\n\r\n")).concat());
    let body = folded(Shape::Gemini, &events);
    let parts = json!([{"text":"The weather."},{"functionCall":{"name":"f","args":{"a":1}}},{"text":"","thoughtSignature":"s"}]);
    assert_eq!(body["candidates"][0]["content"], json!({"parts": parts, "role": "model"}));
    assert_eq!(body["usageMetadata"]["totalTokenCount"], 73);
    assert_eq!((&body["modelVersion"], &body["responseId"]), (&json!("g"), &json!("abc")));
    assert!(round_trips(Shape::Gemini, Form::Events(&events)));
    let (progress, _) = follow(Shape::Gemini, &events);
    assert_eq!(progress.storable(), Ok(()));
    assert_eq!(progress.usage().map(|usage| (usage.input, usage.output)), Some((20, 53)));
    let (progress, _) = follow(Shape::Gemini, &events[..2]);
    assert!(!progress.ended());
}

#[test]
fn an_answer_unfolds_to_growing_parts() {
    let long = BODY.replace("4 C.", "It will be about four degrees in Oslo.");
    let events = unfold(Shape::Gemini, long.as_bytes()).unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(
        data(&events[0]),
        json!({"candidates":[{"content":{"parts":[{"text":"It will be about"}],"role":"model"},"index":0}],"modelVersion":"gemini-3.8-flash","responseId":"abc"})
    );
    assert_eq!(data(&events[2])["candidates"][0]["finishReason"], "STOP");
    assert_eq!(data(&events[2])["candidates"][0]["content"]["parts"][0]["thoughtSignature"], "AbC=");
    assert_eq!(folded(Shape::Gemini, &events), serde_json::from_str::<Value>(&long).unwrap());
}

#[test]
fn a_blocked_prompt_has_ended_but_is_not_kept() {
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4},"modelVersion":"g"}"#;
    let (progress, signals) = follow(Shape::Gemini, &chunks(&[blocked]));
    assert_eq!(signals, [Signal::Content]);
    assert_eq!((progress.ended(), progress.storable()), (true, Err("a blocked prompt")));
    let seen = inspect(Shape::Gemini, blocked.as_bytes());
    assert_eq!((seen.storable, seen.usage.map(|usage| usage.input)), (Err("a blocked prompt"), Some(4)));
}

#[test]
fn an_answer_that_broke_off_is_not_kept() {
    let storable = |body: &str| inspect(Shape::Gemini, body.as_bytes()).storable;
    assert_eq!(storable(BODY), Ok(()));
    assert_eq!(storable(&BODY.replace("STOP", "MALFORMED_FUNCTION_CALL")), Err("a candidate that broke off"));
    for filter in ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII", "BLOCKLIST", "A_NEW_ONE"] {
        let stopped = BODY.replace("STOP", filter);
        assert_eq!(storable(&stopped), Err("an answer that was stopped before its end"), "{filter}");
        let one_line = stopped.replace('\n', " ");
        let (progress, _) = follow(Shape::Gemini, &chunks(&[&one_line]));
        assert_eq!(progress.storable(), Err("an answer that was stopped before its end"), "{filter}");
    }
    assert_eq!(storable(&BODY.replace("\"finishReason\":\"STOP\",", "")), Err("an unfinished candidate"));
    assert_eq!(storable(r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#), Err("an empty answer"));
    assert_eq!(
        storable(&BODY.replace("{\"text\":\"4 C.\"", "{\"thought\":true,\"text\":\"4 C.\"")),
        Err("an empty answer")
    );
    assert_eq!(storable(r#"{"candidates":[]}"#), Err("no candidates"));
}

#[test]
fn an_error_wrapped_in_an_array_is_an_error() {
    let error = r#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]"#;
    let (progress, signals) = follow(Shape::Gemini, &chunks(&[error]));
    assert!(
        matches!(&signals[..], [Signal::Error(error)] if error.status == 429 && error.message == "quota")
    );
    assert!(progress.ended());
    assert!(inspect(Shape::Gemini, error.as_bytes()).storable.is_err());
}
