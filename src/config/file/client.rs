//! `client:` as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Period, minutes, seconds};

/// Towards the app.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// Time limits of an app's connection.
    pub timeouts: ClientTimeouts,
}

/// Time limits of an app's connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTimeouts {
    /// For a request line and its headers to arrive, on top of `idle`.
    pub header: Period,
    /// For the whole body to arrive of a request that is read before it is served.
    pub body: Period,
    /// How long a kept-alive connection may wait for its next request.
    pub idle: Period,
    /// How long one write may wait for an app that does not read.
    pub write: Period,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self { header: seconds(30), body: minutes(10), idle: seconds(75), write: seconds(60) }
    }
}
