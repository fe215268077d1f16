//! A burst of one conversation: requests wait a moment for each other, and only the last is sent.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use super::Overrides;
use crate::config::burst::{Burst, Superseded};
use crate::config::conversation::ConversationSource;
use crate::config::rule::Verdict;
use crate::error::ApiError;
use crate::exchange::{Exchange, Outcome};
use crate::gateway::Gateway;
use crate::gateway::head::Served;
use crate::request::ApiRequest;
use crate::response::price::Cost;
use crate::response::usage::Usage;
use crate::rules::burst::{Arrival, BurstKey, Bursts, Ticket};

/// A burst that a request may be part of, by the rule that says so.
pub(in crate::gateway) struct Bursting {
    pub(super) rule: Arc<str>,
    pub(super) settings: Burst,
}

/// How a waiting request is told.
pub struct Waiter {
    word: oneshot::Sender<Word>,
    /// It may be the last again: the one behind it hung up.
    look: Arc<Notify>,
}

/// What a waiting request is told.
enum Word {
    /// Go, ahead of these.
    Go(Vec<Waiter>),
    /// A later one is sent in its place, and its answer comes here.
    Superseded(oneshot::Receiver<Shared>),
}

/// The answer of the one that was sent, for one that was not.
struct Shared {
    served: Result<Served, ApiError>,
    provider: Option<Arc<str>>,
    usage: Option<Usage>,
    cost: Option<Cost>,
}

/// What waiting came to.
enum Waited {
    /// This one is sent, in place of these.
    Sent(Followers),
    /// A later one is sent, and its answer comes here.
    Superseded(oneshot::Receiver<Shared>),
}

/// Those whose place one request takes.
#[derive(Default)]
struct Followers(Vec<oneshot::Sender<Shared>>);

impl Gateway {
    /// Serves a request, unless a later one of the same conversation takes its place.
    ///
    /// # Errors
    /// As for any request; that a later one was sent, where the rule wants that.
    pub(in crate::gateway) async fn merged(
        self: &Arc<Self>,
        bursting: &Bursting,
        request: &ApiRequest<'_>,
        overrides: Overrides,
        exchange: &mut Exchange,
    ) -> Result<Served, ApiError> {
        let followers = match self.hold_back(request, bursting).await {
            Waited::Sent(followers) => followers,
            Waited::Superseded(answer) => match bursting.settings.superseded {
                Superseded::Conflict => return Err(ApiError::superseded()),
                Superseded::Empty => return self.pronounce(&Verdict::Say("".into()), request, exchange),
                Superseded::Same => match answer.await {
                    Ok(shared) => return shared.note(exchange),
                    // The one that was sent left without an answer: this one is sent after all.
                    Err(_) => Followers::default(),
                },
            },
        };
        let served = self.go(request, overrides, exchange).await;
        followers.share(&served, exchange);
        served
    }

    /// Waits whether a later request of the same conversation takes this one's place.
    async fn hold_back(&self, request: &ApiRequest<'_>, bursting: &Bursting) -> Waited {
        let alone = Waited::Sent(Followers::default());
        let Some(name) = conversation_name(request, &bursting.settings.key) else { return alone };
        let Some(conversation) = request.conversation() else { return alone };
        let key = self.burst_key(request, &bursting.rule, &name);
        let bursts = &self.kept.bursts;
        let (word, mut told) = oneshot::channel();
        let look = Arc::new(Notify::new());
        let ticket = match bursts.arrive(key, &conversation, Waiter { word, look: look.clone() }) {
            Arrival::Full => return alone,
            Arrival::Waits { ticket, displaced } => {
                if let Some((last, before)) = displaced {
                    release(last, before);
                }
                ticket
            }
        };
        let _leaving = Leaving { bursts, key, ticket };
        let window = tokio::time::sleep(bursting.settings.window);
        tokio::pin!(window);
        loop {
            tokio::select! {
                biased;
                word = &mut told => return match word {
                    Ok(Word::Go(before)) => Waited::Sent(Followers::of(before)),
                    Ok(Word::Superseded(answer)) => Waited::Superseded(answer),
                    // Whoever was to tell has gone without a word.
                    Err(_) => alone,
                },
                () = &mut window, if !window.is_elapsed() => {}
                () = look.notified() => {}
            }
            if window.is_elapsed()
                && let Some(before) = bursts.depart(&key, ticket)
            {
                return Waited::Sent(Followers::of(before));
            }
        }
    }

    /// Callers never meet: who asks, in whose name and with which key, is part of it.
    fn burst_key(&self, request: &ApiRequest, rule: &str, name: &str) -> BurstKey {
        let identity = &request.identity;
        let parts: [&[u8]; 6] = [
            rule.as_bytes(),
            request.endpoint.name().as_bytes(),
            request.head.uri.path().as_bytes(),
            identity.tenant.as_bytes(),
            &identity.credential.0,
            name.as_bytes(),
        ];
        let mut hasher = blake3::Hasher::new_keyed(&self.kept.secret.load().0);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        *hasher.finalize().as_bytes()
    }
}

impl Followers {
    fn of(before: Vec<Waiter>) -> Self {
        let told = before.into_iter().filter_map(|waiter| {
            let (answer, waiting) = oneshot::channel();
            waiter.word.send(Word::Superseded(waiting)).ok().map(|()| answer)
        });
        Self(told.collect())
    }

    /// Gives them the answer, where they are to have the same.
    fn share(self, served: &Result<Served, ApiError>, exchange: &Exchange) {
        for follower in self.0.into_iter().filter(|follower| !follower.is_closed()) {
            let served = match served {
                Ok(served) => served.share().map(Ok),
                Err(error) => Some(Err(error.clone())),
            };
            let Some(served) = served else { continue };
            // It may have hung up this moment.
            let _ = follower.send(Shared {
                served,
                provider: exchange.provider.clone(),
                usage: exchange.usage,
                cost: exchange.cost,
            });
        }
    }
}

impl Shared {
    /// Notes in a follower's exchange whose answer it got.
    fn note(self, exchange: &mut Exchange) -> Result<Served, ApiError> {
        exchange.outcome = Outcome::Collapsed;
        (exchange.provider, exchange.usage, exchange.cost) = (self.provider, self.usage, self.cost);
        self.served
    }
}

/// Takes a request that hangs up out of its queue.
struct Leaving<'a> {
    bursts: &'a Bursts<Waiter>,
    key: BurstKey,
    ticket: Ticket,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.bursts.leave(&self.key, self.ticket, |last| last.look.notify_one());
    }
}

/// Lets the last of a queue go; where it hung up this moment, the one before it.
fn release(last: Waiter, before: Vec<Waiter>) {
    let mut unheard = last.word.send(Word::Go(before));
    while let Err(Word::Go(mut before)) = unheard {
        let Some(last) = before.pop() else { return };
        unheard = last.word.send(Word::Go(before));
    }
}

/// The conversation's name as the request gives it; `None` where it gives none.
fn conversation_name(request: &ApiRequest, source: &ConversationSource) -> Option<String> {
    let in_body = |pointer: &str| {
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        match body.pointer(pointer)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    };
    match source {
        ConversationSource::Header(name) => {
            let value = request.head.headers.get(name)?.to_str().ok()?;
            (!value.is_empty()).then(|| value.to_owned())
        }
        ConversationSource::User => in_body("/user").or_else(|| in_body("/metadata/user_id")),
        ConversationSource::Pointer(pointer) => in_body(pointer),
    }
}
