//! One understood request: what was asked, by whom, and what makes another request the same one.

pub mod cache_control;
pub mod content;
pub mod conversation;
pub mod endpoint;
pub mod explanation;
pub mod facts;
mod folded;
pub mod identity;
pub mod key;
pub mod memo;
pub mod plan;
pub mod turns;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use cache_control::CacheControl;
use endpoint::{Endpoint, gemini_model};
use facts::Facts;
use identity::{Credential, Identity};

/// One request to an understood endpoint, its body read. It borrows the head it came with: a
/// cache hit copies none of it.
pub struct ApiRequest<'h> {
    /// Which call this is.
    pub endpoint: Endpoint,
    /// Method, URI and headers as the client sent them.
    pub head: &'h Parts,
    /// The body as the client sent it.
    pub body: Bytes,
    /// What the body says.
    pub facts: Arc<Facts>,
    /// Who asks.
    pub identity: Identity,
    /// What the client wants of the cache.
    pub control: CacheControl,
    /// How many times the client's SDK has tried this before (`x-stainless-retry-count`).
    pub retries: u32,
}

impl ApiRequest<'_> {
    /// The model asked for: named in the body, or in a Gemini path.
    pub fn model(&self) -> Option<&str> {
        let in_path = || gemini_model(self.head.uri.path()).map(|(model, _)| model);
        self.facts.model.as_deref().or_else(in_path)
    }

    /// Whether the client wants events rather than one JSON body.
    pub fn wants_stream(&self) -> bool {
        match self.endpoint {
            Endpoint::Generate => self.head.uri.path().ends_with(":streamGenerateContent"),
            _ => self.facts.stream,
        }
    }

    /// The vector store a search reads.
    pub fn vector_store(&self) -> Option<&str> {
        vector_store(self.head.uri.path())
    }

    /// Who asks, as a keyed digest.
    pub fn credential(&self) -> Credential {
        self.identity.credential
    }
}

/// The vector store that a path `/v1/vector_stores/{id}[/…]` is about.
pub fn vector_store(path: &str) -> Option<&str> {
    path.strip_prefix("/v1/vector_stores/")?.split('/').next().filter(|id| !id.is_empty())
}
