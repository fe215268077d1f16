//! Settings with a fixed choice of words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI's, and that of the many compatible with it.
    Openai,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
}

/// Whether a provider is called with HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Http2 {
    /// Over https as the provider chooses (ALPN); over http never.
    Auto,
    /// Never: HTTP/1.1.
    Off,
    /// Always; over http by prior knowledge.
    Only,
}

/// Who may get each other's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// Only callers with the same key.
    Credential,
    /// All callers of one tenant.
    Tenant,
    /// All callers.
    Everyone,
}

/// What happens to a call once nobody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Abandoned {
    /// It is cancelled; the provider stops generating.
    Stop,
    /// It goes on, and its answer is stored for the next who asks.
    Finish,
}

/// Whom limits and the books charge for a call that several share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payer {
    /// Who opened it; the others ride for nothing.
    Leader,
    /// All who took a seat, in equal parts.
    Shared,
}

/// What becomes of requests while what limits count cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLedgerLoss {
    /// Each sidecar lets its share of what was left pass.
    LocalShare,
    /// All pass.
    Admit,
    /// None passes.
    Refuse,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// How severe a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something may break.
    Warn,
    /// What happens.
    Info,
    /// Why it happens.
    Debug,
    /// Everything.
    Trace,
}
