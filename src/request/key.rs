//! Which parts make it the same request.
//!
//! A key is a keyed BLAKE3 over length-delimited parts: endpoint, provider account, scope, the
//! headers that select a schema, path, query and the body's canonical digest. Its first 128 bits
//! find an entry and the whole of it, kept in the entry, proves it; with one strong hash there is
//! no second, weaker one to collide.

use http::HeaderName;

use super::identity::{Secret, query_asked};
use super::{ApiRequest, endpoint::Endpoint};
use crate::config::Share;
use crate::text::Folding;

/// Identifies a request within one installation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

/// Headers that change what the provider answers.
const SELECTING: [HeaderName; 3] = [
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
];

impl CacheKey {
    /// The key of `request` when asked of `account` (the provider's name and URL) and shared as
    /// `share` says, the text of the user's last message told by its folded form.
    pub fn of(request: &ApiRequest, account: &str, share: Share, folding: Folding, secret: &Secret) -> Self {
        let mut parts = Vec::with_capacity(512);
        let mut part = |bytes: &[u8]| {
            parts.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            parts.extend_from_slice(bytes);
        };
        part(b"pareto key 1");
        part(request.endpoint.name().as_bytes());
        part(account.as_bytes());
        match share {
            Share::Credential => part(&request.identity.credential.0),
            Share::Tenant => part(request.identity.tenant.as_bytes()),
            Share::Everyone => part(b""),
        }
        // A tenant may be named like another's credential digest: the kind of scope is a part too.
        part(&[share as u8]);
        for name in &SELECTING {
            for value in request.head.headers.get_all(name) {
                part(name.as_str().as_bytes());
                part(value.as_bytes());
            }
        }
        part(asked_path(request));
        part(query_asked(request.head.uri.query().unwrap_or_default()).as_bytes());
        match request.folded_digest(folding) {
            // Who asks for the exact text does not meet an answer to another spelling of it.
            Some(digest) => {
                part(&[folding.bits()]);
                part(&digest);
            }
            None => part(&request.facts.digest),
        }
        Self(*blake3::keyed_hash(&secret.0, &parts).as_bytes())
    }

    /// A key as it was written down.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// All of it.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What finds the entry.
    pub fn id(self) -> u128 {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[..16]);
        u128::from_le_bytes(id)
    }

    /// The first digits of the key, enough to tell entries apart in a log.
    pub fn short(self) -> String {
        let mut hex = self.hex();
        hex.truncate(16);
        hex
    }

    /// The key as text, for `pareto explain` and `DELETE /cache?key=`.
    pub fn hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

/// The path as far as it says what is asked: Gemini's two methods for one answer are one path.
fn asked_path<'r>(request: &'r ApiRequest) -> &'r [u8] {
    let path = request.head.uri.path();
    match request.endpoint {
        Endpoint::Generate => path.rsplit_once(':').map_or(path, |(model, _)| model).as_bytes(),
        _ => path.as_bytes(),
    }
}
