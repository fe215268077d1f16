//! Where the name of a conversation comes from.

use http::HeaderName;
use serde_json::Value;

use super::scalar::{Scalar, scalars};

scalars!(ConversationSource);

/// What tells the conversations of one caller apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConversationSource {
    /// The value of a request header.
    Header(HeaderName),
    /// Whom the body names as its end user: `user`, for Anthropic `metadata.user_id`.
    User,
    /// The value at a JSON pointer (RFC 6901) in the body.
    Pointer(String),
}

impl Scalar for ConversationSource {
    const NAME: &'static str = "ConversationSource";
    const EXPECTS: &'static str =
        "header:NAME, user, or pointer:/PATH such as pointer:/metadata/conversation";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "header: *[!-~]+|user|pointer:/.*";

    fn read(text: &str) -> Result<Self, String> {
        if text == "user" {
            return Ok(Self::User);
        }
        if let Some(name) = text.strip_prefix("header:") {
            let name = HeaderName::from_bytes(name.trim().as_bytes());
            return name.map(Self::Header).map_err(|_| {
                "has no valid header name; write one such as header:x-conversation-id".to_owned()
            });
        }
        match text.strip_prefix("pointer:") {
            Some(pointer) if pointer.starts_with('/') => Ok(Self::Pointer(pointer.to_owned())),
            _ => Err(format!("names no conversation; write {}", Self::EXPECTS)),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Header(name) => format!("header:{name}").into(),
            Self::User => "user".into(),
            Self::Pointer(pointer) => format!("pointer:{pointer}").into(),
        }
    }
}
