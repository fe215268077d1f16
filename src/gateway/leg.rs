//! One leg of a flight: the call to one target, in that target's own words.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use crate::io::upstream::Call;
use crate::json::{member_span, with_member};
use crate::request::ApiRequest;
use crate::request::endpoint::gemini_model;
use crate::response::shape::Shape;
use crate::route::{Asking, Target, outbound};

/// A call to one target, ready to be sent.
pub(super) struct Leg {
    pub(super) asking: Asking,
    pub(super) call: Call,
}

/// What was asked, kept for the legs that may follow the first.
pub(super) struct Asked {
    head: Parts,
    body: Bytes,
    /// Whether the usage frame is asked for where the client did not.
    usage: bool,
}

impl Leg {
    /// The target.
    pub(super) fn target(&self) -> &Arc<Target> {
        &self.asking.target
    }

    /// The call of `asking` for what a client asked. Here a request is said in its target's words.
    fn new(asking: Asking, head: &Parts, body: &Bytes, usage: bool) -> Self {
        let target = &asking.target;
        let provider = &target.account.provider;
        let key = target.account.key(asking.key);
        let mut body = if usage { with_usage(body) } else { body.clone() };
        let mut path = outbound::target(provider, &head.uri);
        if let Some(model) = &target.model {
            match gemini_model(head.uri.path()) {
                Some((asked, _)) => path = path.replacen(&format!("/{asked}:"), &format!("/{model}:"), 1),
                None => body = with_model(&body, model),
            }
        }
        let call = Call {
            target: path,
            headers: outbound::headers(&head.headers, provider.dialect, key),
            method: head.method.clone(),
            provider: provider.clone(),
            body,
        };
        Self { call, asking }
    }

    /// The first leg of a request.
    pub(super) fn first(asking: Asking, request: &ApiRequest) -> Self {
        Self::new(asking, request.head, &request.body, asks_usage(request))
    }
}

impl Asked {
    /// What `request` asks.
    pub(super) fn of(request: &ApiRequest) -> Self {
        Self { head: request.head.clone(), body: request.body.clone(), usage: asks_usage(request) }
    }

    /// A further leg.
    pub(super) fn leg(&self, asking: Asking) -> Leg {
        Leg::new(asking, &self.head, &self.body, self.usage)
    }
}

/// Whether pareto asks for the usage frame, for its books, where the client did not.
fn asks_usage(request: &ApiRequest) -> bool {
    request.wants_stream() && !request.facts.include_usage && Shape::of(request.endpoint).usage_is_optional()
}

/// A request that asks for the usage frame, for our books; its other bytes are untouched.
fn with_usage(body: &Bytes) -> Bytes {
    let options = member_span(body, "stream_options").map_or(&b"{}"[..], |span| &body[span.value]);
    let asked = with_member(options, "include_usage", b"true");
    asked
        .and_then(|options| with_member(body, "stream_options", &options))
        .map_or_else(|| body.clone(), Into::into)
}

/// A request for another model; its other bytes are untouched.
fn with_model(body: &Bytes, model: &str) -> Bytes {
    let quoted = serde_json::Value::from(model).to_string();
    with_member(body, "model", quoted.as_bytes()).map_or_else(|| body.clone(), Into::into)
}
