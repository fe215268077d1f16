//! A target that speaks another API than the client: asked in its own words, its reply told in the
//! client's before anything of it is recorded.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use parking_lot::Mutex;

use super::resume::Resumption;
use crate::config::{Dialect, Provider};
use crate::dialect::translator::Mistold;
use crate::dialect::{self, Api, Prompt, Server, Stamp, Translator, Untranslatable, errors};
use crate::io::upstream::{Call, Fault, Reply, ReplyBody, UpstreamError};
use crate::request::ApiRequest;
use crate::response::headers::{EVENT_STREAM, JSON};
use crate::response::usage::Usage;
use crate::route::verdict::named_wait;
use crate::route::{Route, Target, outbound};
use crate::sse::{Decoder, Event, Item, Tail};

/// The longest event translated, in bytes.
const LONGEST_EVENT: usize = 64 << 20;
/// The longest body translated, in bytes.
const LONGEST_BODY: usize = 64 << 20;
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
/// What a client sees of a provider that only keeps its connection awake.
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

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

/// A reply in the client's words.
pub(super) struct Heard {
    pub(super) reply: Reply,
    pub(super) report: Report,
}

impl From<Reply> for Heard {
    fn from(reply: Reply) -> Self {
        Self { reply, report: Report::default() }
    }
}

/// What a provider has said so far of a reply under translation that the client's API may have no words for.
#[derive(Default)]
pub(super) struct Report(Option<Arc<Mutex<Reported>>>);

/// What was reported.
#[derive(Clone, Copy, Default)]
struct Reported {
    /// OpenAI's usage does not tell what is written to a cache for an hour from what is for five minutes.
    usage: Option<Usage>,
    paused: bool,
}

impl Reported {
    fn by(translator: &Translator) -> Self {
        Self { usage: translator.tokens().map(|tokens| tokens.usage), paused: translator.paused() }
    }
}

impl Report {
    fn of(reported: Reported) -> Self {
        Self(Some(Arc::new(Mutex::new(reported))))
    }

    fn reported(&self) -> Reported {
        self.0.as_ref().map(|reported| *reported.lock()).unwrap_or_default()
    }

    /// The tokens; `None` where nothing is translated, or nothing was reported.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.reported().usage
    }

    /// Whether the provider paused, though the answer is told as whole.
    pub(super) fn paused(&self) -> bool {
        self.reported().paused
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
            let decoder = Decoder::new(LONGEST_EVENT);
            let reported = Arc::new(Mutex::new(Reported::default()));
            let report = Report(Some(reported.clone()));
            let told = Told { body, decoder, translator, reported, ready: VecDeque::new(), ended: false };
            return Ok(Heard { reply: Reply { head, body: Box::new(told) }, report });
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
        let report = Report::of(Reported::by(&translator));
        Ok(Heard { reply: Reply { head, body: Box::new(Whole(Some(told))) }, report })
    }
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
}

fn broken(what: &'static str) -> UpstreamError {
    UpstreamError::new(Fault::Protocol, what)
}

async fn gathered(body: &mut dyn ReplyBody) -> Result<Bytes, UpstreamError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await? {
        if whole.len() + piece.len() > LONGEST_BODY {
            return Err(broken("the answer is too long to be translated"));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// A body that was translated as a whole.
struct Whole(Option<Bytes>);

#[async_trait]
impl ReplyBody for Whole {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        Ok(self.0.take())
    }
}

/// A stream that is translated as it is read.
struct Told {
    body: Box<dyn ReplyBody>,
    decoder: Decoder,
    translator: Translator,
    reported: Arc<Mutex<Reported>>,
    ready: VecDeque<Bytes>,
    ended: bool,
}

#[async_trait]
impl ReplyBody for Told {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.next().await? {
                Some(chunk) => {
                    self.decoder.push(chunk);
                    self.translate()?;
                }
                None => self.end()?,
            }
        }
    }
}

impl Told {
    /// Translates all whole events that have come. What only keeps the connection awake (comments,
    /// Anthropic's pings) does so for the client's.
    fn translate(&mut self) -> Result<(), UpstreamError> {
        let mut awake = false;
        loop {
            match self.decoder.next_item() {
                Err(_) => return Err(broken("an event was too long")),
                Ok(None) => break,
                Ok(Some(Item::Comment(_))) => awake = true,
                Ok(Some(Item::Event(event))) => {
                    awake |= event.name() == Some(b"ping");
                    self.tell(&event)?;
                }
            }
        }
        if awake && self.ready.is_empty() {
            self.ready.push_back(KEEP_ALIVE);
        }
        Ok(())
    }

    fn tell(&mut self, event: &Event) -> Result<(), UpstreamError> {
        let told = self
            .translator
            .event(event)
            .map_err(|why| UpstreamError::new(Fault::Protocol, why.to_string()))?;
        self.ready.extend(told.iter().map(|event| event.bytes().clone()));
        *self.reported.lock() = Reported::by(&self.translator);
        Ok(())
    }

    fn end(&mut self) -> Result<(), UpstreamError> {
        self.ended = true;
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new(LONGEST_EVENT));
        match decoder.finish() {
            Some(Tail::Truncated(_)) => {
                return Err(UpstreamError::new(Fault::Cut, "the stream was cut inside an event"));
            }
            Some(Tail::Event(event)) => self.tell(&event)?,
            None => {}
        }
        let told = self.translator.end();
        self.ready.extend(told.iter().map(|event| event.bytes().clone()));
        Ok(())
    }
}
