//! The scripted provider: every call is numbered, answered by a script, and its fate written down.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use pareto::config::ProviderTimeouts;
use pareto::io::upstream::{Call, Fault, Reply, ReplyBody, ReplyHead, Upstream, UpstreamError};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::answer::{Api, Mark};

/// A call as the provider sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its number, from 0.
    pub number: u64,
    /// The API.
    pub api: Api,
    /// Which question.
    pub prompt: u32,
    /// The `authorization` it came with.
    pub credential: String,
    /// The `x-tenant-id` it came with.
    pub tenant: Option<String>,
    /// Events were asked for.
    pub stream: bool,
    /// The usage frame was asked for.
    pub usage: bool,
    /// The provider's host: which account was asked.
    pub host: String,
    /// The path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

/// What a call gets.
#[derive(Clone, Debug)]
pub struct Script {
    /// Before the head, or before the failure.
    pub wait: Duration,
    /// A failure instead of a head.
    pub refuse: Option<Fault>,
    /// The status.
    pub status: u16,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body is events.
    pub events: bool,
    /// The body is compressed.
    pub coded: bool,
    /// The body, each piece after a pause.
    pub pieces: Vec<(Duration, Bytes)>,
    /// What follows the last piece.
    pub last: Last,
    /// The answer it is, or would have been.
    pub mark: Mark,
    /// All of the answer, properly ended.
    pub complete: bool,
}

/// How a body ends.
#[derive(Clone, Debug)]
pub enum Last {
    /// In order.
    End,
    /// Broken.
    Fault(Fault),
    /// Nothing more comes.
    Silence,
    /// This, again and again.
    Forever(Duration, Bytes),
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not over.
    Flying,
    /// Its script was read to the end.
    Delivered,
    /// It failed, as its script says or out of time.
    Failed,
    /// The caller hung up.
    Dropped,
}

/// The record of a call.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was asked.
    pub asked: Asked,
    /// What was answered.
    pub script: Script,
    /// When it came.
    pub started: Instant,
    /// When it was over.
    pub ended: Option<Instant>,
    /// How.
    pub fate: Fate,
}

impl Record {
    /// The body of the script in one.
    pub fn raw(&self) -> Vec<u8> {
        self.script.pieces.iter().flat_map(|(_, piece)| piece.iter().copied()).collect()
    }
}

type Choose = Box<dyn Fn(&Asked) -> Script + Send + Sync>;

/// The provider, and the record of all calls by number.
pub struct Provider {
    choose: Choose,
    log: Mutex<Vec<Record>>,
}

impl Script {
    /// The whole answer at once, in the form asked for.
    pub fn answer(asked: &Asked, words: usize) -> Self {
        let mark = Mark { api: asked.api, call: asked.number, words };
        let events = asked.stream && asked.api != Api::Embeddings;
        let pieces = if events {
            mark.events(asked.usage, "\n").into_iter().map(|event| (Duration::ZERO, event.into())).collect()
        } else {
            vec![(Duration::ZERO, mark.body())]
        };
        Self {
            wait: Duration::ZERO,
            refuse: None,
            status: 200,
            headers: Vec::new(),
            events,
            coded: false,
            pieces,
            last: Last::End,
            mark,
            complete: true,
        }
    }

    /// The same after a while.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The same with a pause before each piece.
    #[must_use]
    pub fn paced(mut self, pause: Duration) -> Self {
        self.pieces.iter_mut().for_each(|(before, _)| *before = pause);
        self
    }

    /// Only the first pieces, and then this.
    #[must_use]
    pub fn cut(mut self, pieces: usize, last: Last) -> Self {
        self.pieces.truncate(pieces);
        self.last = last;
        self.complete = false;
        self
    }

    /// A failure in place of the head.
    #[must_use]
    pub fn refused(mut self, fault: Fault) -> Self {
        self.refuse = Some(fault);
        self.complete = false;
        self
    }

    /// The provider's own refusal.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self.events = false;
        self.pieces = vec![(Duration::ZERO, error_body(self.mark.call).into())];
        self.complete = false;
        self
    }
}

/// A provider's error, which names its call.
pub fn error_body(call: u64) -> String {
    format!(
        r#"{{"error":{{"message":"error of call {call}","type":"server_error","param":null,"code":null}}}}"#
    )
}

impl Provider {
    /// A provider that answers as `choose` says.
    pub fn new(choose: impl Fn(&Asked) -> Script + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { choose: Box::new(choose), log: Mutex::default() })
    }

    /// All calls so far.
    pub fn log(&self) -> Vec<Record> {
        self.log.lock().unwrap().clone()
    }

    /// The record of one call.
    pub fn record(&self, call: u64) -> Record {
        self.log.lock().unwrap()[usize::try_from(call).unwrap()].clone()
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    fn read(call: &Call, number: u64) -> Asked {
        let body = String::from_utf8(call.body.to_vec()).unwrap();
        let header = |name: &str| call.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let api = match call.target.as_str() {
            target if target.ends_with("/chat/completions") => Api::Chat,
            target if target.ends_with("/messages") => Api::Messages,
            target if target.ends_with("/embeddings") => Api::Embeddings,
            _ => Api::Generate,
        };
        let digits = body.split("prompt ").nth(1).unwrap();
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        Asked {
            number,
            api,
            prompt: digits.parse().unwrap(),
            credential: header("authorization").unwrap_or_default(),
            tenant: header("x-tenant-id"),
            stream: body.contains(r#""stream":true"#) || call.target.contains(":streamGenerateContent"),
            usage: body.contains(r#""include_usage":true"#),
            host: call.provider.url.host.clone(),
            target: call.target.clone(),
            headers: call.headers.clone(),
            body: call.body.clone(),
        }
    }
}

/// Writes down the end of a call, however it comes.
struct Ending {
    provider: Arc<Provider>,
    number: u64,
    fate: Fate,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut log = self.provider.log.lock().unwrap();
        let record = &mut log[usize::try_from(self.number).unwrap()];
        record.ended = Some(Instant::now());
        record.fate = self.fate;
    }
}

/// The road to a [`Provider`].
pub struct Road(pub Arc<Provider>);

#[async_trait]
impl Upstream for Road {
    async fn call(&self, call: &Call) -> Result<Reply, UpstreamError> {
        let (script, mut ending) = {
            let mut log = self.0.log.lock().unwrap();
            let number = log.len() as u64;
            let asked = Provider::read(call, number);
            let script = (self.0.choose)(&asked);
            let (started, fate) = (Instant::now(), Fate::Flying);
            log.push(Record { asked, script: script.clone(), started, ended: None, fate });
            (script, Ending { provider: self.0.clone(), number, fate: Fate::Dropped })
        };
        let timeouts = call.provider.timeouts;
        let first_byte = timeouts.first_byte;
        sleep(script.wait.min(first_byte)).await;
        let fault = if script.wait > first_byte { Some(Fault::FirstByteTimeout) } else { script.refuse };
        if let Some(fault) = fault {
            ending.fate = Fate::Failed;
            return Err(UpstreamError::new(fault, "as the script says"));
        }
        let mut headers = HeaderMap::new();
        let kind = if script.events { "text/event-stream; charset=utf-8" } else { "application/json" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if script.coded {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert("x-ratelimit-remaining-requests", HeaderValue::from(ending.number));
        headers.insert("x-request-id", HeaderValue::try_from(format!("req-{}", ending.number)).unwrap());
        for (name, value) in &script.headers {
            headers.insert(*name, HeaderValue::try_from(value.as_str()).unwrap());
        }
        let status = StatusCode::from_u16(script.status).unwrap();
        let body = Body { script, next: 0, timeouts, ending };
        Ok(Reply { head: ReplyHead { status, headers }, body: Box::new(body) })
    }
}

struct Body {
    script: Script,
    next: usize,
    timeouts: ProviderTimeouts,
    ending: Ending,
}

impl Body {
    fn fail(&mut self, fault: Fault) -> Result<Option<Bytes>, UpstreamError> {
        self.ending.fate = Fate::Failed;
        Err(UpstreamError::new(fault, "as the script says"))
    }
}

#[async_trait]
impl ReplyBody for Body {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let idle = self.timeouts.idle;
        let (pause, piece) = match (self.script.pieces.get(self.next), &self.script.last) {
            (Some((pause, piece)), _) => (*pause, Some(piece.clone())),
            (None, Last::Forever(pause, piece)) => (*pause, Some(piece.clone())),
            (None, Last::Silence) => (Duration::MAX, None),
            (None, Last::Fault(fault)) => {
                let fault = *fault;
                return self.fail(fault);
            }
            (None, Last::End) => (Duration::ZERO, None),
        };
        if pause > idle {
            sleep(idle).await;
            return self.fail(Fault::IdleTimeout);
        }
        if pause.is_zero() {
            // On real threads others get their turn in the middle of an answer.
            yield_now().await;
        } else {
            sleep(pause).await;
        }
        self.next += 1;
        // Events say themselves which is the last; a body is whole once its end is told.
        let end = self.script.pieces.len() + usize::from(!self.script.events);
        if self.next >= end && matches!(self.script.last, Last::End) {
            self.ending.fate = Fate::Delivered;
        }
        Ok(piece)
    }
}
