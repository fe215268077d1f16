//! One request as the simulated provider received it.

use bytes::Bytes;
use serde_json::Value;

use crate::request::endpoint::Endpoint;

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method as written.
    pub method: String,
    /// Path and query as written.
    pub target: String,
    /// Header names and values as written, in order; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer coding. Uploads to `/v1/files` and bodies sent to `/v1/echo` are
    /// counted, not kept: only their first 64 KiB are here.
    pub body: Bytes,
    /// Length of the whole body in bytes.
    pub body_length: u64,
    /// Which connection it came on, counted from 0.
    pub connection: u64,
}

impl Call {
    /// The target's path.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The target's query, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The body as JSON; `Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The understood endpoint it addresses, if any.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let method = http::Method::from_bytes(self.method.as_bytes()).ok()?;
        Endpoint::of(&method, self.path())
    }
}
