//! Keys and tokens, which are never shown.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::scalar::{Scalar, scalars};

scalars!(Secret);

/// A key or token. It is never printed: not by `Debug`, not in [`super::Config::effective`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this secret, in a time that does not tell how much of it is right.
    pub fn matches(&self, given: &str) -> bool {
        // Comparing two blake3 hashes takes constant time.
        blake3::hash(self.0.as_bytes()) == blake3::hash(given.as_bytes())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

impl Scalar for Secret {
    const NAME: &'static str = "Secret";
    const EXPECTS: &'static str = "a secret, best as ${NAME} or ${file:/path}";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "[!-~]+";
    const SECRET: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "is empty; write the secret, best as ${NAME} or ${file:/path}, or leave the setting out"
                    .to_owned(),
            );
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has a space, a line break or a character outside ASCII, which no HTTP header may carry; check where it comes from".to_owned());
        }
        Ok(Self(text.into()))
    }

    fn json(&self) -> Value {
        "(hidden)".into()
    }
}
