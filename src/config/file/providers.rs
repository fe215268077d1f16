//! `providers:` as written.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::{Period, minutes, require, seconds};
use crate::config::choice::{Dialect, Http2};
use crate::config::scalar::Toggle;
use crate::config::secret::Secret;

/// One upstream account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = |schema: &mut Schema| require(schema, "url"))]
pub struct Provider {
    /// Its base URL, as its own SDK takes it: https://api.openai.com/v1.
    pub url: String,
    /// The API it speaks.
    pub dialect: Dialect,
    /// Keys to call it with. None: the app's own key passes through.
    pub keys: Vec<Secret>,
    /// A provider of the openai dialect has `/v1/responses`. If not, such requests are asked of it as chat
    /// completions, where they can be.
    pub responses: Toggle,
    /// It also serves apps that speak Anthropic's or Gemini's API and not its own: they are translated.
    pub translate: Toggle,
    /// Whether it is called with HTTP/2.
    pub http2: Http2,
    /// Time limits of one call.
    pub timeouts: ProviderTimeouts,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            url: String::new(),
            dialect: Dialect::Openai,
            keys: Vec::new(),
            responses: Toggle(true),
            translate: Toggle(false),
            http2: Http2::Auto,
            timeouts: ProviderTimeouts::default(),
        }
    }
}

/// Time limits of one upstream call.
///
/// They are there for calls that hang, and must not cut an honest slow answer. The SDKs of OpenAI
/// and Anthropic give up connecting after 5 s and wait 10 minutes for an answer to begin; a
/// reasoning model may think that long. A stream may go on for longer than that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderTimeouts {
    /// For the connection, TLS included.
    pub connect: Period,
    /// From the request's last byte to the answer's first.
    pub first_byte: Period,
    /// Between two parts of the answer.
    pub idle: Period,
    /// For the call as a whole.
    pub total: Period,
}

impl Default for ProviderTimeouts {
    fn default() -> Self {
        Self { connect: seconds(5), first_byte: minutes(10), idle: minutes(5), total: minutes(60) }
    }
}
