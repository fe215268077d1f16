//! Who can be asked: a provider, the model asked of it, and the keys to ask with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::capability::Takes;
use super::health::{Busy, Health, Healths, Identity, Leave, Slot};
use crate::config::route::Target as Written;
use crate::config::{Dialect, Provider, ProviderTimeouts, Secret};
use crate::dialect::Server;

/// A provider as requests are sent to it and told of it.
#[derive(Debug)]
pub struct Account {
    /// Address, keys and timeouts.
    pub provider: Arc<Provider>,
    /// Its name.
    pub name: Arc<str>,
    /// What tells its answers from those of every other: name and URL.
    pub id: Box<str>,
    /// Whose server it is, where it speaks OpenAI's API.
    pub server: Server,
    turn: AtomicUsize,
}

/// A provider, and the model asked of it.
pub struct Target {
    /// The provider.
    pub account: Arc<Account>,
    /// Its name of the model; `None`: the model asked for.
    pub model: Option<Box<str>>,
    /// Its share of a weighted route.
    pub weight: u32,
    /// What its model takes.
    pub takes: Takes,
    /// It goes on from a beginning that somebody else has made of an answer.
    pub goes_on: bool,
    /// Its name in logs and at `/providers`: `openai/gpt-4o`.
    pub name: Box<str>,
    /// What is known of it, where there is a choice that needs to know.
    watched: Option<Watched>,
}

struct Watched {
    health: Arc<Health>,
    /// One for each key, one where the caller's passes through.
    slots: Vec<Arc<Slot>>,
}

/// A target that is being asked: with which key, and who is told how it went.
pub struct Asking {
    /// The target.
    pub target: Arc<Target>,
    /// The key's place in the provider's list.
    pub key: usize,
    /// How long to wait before it is called: until then the provider would refuse the key.
    pub pause: Duration,
    /// Told how the call went.
    pub leave: Option<Leave>,
}

impl Asking {
    /// Whether it is asked after all: where this is to find out if it works again, only one sidecar does.
    pub async fn stands(&mut self) -> bool {
        match &mut self.leave {
            // Seldom, and large: every flight would carry the room for it.
            Some(leave) if leave.is_probe() => Box::pin(leave.stands()).await,
            _ => true,
        }
    }

    /// The same target with the same key once more, if it may be asked now.
    pub fn again(&self, now: Instant) -> Option<Self> {
        let leave = match self.target.slots().get(self.key) {
            Some(slot) => Some(slot.admit(now)?),
            None => None,
        };
        Some(Self { target: self.target.clone(), key: self.key, pause: Duration::ZERO, leave })
    }
}

/// Whether a target goes on from a beginning. A last message of the assistant's means that to Anthropic's
/// older models, to Mistral and DeepSeek (at its `/beta` address) where it is marked; OpenAI's
/// own models begin anew behind it, and of any other server only the file can tell.
fn goes_on(account: &Account, model: Option<&str>, written: &Written) -> bool {
    let taken = Takes::of(account.server, model, &written.takes).prefill;
    match (account.provider.dialect, account.server) {
        (Dialect::Anthropic, _) | (Dialect::Openai, Server::Mistral) => taken,
        // "Please ensure that multiturn requests end with a user role".
        (Dialect::Gemini, _) => false,
        (Dialect::Openai, Server::DeepSeek) => taken && account.provider.url.base_path.starts_with("/beta"),
        (Dialect::Openai, Server::OpenAi | Server::Azure | Server::Google) => false,
        (Dialect::Openai, Server::Groq | Server::Other) => written.takes.prefill == Some(true),
    }
}

impl Account {
    /// A provider of the file.
    pub fn new(provider: &Provider) -> Self {
        let url = &provider.url;
        Self {
            name: Arc::from(provider.name.as_str()),
            id: [provider.name.as_str(), &url.authority, &url.base_path].join(" ").into_boxed_str(),
            provider: Arc::new(provider.clone()),
            server: Server::at(&url.host),
            turn: AtomicUsize::new(0),
        }
    }

    fn with(provider: &Provider, timeouts: ProviderTimeouts) -> Self {
        Self::new(&Provider { timeouts, ..provider.clone() })
    }

    /// Where in the list of keys the next call begins to look for one.
    pub fn turn(&self) -> usize {
        let keys = self.provider.keys.len();
        if keys > 1 { self.turn.fetch_add(1, Relaxed) % keys } else { 0 }
    }

    /// A key; `None` passes the caller's own.
    pub fn key(&self, place: usize) -> Option<&str> {
        self.provider.keys.get(place).map(Secret::expose)
    }
}

impl Target {
    /// A provider that is asked for whatever model is asked for. It is watched only where it has a
    /// choice of keys.
    pub fn plain(account: Arc<Account>, healths: &Healths, now: Instant) -> Self {
        let name: Box<str> = account.name.as_ref().into();
        let chooses = account.provider.keys.len() > 1;
        let watched = chooses.then(|| Watched::of(&account, None, &name, healths, now));
        Self { account, model: None, weight: 1, takes: Takes::anything(), goes_on: false, name, watched }
    }

    /// A target of a route.
    pub fn new(written: &Written, provider: &Provider, healths: &Healths, now: Instant) -> Self {
        let account = Arc::new(Account::with(provider, written.timeouts));
        let model = written.model.as_deref();
        let name: Box<str> =
            model.map_or_else(|| (*account.name).into(), |model| format!("{}/{model}", account.name).into());
        Self {
            watched: Some(Watched::of(&account, model, &name, healths, now)),
            name,
            model: model.map(Box::from),
            weight: written.weight,
            takes: Takes::of(account.server, model, &written.takes),
            goes_on: goes_on(&account, model, written),
            account,
        }
    }

    /// The model this target is asked for.
    pub fn asked<'a>(&'a self, asked: Option<&'a str>) -> Option<&'a str> {
        self.model.as_deref().or(asked)
    }

    /// What tells its answers from those of every other target.
    pub fn id(&self) -> String {
        self.model
            .as_deref()
            .map_or_else(|| self.account.id.to_string(), |model| format!("{} {model}", self.account.id))
    }

    /// Whether it may be asked now, or from when on.
    pub fn would_admit(&self, now: Instant) -> Result<(), Instant> {
        let Some(watched) = &self.watched else { return Ok(()) };
        let mut soonest = None;
        for slot in &watched.slots {
            match slot.would_admit(now) {
                Ok(()) => return Ok(()),
                Err(until) => soonest = Some(soonest.map_or(until, |other: Instant| other.min(until))),
            }
        }
        soonest.map_or(Ok(()), Err)
    }

    /// Asks it with the next of its keys that may be used now.
    pub fn ask(self: &Arc<Self>, now: Instant) -> Option<Asking> {
        let first = self.account.turn();
        let Some(watched) = &self.watched else {
            return Some(Asking { target: self.clone(), key: first, pause: Duration::ZERO, leave: None });
        };
        let admitted = |key: usize| {
            let leave = watched.slots[key].admit(now)?;
            Some(Asking { target: self.clone(), key, pause: Duration::ZERO, leave: Some(leave) })
        };
        let count = watched.slots.len();
        if count <= 1 {
            return admitted(0);
        }
        // The key with the most room first; among equals, each in its turn.
        let mut keys: Vec<(usize, f64)> = (0..count)
            .map(|step| (first + step) % count)
            .map(|key| (key, watched.slots[key].room(now)))
            .collect();
        keys.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        keys.into_iter().find_map(|(key, _)| admitted(key))
    }

    /// Asks it whatever is known, with the key that is ready soonest.
    pub fn ask_anyway(self: &Arc<Self>, now: Instant) -> Asking {
        let Some(watched) = &self.watched else {
            return Asking {
                target: self.clone(),
                key: self.account.turn(),
                pause: Duration::ZERO,
                leave: None,
            };
        };
        let ready = |key: &usize| watched.slots[*key].would_admit(now).err();
        let key = (0..watched.slots.len()).min_by_key(ready).unwrap_or(0);
        let slot = watched.slots.get(key);
        let pause = slot.map_or(Duration::ZERO, |slot| slot.pause(now));
        Asking { target: self.clone(), key, pause, leave: slot.map(Slot::force) }
    }

    /// What is known of it, where it is watched.
    pub fn health(&self) -> Option<&Arc<Health>> {
        self.watched.as_ref().map(|watched| &watched.health)
    }

    /// What is known of it and each of its keys.
    pub fn slots(&self) -> &[Arc<Slot>] {
        self.watched.as_ref().map_or(&[], |watched| &watched.slots)
    }

    /// A call to it is being sent.
    pub fn occupy(&self) -> Option<Busy> {
        self.health().map(Health::occupy)
    }

    /// A first byte has come, or has not come for this long.
    pub fn observe(&self, took: Duration, now: Instant) {
        if let Some(health) = self.health() {
            health.observe(took, now);
        }
    }
}

impl Watched {
    fn of(account: &Account, model: Option<&str>, shown_as: &str, healths: &Healths, now: Instant) -> Self {
        let name = format!("{}|{}", account.id, model.unwrap_or_default());
        let keys = &account.provider.keys;
        // A key is remembered by what it is, not by its place; never as it is.
        let named = |key: &Secret| format!("{name}|{}", blake3::hash(key.expose().as_bytes()).to_hex());
        let slot = |name: &str, owned| healths.slot(&Identity { name, shown_as, owned }, now);
        let slots = if keys.is_empty() {
            vec![slot(&name, false)]
        } else {
            keys.iter().map(|key| slot(&named(key), true)).collect()
        };
        Self { health: healths.target(&name, now), slots }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::config::{Config, Environment};

    fn left(remaining: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-limit-requests", HeaderValue::from_static("100"));
        headers.insert("x-ratelimit-remaining-requests", HeaderValue::from_static(remaining));
        headers.insert("x-ratelimit-reset-requests", HeaderValue::from_static("20s"));
        headers
    }

    #[test]
    fn keys_with_room_go_first_and_those_without_wait_for_it() {
        let text = "providers: {p: {url: 'https://p.example/v1', keys: [a, b, c]}}";
        let config = Config::load(text, &Environment::fixed(&[], &[])).unwrap();
        let now = Instant::now();
        let account = Arc::new(Account::new(&config.providers[0]));
        let target = Arc::new(Target::plain(account, &Healths::default(), now));
        let told = |key: usize, remaining: &'static str| {
            let mut asking = (0..9).find_map(|_| target.ask(now).filter(|asking| asking.key == key)).unwrap();
            let leave = asking.leave.as_mut().unwrap();
            leave.learned(&left(remaining), now, std::time::SystemTime::UNIX_EPOCH);
            leave.succeeded(now);
        };
        told(2, "0");
        told(1, "10");
        told(0, "50");
        for _ in 0..5 {
            assert_eq!(target.ask(now).unwrap().key, 0, "it has the most room");
        }
        told(0, "0");
        assert_eq!(target.ask(now).unwrap().key, 1);
        told(1, "0");
        assert!(target.ask(now).is_none() && target.would_admit(now).is_err());
        assert_eq!(target.ask_anyway(now).pause, Duration::from_secs(20));
        let later = now + Duration::from_secs(21);
        assert!(target.ask(later).is_some());
        assert_eq!(target.ask_anyway(later).pause, Duration::ZERO);
    }
}
