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
        let mut parts = Parts::new(b"pareto key 1");
        parts.part(request.endpoint.name().as_bytes());
        parts.whose(request, account, share);
        parts.part(asked_path(request));
        match request.folded_digest(folding) {
            // Who asks for the exact text does not meet an answer to another spelling of it.
            Some(digest) => {
                parts.part(&[folding.bits()]);
                parts.part(&digest);
            }
            None => parts.part(&request.facts.digest),
        }
        Self(parts.digest(secret))
    }

    /// The key of `message` among all that are keyed with `key`.
    pub fn keyed(key: &[u8; 32], message: &[u8]) -> Self {
        Self(*blake3::keyed_hash(key, message).as_bytes())
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

/// The parts of a key, each with its length: text glued together could be cut in two ways.
pub struct Parts(Vec<u8>);

impl Parts {
    /// Parts of a key of this `kind`, which no other kind's key is equal to.
    pub fn new(kind: &[u8]) -> Self {
        let mut parts = Self(Vec::with_capacity(512));
        parts.part(kind);
        parts
    }

    /// Adds a part.
    pub fn part(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// Adds who is asked, who may share the answer, and what selects its schema.
    pub fn whose(&mut self, request: &ApiRequest, account: &str, share: Share) {
        self.part(account.as_bytes());
        match share {
            Share::Credential => self.part(&request.identity.credential.0),
            Share::Tenant => self.part(request.identity.tenant.as_bytes()),
            Share::Everyone => self.part(b""),
        }
        // A tenant may be named like another's credential digest: the kind of scope is a part too.
        self.part(&[share as u8]);
        for name in &SELECTING {
            for value in request.head.headers.get_all(name) {
                self.part(name.as_str().as_bytes());
                self.part(value.as_bytes());
            }
        }
        self.part(query_asked(request.head.uri.query().unwrap_or_default()).as_bytes());
    }

    /// The keyed digest of all parts.
    pub fn digest(&self, secret: &Secret) -> [u8; 32] {
        *blake3::keyed_hash(&secret.0, &self.0).as_bytes()
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
