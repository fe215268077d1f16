//! A conversation as a request carries it: its turns, and everything else.

use super::ApiRequest;
use super::endpoint::Endpoint;
use super::facts::Facts;
use super::turns::turns;
use crate::json::{self, Ignore, without_member};

/// Larger bodies are not compared: reading one a second time would keep other requests waiting.
const LARGEST: usize = 256 * 1024;

/// Marks for the provider's prompt cache: SDKs move them to the latest turn.
const MARKS: Ignore =
    Ignore(&[&["content", "*", "cache_control"], &["content", "*", "prompt_cache_breakpoint"]]);

/// The turns of a request, told apart by what they mean.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// All of the request but its turns: model, tools, parameters, streamed or not.
    pub rest: [u8; 32],
    /// The turns, oldest first.
    pub turns: Vec<Said>,
}

/// One turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The user speaks.
    pub by_user: bool,
    /// What it means, whatever its spelling.
    pub digest: [u8; 32],
}

impl ApiRequest<'_> {
    /// The conversation that the request carries on; `None` where it has no turns, or is larger
    /// than is read twice.
    pub fn conversation(&self) -> Option<Conversation> {
        let member = match self.endpoint {
            Endpoint::Chat | Endpoint::Messages => "messages",
            Endpoint::Responses => "input",
            Endpoint::Generate => "contents",
            _ => return None,
        };
        if self.body.len() > LARGEST || self.facts.is_unread() {
            return None;
        }
        let said = turns(self.endpoint, &self.body).into_iter().map(|turn| {
            let digest = json::canonical(turn.json().as_bytes(), &MARKS).ok()?.digest;
            Some(Said { by_user: turn.is_user(), digest })
        });
        let turns = said.collect::<Option<Vec<Said>>>().filter(|turns| !turns.is_empty())?;
        let rest = Facts::digest_of(self.endpoint, &without_member(&self.body, member)?)?;
        let framing = [u8::from(self.wants_stream()), u8::from(self.facts.include_usage)];
        let rest = *blake3::hash(&[&rest[..], &framing].concat()).as_bytes();
        Some(Conversation { rest, turns })
    }
}
