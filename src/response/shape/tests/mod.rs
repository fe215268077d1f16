//! The providers' own examples and oddities, one play each.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use bytes::Bytes;

use super::*;
use crate::sse::{Decoder, Item};

/// The events of a stream as a provider writes it.
fn events(stream: &str) -> Vec<Event> {
    let mut decoder = Decoder::new(1 << 20);
    decoder.push(Bytes::copy_from_slice(stream.as_bytes()));
    let mut events = Vec::new();
    while let Some(item) = decoder.next_item().unwrap() {
        if let Item::Event(event) = item {
            events.push(event);
        }
    }
    assert_eq!(decoder.finish(), None);
    events
}

/// Data-only events.
fn chunks(data: &[&str]) -> Vec<Event> {
    data.iter().map(|data| Event::new(None, data.as_bytes())).collect()
}

fn follow(shape: Shape, events: &[Event]) -> (Progress, Vec<Signal>) {
    let mut progress = Progress::new(shape);
    let signals = events.iter().map(|event| progress.observe(event)).collect();
    (progress, signals)
}

fn folded(shape: Shape, events: &[Event]) -> Value {
    serde_json::from_slice(&fold(shape, events).unwrap()).unwrap()
}

fn data(event: &Event) -> Value {
    serde_json::from_slice(event.data()).unwrap()
}

#[test]
fn an_error_of_ours_has_the_form_each_sdk_raises() {
    let text = |shape| {
        String::from_utf8(error_event(shape, None, "cut", "api_error", "c").bytes().to_vec()).unwrap()
    };
    assert_eq!(
        text(Shape::Chat),
        "data: {\"error\":{\"message\":\"cut\",\"type\":\"api_error\",\"param\":null,\"code\":\"c\"}}\n\n"
    );
    assert_eq!(
        text(Shape::Responses),
        "event: error\ndata: {\"type\":\"error\",\"code\":\"c\",\"message\":\"cut\",\"param\":null,\"sequence_number\":0}\n\n"
    );
    assert_eq!(
        text(Shape::Messages),
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"cut\"},\"request_id\":null}\n\n"
    );
    assert_eq!(
        text(Shape::Gemini),
        "data: {\"error\":{\"code\":502,\"message\":\"cut\",\"status\":\"UNAVAILABLE\"}}\n\n"
    );
    for shape in [Shape::Chat, Shape::Responses, Shape::Messages, Shape::Gemini] {
        let (progress, signals) = follow(shape, &[error_event(shape, None, "cut", "api_error", "c")]);
        assert!(matches!(&signals[..], [Signal::Error(error)] if error.message == "cut"), "{shape:?}");
        assert!(progress.ended() && progress.storable().is_err());
    }
}

#[test]
fn plain_answers_have_one_form_only() {
    let body = br#"{"object":"list","data":[{"index":0,"embedding":[0.5]}]}"#;
    assert!(round_trips(Shape::Plain, Form::Body(body)));
    assert!(unfold(Shape::Plain, body).is_err());
    assert!(!round_trips(Shape::Plain, Form::Body(br#"{"object":"list","data":[]}"#)));
    assert_eq!(Shape::of(Endpoint::Generate), Shape::Gemini);
    assert_eq!(Shape::of(Endpoint::BatchEmbedContents), Shape::Plain);
}
