//! One leg of a flight: the call to one target, in that target's own words.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use super::resume::Resumption;
use super::translate::{Heard, Wording, Words};
use crate::dialect::{self, Api, Prompt, Server, Stamp, Untranslatable};
use crate::io::Io;
use crate::io::upstream::{Call, Reply, UpstreamError};
use crate::json::{member_span, with_member};
use crate::request::ApiRequest;
use crate::request::endpoint::{Endpoint, gemini_model};
use crate::response::shape::Shape;
use crate::route::{Asking, Target, outbound};

/// A call to one target, ready to be sent.
pub(super) struct Leg {
    pub(super) asking: Asking,
    pub(super) call: Call,
    /// What was said, where it was said in other words than the client's.
    pub(super) words: Option<Words>,
    /// The answer that it goes on with, where one broke off.
    pub(super) resumption: Option<Arc<Resumption>>,
}

/// What was asked, kept for the legs that may follow the first.
pub(super) struct Asked {
    head: Parts,
    body: Bytes,
    model: Option<Box<str>>,
    usage: bool,
    cleaned: Option<Api>,
    wording: Option<Arc<Wording>>,
}

/// What a client asked.
#[derive(Clone, Copy)]
pub(super) struct Question<'r> {
    head: &'r Parts,
    body: &'r Bytes,
    model: Option<&'r str>,
    /// Whether the usage frame is asked for where the client did not.
    usage: bool,
    /// The API to clean it in of what another provider's answers may have brought into it; `None` where
    /// nobody else answers.
    cleaned: Option<Api>,
    /// The words for targets that speak another API.
    wording: Option<&'r Arc<Wording>>,
}

impl<'r> Question<'r> {
    /// What `request` asks. `mixed`: some providers speak other APIs than others.
    pub(super) fn of(request: &'r ApiRequest, wording: Option<&'r Arc<Wording>>, mixed: bool) -> Self {
        Self {
            head: request.head,
            body: &request.body,
            model: request.model(),
            usage: asks_usage(request),
            cleaned: Api::of(request.endpoint).filter(|_| mixed),
            wording,
        }
    }

    /// As it was asked, but for what a target of the same API wants otherwise.
    fn call(&self, asking: &Asking) -> Call {
        let target = &asking.target;
        let provider = &target.account.provider;
        let mut body = if self.usage { with_usage(self.body) } else { self.body.clone() };
        let mut path = outbound::target(provider, &self.head.uri);
        if let Some(model) = &target.model {
            match gemini_model(self.head.uri.path()) {
                Some((asked, _)) => path = path.replacen(&format!("/{asked}:"), &format!("/{model}:"), 1),
                None => body = with_model(&body, model),
            }
        }
        let server = target.account.server;
        let api = self.cleaned.or(matches!(server, Server::Mistral | Server::Google).then_some(Api::Chat));
        if let Some(cleaned) = api.and_then(|api| dialect::cleaned(api, server, &body)) {
            body = cleaned.into();
        }
        Call {
            target: path,
            headers: outbound::headers(&self.head.headers, provider, target.account.key(asking.key)),
            method: self.head.method.clone(),
            provider: provider.clone(),
            body,
        }
    }
}

impl Leg {
    /// The target.
    pub(super) fn target(&self) -> &Arc<Target> {
        &self.asking.target
    }

    /// The call of `asking` for what a client asked, in its target's words.
    ///
    /// # Errors
    /// It has no words for something in the request.
    pub(super) fn new(asking: Asking, asked: Question) -> Result<Self, Untranslatable> {
        let words =
            asked.wording.map(|wording| wording.words(&asking.target, asked.model)).transpose()?.flatten();
        let call = match &words {
            Some(words) => {
                let account = &asking.target.account;
                words.call(&account.provider, &asked.head.headers, account.key(asking.key))
            }
            None => asked.call(&asking),
        };
        Ok(Self { asking, call, words, resumption: None })
    }

    /// The call without the proofs that its target did not take; `None` where it has none.
    pub(super) fn unproved(&self, endpoint: Endpoint) -> Option<Call> {
        let own = || Api::of(endpoint);
        let body = dialect::unproved(self.words.as_ref().map(Words::api).or_else(own)?, &self.call.body)?;
        Some(Call { body: body.into(), ..self.call.clone() })
    }

    /// The reply in the client's words.
    ///
    /// # Errors
    /// It broke off, or is not what its provider's API promises.
    pub(super) async fn heard(&self, reply: Reply, io: &Io) -> Result<Heard, UpstreamError> {
        let Some(words) = &self.words else { return Ok(reply.into()) };
        let model = self.target().model.as_deref().unwrap_or_default();
        let created = io.clock.unix().as_secs();
        let stamp = Stamp { id: io.chance.id(), created, model: model.to_owned() };
        words.hear(reply, stamp, self.resumption.as_deref()).await
    }
}

impl Asked {
    /// What is kept of a question.
    pub(super) fn of(asked: Question) -> Self {
        Self {
            head: asked.head.clone(),
            body: asked.body.clone(),
            model: asked.model.map(Box::from),
            usage: asked.usage,
            cleaned: asked.cleaned,
            wording: asked.wording.cloned(),
        }
    }

    /// The model asked for.
    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// What was asked, in no API's words; `None` where there are none for something in it.
    pub(super) fn prompt(&self, client: Api) -> Option<Prompt> {
        let prompt = dialect::read(client, &self.body).ok()?;
        Some(Prompt { stream: true, ..prompt })
    }

    /// A leg that goes on with an answer that broke off.
    ///
    /// # Errors
    /// The target has no words for something in the request.
    pub(super) fn rest(&self, asking: Asking, resumption: &Arc<Resumption>) -> Result<Leg, Untranslatable> {
        let words = Words::rest(&asking.target, self.model(), resumption)?;
        let (provider, key) = (&asking.target.account.provider, asking.target.account.key(asking.key));
        let mut call = words.call(provider, &self.head.headers, key);
        if words.api() == resumption.prompt.client {
            call.headers = outbound::headers(&self.head.headers, provider, key);
            if words.api() != Api::Generate {
                call.target = outbound::target(provider, &self.head.uri);
            }
        }
        Ok(Leg { asking, call, words: Some(words), resumption: Some(resumption.clone()) })
    }

    /// A further leg.
    ///
    /// # Errors
    /// The target has no words for something in the request.
    pub(super) fn leg(&self, asking: Asking) -> Result<Leg, Untranslatable> {
        let question = Question {
            head: &self.head,
            body: &self.body,
            model: self.model.as_deref(),
            usage: self.usage,
            cleaned: self.cleaned,
            wording: self.wording.as_ref(),
        };
        Leg::new(asking, question)
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
