//! The road to a provider: a call goes out, a reply comes back as a head and then frames.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::config::Provider;

/// One call to a provider, ready to be sent and owned by whoever flies it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where to: address, TLS and timeouts.
    pub provider: Arc<Provider>,
    /// The request method.
    pub method: Method,
    /// Path and query at the provider.
    pub target: String,
    /// End-to-end headers, `host` and framing aside: the road adds those.
    pub headers: HeaderMap,
    /// The whole request body.
    pub body: Bytes,
}

/// The first part of a reply.
#[derive(Clone, Debug)]
pub struct ReplyHead {
    /// The provider's status.
    pub status: StatusCode,
    /// End-to-end headers; hop-by-hop ones are already gone.
    pub headers: HeaderMap,
}

/// A reply under way. Dropping it hangs up on the provider.
pub struct Reply {
    /// Status and headers.
    pub head: ReplyHead,
    /// What follows.
    pub body: Box<dyn ReplyBody>,
}

/// The body of a reply, piece by piece as it arrives.
#[async_trait]
pub trait ReplyBody: Send + Sync {
    /// The next piece, or `None` at the proper end.
    ///
    /// # Errors
    /// A connection cut before the end, or silence longer than the provider's idle timeout.
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError>;
}

/// Something that can carry calls to providers.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Sends a call and waits for the head of its reply.
    ///
    /// # Errors
    /// No connection, no answer in time, or an answer that is not HTTP.
    async fn call(&self, call: &Call) -> Result<Reply, UpstreamError>;
}

/// What went wrong on the road.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection was made (refused, unreachable, name unknown, TLS refused): never billed.
    Connect,
    /// No connection within the connect timeout: never billed.
    ConnectTimeout,
    /// The connection broke before the head came: possibly billed.
    Closed,
    /// No head within the first-byte timeout: possibly billed.
    FirstByteTimeout,
    /// The body was cut before its end.
    Cut,
    /// The body fell silent for longer than the idle timeout.
    IdleTimeout,
    /// The whole exchange took longer than its total timeout.
    TotalTimeout,
    /// What came back is not HTTP.
    Protocol,
}

impl Fault {
    /// The name used in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Closed => "closed",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::Cut => "cut",
            Self::IdleTimeout => "idle_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::Protocol => "protocol",
        }
    }

    /// Whether time ran out, rather than something breaking.
    pub const fn is_timeout(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::FirstByteTimeout | Self::IdleTimeout | Self::TotalTimeout)
    }
}

/// A failed call, or a reply that failed half-way.
#[derive(Clone, Debug, thiserror::Error)]
pub struct UpstreamError {
    /// What kind of failure.
    pub fault: Fault,
    /// For people: what the operating system or the protocol said.
    pub detail: Arc<str>,
}

impl UpstreamError {
    /// A failure of this kind.
    pub fn new(fault: Fault, detail: impl Into<Arc<str>>) -> Self {
        Self { fault, detail: detail.into() }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault.name(), self.detail)
    }
}
