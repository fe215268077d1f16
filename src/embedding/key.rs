//! What makes two inputs the same one: everything that changes the vector, and who may share it.
//!
//! The provider account and the model that is asked of it (not the route that leads there, which may
//! change), scope, every other member (`dimensions` absent differs from given) and the input's exact
//! text or tokens count. How the vector is written, the place in the request and the inputs beside it
//! do not.

use super::input::{Api, Asked, FORMAT, Input, USER};
use crate::config::Share;
use crate::json::{self, Ignore};
use crate::request::ApiRequest;
use crate::request::identity::Secret;
use crate::request::key::{CacheKey, Parts};

/// Texts are UTF-8, so that no text's key begins like these.
const TOKENS: u8 = 0xff;
const CONTENT: u8 = 0xfe;

/// What Gemini repeats in each input of a batch; the path says it too.
const GEMINI_MODEL: Ignore = Ignore(&[&["model"]]);

/// Makes the keys of one request's inputs.
pub struct Keys([u8; 32]);

impl Keys {
    /// For inputs of `request` when `account` is asked for `model`, and shared as `share` says.
    pub fn new(
        request: &ApiRequest,
        asked: &Asked,
        (account, model): (&str, Option<&str>),
        share: Share,
        secret: &Secret,
    ) -> Self {
        let mut parts = Parts::new(b"pareto input 1");
        parts.whose(request, account, share);
        parts.part(model.unwrap_or_default().as_bytes());
        // Gemini's two methods give one vector for one content.
        parts.part(&[u8::from(asked.api == Api::OpenAi)]);
        let counts = |(name, value): &&(std::borrow::Cow<str>, &str)| {
            *name != FORMAT && *name != USER && *name != "model" && *value != "null"
        };
        let mut others: Vec<_> = asked.others.iter().filter(counts).collect();
        others.sort_unstable();
        for (name, value) in others {
            parts.part(name.as_bytes());
            parts.part(value.as_bytes());
        }
        Self(parts.digest(secret))
    }

    /// The key of one input; `None` where it is not JSON as we know it.
    pub fn of(&self, input: &Input) -> Option<CacheKey> {
        match input {
            Input::Text(text) => Some(CacheKey::keyed(&self.0, text.as_bytes())),
            Input::Tokens(tokens) => {
                let mut message = Vec::with_capacity(1 + tokens.len() * size_of::<u64>());
                message.push(TOKENS);
                message.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
                Some(CacheKey::keyed(&self.0, &message))
            }
            Input::Content(content) => {
                let digest = json::canonical(content.as_bytes(), &GEMINI_MODEL).ok()?.digest;
                let mut message = [CONTENT; 33];
                message[1..].copy_from_slice(&digest);
                Some(CacheKey::keyed(&self.0, &message))
            }
        }
    }
}
