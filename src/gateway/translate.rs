//! A target that speaks another API than the client: asked in its own words, its reply told in the
//! client's before anything of it is recorded.

mod heard;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use parking_lot::Mutex;

use super::resume::Resumption;
use crate::config::{Dialect, Provider};
use crate::dialect::translator::Mistold;
use crate::dialect::{self, Api, Prompt, Server, Stamp, Translator, Untranslatable, errors};
use crate::io::upstream::{Call, Reply, UpstreamError};
use crate::request::ApiRequest;
use crate::response::headers::{EVENT_STREAM, JSON};
use crate::route::verdict::named_wait;
use crate::route::{Route, Target, outbound};

/// The version of Anthropic's API that is asked for: the one in which the models that take sampling
/// parameters take them.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
/// Of a client's headers, what is no part of its own API.
const KEPT: [HeaderName; 4] = [
    header::USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

pub(super) use heard::{Heard, Report};
use heard::{broken, gathered};

/// How a target is asked.
enum Way {
    /// As the client asks.
    AsItIs,
    /// In its own words.
    Translated,
    /// Not at all, and why.
    Never(&'static str),
}

/// A client's request, to be said in other words where a target needs them. Read once, and only then.
pub(super) struct Wording {
    client: Api,
    stream: bool,
    body: Bytes,
    /// The route stands in the file: its targets were chosen for these requests.
    written: bool,
    prompt: OnceLock<Result<Arc<Prompt>, Untranslatable>>,
    /// What was said already, by provider and model.
    said: Mutex<Vec<Said>>,
}

struct Said {
    provider: String,
    model: String,
    words: Result<Words, Untranslatable>,
}

impl Wording {
    /// The wording of a conversation that some target of `route` is asked for in other words; `None` where
    /// none is.
    pub(super) fn of(request: &ApiRequest, route: &Route) -> Option<Self> {
        let wording = Self {
            client: Api::of(request.endpoint)?,
            stream: request.wants_stream(),
            body: request.body.clone(),
            written: route.written,
            prompt: OnceLock::new(),
            said: Mutex::new(Vec::new()),
        };
        let other = |target: &Arc<Target>| !matches!(wording.way(&target.account.provider), Way::AsItIs);
        let any = !request.facts.is_unread() && route.targets.iter().any(other);
        any.then_some(wording)
    }

    fn way(&self, provider: &Provider) -> Way {
        let opted = match (self.client, provider.dialect) {
            (Api::Chat, Dialect::Openai)
            | (Api::Messages, Dialect::Anthropic)
            | (Api::Generate, Dialect::Gemini) => return Way::AsItIs,
            (Api::Responses, Dialect::Openai) if provider.responses => return Way::AsItIs,
            (Api::Responses, Dialect::Openai) => true,
            (Api::Chat | Api::Responses, _) => self.written || !provider.keys.is_empty(),
            (Api::Messages | Api::Generate, _) => provider.translate,
        };
        match opted {
            true => Way::Translated,
            false if self.written => {
                Way::Never("speaks another API than the app, and `translate` is not set for its provider")
            }
            // Without a route it is the provider's to answer whatever it is asked.
            false => Way::AsItIs,
        }
    }

    /// Why a target cannot be asked, where it cannot.
    pub(super) fn obstacle(&self, target: &Target, asked: Option<&str>) -> Option<Cow<'static, str>> {
        match self.way(&target.account.provider) {
            Way::AsItIs => None,
            Way::Never(reason) => Some(reason.into()),
            Way::Translated => {
                let said = self.said_to(&target.account.provider, target.asked(asked).unwrap_or_default());
                said.err().map(|error| error.to_string().into())
            }
        }
    }

    /// The request in the words of a target; `None` where the client's own will do.
    ///
    /// # Errors
    /// It has no words for something in the request.
    pub(super) fn words(
        &self,
        target: &Target,
        asked: Option<&str>,
    ) -> Result<Option<Words>, Untranslatable> {
        let provider = &target.account.provider;
        match self.way(provider) {
            Way::Translated => self.said_to(provider, target.asked(asked).unwrap_or_default()).map(Some),
            Way::AsItIs | Way::Never(_) => Ok(None),
        }
    }

    fn said_to(&self, provider: &Provider, model: &str) -> Result<Words, Untranslatable> {
        let mut said = self.said.lock();
        if let Some(known) = said.iter().find(|said| said.provider == provider.name && said.model == model) {
            return known.words.clone();
        }
        let words = self.say(provider, model);
        said.push(Said { provider: provider.name.clone(), model: model.to_owned(), words: words.clone() });
        words
    }

    fn say(&self, provider: &Provider, model: &str) -> Result<Words, Untranslatable> {
        let api = Api::spoken_in(provider.dialect);
        let prompt = self.prompt.get_or_init(|| self.read()).clone()?;
        let target = dialect::Target { model, server: Server::at(&provider.url.host) };
        let body = dialect::write(api, &prompt, target)?.into();
        let path = dialect::path(api, target, self.stream).into();
        Ok(Words { api, path, body, prompt, repeated: String::new() })
    }

    fn read(&self) -> Result<Arc<Prompt>, Untranslatable> {
        let mut prompt = dialect::read(self.client, &self.body)?;
        // Gemini's path says it, not its body.
        prompt.stream = self.stream;
        Ok(Arc::new(prompt))
    }
}

/// A request in a provider's words.
#[derive(Clone)]
pub(super) struct Words {
    api: Api,
    path: Arc<str>,
    body: Bytes,
    prompt: Arc<Prompt>,
    /// What the reply will begin with that the client was told: nothing but of the rest of an answer.
    repeated: String,
}

impl Words {
    /// The request for the rest of an answer in the words of a target.
    ///
    /// # Errors
    /// It has no words for something in the request, or cannot go on from a text.
    pub(super) fn rest(
        target: &Target,
        asked: Option<&str>,
        resumption: &Resumption,
    ) -> Result<Self, Untranslatable> {
        let account = &target.account;
        let api = Api::spoken_in(account.provider.dialect);
        let model = target.asked(asked).unwrap_or_default();
        let target = dialect::Target { model, server: account.server };
        let prompt = resumption.prompt.clone();
        let body = dialect::resume::write(api, &prompt, target)?.into();
        let repeated = dialect::resume::repeated(target.server, &prompt);
        Ok(Self { api, path: dialect::path(api, target, true).into(), body, prompt, repeated })
    }

    /// The API it is in.
    pub(super) const fn api(&self) -> Api {
        self.api
    }

    /// The path and query `provider` is asked at.
    pub(super) fn target(&self, provider: &Provider) -> String {
        outbound::path(provider, &self.path)
    }

    /// The call to `provider`. Of the client's headers only those go along that are no part of its own
    /// API, and never its key: that is for whoever the client means to ask.
    pub(super) fn call(&self, provider: &Arc<Provider>, asked: &HeaderMap, key: Option<&str>) -> Call {
        let mut headers = HeaderMap::with_capacity(KEPT.len() + 3);
        for name in &KEPT {
            headers.extend(asked.get(name).map(|value| (name.clone(), value.clone())));
        }
        headers.insert(header::CONTENT_TYPE, JSON);
        if self.api == Api::Messages {
            headers.insert(HeaderName::from_static("anthropic-version"), ANTHROPIC_VERSION);
        }
        headers.extend(key.and_then(|key| outbound::credential(provider, key)));
        Call {
            target: self.target(provider),
            headers,
            method: Method::POST,
            provider: provider.clone(),
            body: self.body.clone(),
        }
    }

    /// The reply to it in the client's words. A stream is translated as it is read; all else is read to
    /// its end first.
    ///
    /// # Errors
    /// The reply broke off, or is not what the provider's API promises.
    pub(super) async fn hear(
        &self,
        reply: Reply,
        stamp: Stamp,
        resumption: Option<&Resumption>,
    ) -> Result<Heard, UpstreamError> {
        let (client, now) = (self.prompt.client, stamp.created);
        let Some(mut translator) = Translator::new(self.api, &self.prompt, stamp) else {
            return Err(broken("nobody translates it"));
        };
        if let Some(Resumption { partial, before, .. }) = resumption {
            translator = translator.going_on(partial, *before, self.repeated.clone());
        }
        let Reply { mut head, mut body } = reply;
        head.headers.remove(header::CONTENT_LENGTH);
        let streams = head
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if head.status.is_success() && streams {
            head.headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
            return Ok(Heard::streamed(head, body, translator));
        }
        head.headers.insert(header::CONTENT_TYPE, JSON);
        let whole = gathered(&mut *body).await?;
        let told = if head.status.is_success() {
            match translator.body(&whole) {
                Ok(told) => told,
                Err(Mistold::Broken(what)) => return Err(broken(what)),
                Err(Mistold::Failed(error)) => {
                    head.status = status(error.status);
                    errors::body(client, &error).to_string().into()
                }
            }
        } else {
            let wait = named_wait(&head.headers, UNIX_EPOCH + Duration::from_secs(now));
            let refusal = errors::translated(client, head.status.as_u16(), &whole, wait);
            head.status = status(refusal.status);
            if let Some(wait) = refusal.wait {
                let seconds = wait.as_secs_f64().ceil() as u64;
                head.headers.entry(header::RETRY_AFTER).or_insert_with(|| seconds.into());
            }
            refusal.body
        };
        Ok(Heard::whole(head, told, &translator))
    }
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
}
