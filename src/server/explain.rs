//! `POST /explain`: a request described, and what would happen to it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use crate::gateway::explain::Described;

/// The body of `POST /explain`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "chat")]
    endpoint: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Box<RawValue>,
}

fn chat() -> String {
    "chat".to_owned()
}

/// Reads what is to be explained.
///
/// # Errors
/// What is wrong with it.
pub(super) fn described(body: &[u8]) -> Result<Described, String> {
    let asked: Asked = serde_json::from_slice(body).map_err(|error| {
        format!("Send {{\"endpoint\": \"chat\", \"headers\": {{…}}, \"body\": {{…}}}}, the last of which is needed: {error}")
    })?;
    Ok(Described {
        live: true,
        endpoint: asked.endpoint,
        headers: asked.headers.into_iter().collect(),
        body: Bytes::from(String::from(Box::<str>::from(asked.body))),
    })
}
