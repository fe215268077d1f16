//! Where a request goes: the provider, the path and the headers it is sent with.

pub mod outbound;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::config::{Dialect, Provider};
use crate::request::endpoint::{Endpoint, Family};

/// The providers of one generation.
pub struct Router {
    accounts: Vec<Arc<Account>>,
    turn: AtomicUsize,
}

/// A provider as requests are sent to it and told of it.
#[derive(Debug)]
pub struct Account {
    /// Address, keys and timeouts.
    pub provider: Arc<Provider>,
    /// Its name.
    pub name: Arc<str>,
    /// What tells its answers from those of every other: name and URL.
    pub id: Box<str>,
}

impl Router {
    /// A router over the providers in the order of the file.
    pub fn new(providers: &[Provider]) -> Self {
        Self {
            accounts: providers.iter().map(Account::new).map(Arc::new).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// The provider for a path: the first that speaks the path's language, else the first.
    pub fn account(&self, family: Family) -> Option<&Arc<Account>> {
        let dialect = match family {
            Family::OpenAi => Dialect::Openai,
            Family::Anthropic => Dialect::Anthropic,
            Family::Gemini => Dialect::Gemini,
        };
        let fluent = self.accounts.iter().find(|account| account.provider.dialect == dialect);
        fluent.or_else(|| self.accounts.first())
    }

    /// The key to call `provider` with, each in its turn; `None` passes the caller's own.
    pub fn key<'p>(&self, provider: &'p Provider) -> Option<&'p str> {
        let turn = if provider.keys.len() > 1 { self.turn.fetch_add(1, Relaxed) } else { 0 };
        provider.keys.get(turn % provider.keys.len().max(1)).map(crate::config::Secret::expose)
    }
}

impl Account {
    fn new(provider: &Provider) -> Self {
        let url = &provider.url;
        Self {
            name: Arc::from(provider.name.as_str()),
            id: [provider.name.as_str(), &url.authority, &url.base_path].join(" ").into_boxed_str(),
            provider: Arc::new(provider.clone()),
        }
    }
}

/// The language of any path, understood or not.
pub fn family(path: &str) -> Family {
    let under =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if under("/v1/messages") {
        Family::Anthropic
    } else if under("/v1beta") || Endpoint::is_gemini_path(path) {
        Family::Gemini
    } else {
        Family::OpenAi
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_language() {
        assert_eq!(family("/v1/messages"), Family::Anthropic);
        assert_eq!(family("/v1/messages/batches"), Family::Anthropic);
        assert_eq!(family("/v1/messagesque"), Family::OpenAi);
        assert_eq!(family("/v1beta/models"), Family::Gemini);
        assert_eq!(family("/v1/models/gemini-x:countTokens"), Family::Gemini);
        assert_eq!(family("/v1/models/gpt-4o"), Family::OpenAi);
        assert_eq!(family("/v1/models/ft:gpt-4o:org::1"), Family::OpenAi);
    }
}
