//! The real road to a provider, over Pingora's connectors, pools and TLS.

mod roots;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, Uri, Version};
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType};
use pingora_http::RequestHeader;

use super::connections::{Active, Connections};
use super::resolver::Resolver;
use super::upstream::{Call, Fault, Reply, ReplyBody, ReplyHead, Upstream, UpstreamError};
use crate::config::{Http2, Provider, Scheme};

/// Idle connections kept for reuse, over all providers.
const POOL_SIZE: usize = 2048;
/// Streams shared by one HTTP/2 connection; a provider's own lower bound is honoured.
const H2_STREAMS: usize = 100;
/// What an HTTP/2 provider may send ahead of a reader, per stream and per connection. Pingora's
/// 8 MB would let a slow reader buffer that much.
const H2_WINDOW: u32 = 1 << 20;
/// Idle connections are closed before most providers' own limit of about a minute would cut them
/// in the middle of our next request.
const POOL_IDLE: Duration = Duration::from_secs(50);
/// A request body goes out in pieces of this size, so that an early refusal is seen before
/// megabytes are wasted on it.
const BODY_PIECE: usize = 64 * 1024;
/// How often a call is repeated because the pooled connection it took turned out closed.
const STALE_CONNECTIONS: usize = 3;

/// Hop-by-hop fields of a reply (RFC 9110 section 7.6.1); `connection` may name more.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Carries calls over real connections.
pub struct PingoraUpstream {
    road: Arc<Road>,
}

struct Road {
    connector: Connector,
    resolver: Arc<Resolver>,
    connections: Arc<Connections>,
}

impl PingoraUpstream {
    /// A road with its own pool of connections. `connections` counts them.
    pub fn new(resolver: Arc<Resolver>, connections: Arc<Connections>) -> Self {
        let connector = Connector::new(Some(ConnectorOptions::new(POOL_SIZE)));
        Self { road: Arc::new(Road { connector, resolver, connections }) }
    }
}

/// The peer behind one address of a provider, with its TLS, timeouts and HTTP versions.
pub fn peer(provider: &Provider, address: SocketAddr) -> HttpPeer {
    let tls = provider.url.scheme == Scheme::Https;
    let mut peer = HttpPeer::new(address, tls, provider.url.host.clone());
    let options = &mut peer.options;
    options.connection_timeout = Some(provider.timeouts.connect);
    options.total_connection_timeout = Some(provider.timeouts.connect);
    options.write_timeout = Some(provider.timeouts.idle);
    options.idle_timeout = Some(POOL_IDLE);
    options.max_h2_streams = H2_STREAMS;
    options.h2_stream_window_size = Some(H2_WINDOW);
    options.h2_connection_window_size = Some(H2_WINDOW * 4);
    match (provider.http2, tls) {
        (Http2::Only, _) => options.set_http_version(2, 2),
        (Http2::Auto, true) => options.set_http_version(2, 1),
        (Http2::Auto, false) | (Http2::Off, _) => options.set_http_version(1, 1),
    }
    if tls {
        options.ca = roots::bundled_if_needed();
    }
    peer
}

#[async_trait]
impl Upstream for PingoraUpstream {
    async fn call(&self, call: &Call) -> Result<Reply, UpstreamError> {
        let addresses =
            self.road.resolver.resolve(&call.provider.url.host, call.provider.url.port).await.map_err(
                |error| UpstreamError::new(Fault::Connect, format!("{}: {error}", call.provider.url.host)),
            )?;
        let mut stale = 0;
        let mut addresses = addresses.iter().copied().peekable();
        let mut address = addresses.next();
        while let Some(current) = address {
            let peer = Box::new(peer(&call.provider, current));
            let failure = match self.road.attempt(call, peer).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let unreachable = matches!(failure.error.fault, Fault::Connect | Fault::ConnectTimeout);
            if failure.stale && stale < STALE_CONNECTIONS {
                stale += 1;
            } else if unreachable && addresses.peek().is_some() {
                address = addresses.next();
            } else {
                return Err(failure.error);
            }
        }
        Err(UpstreamError::new(Fault::Connect, "the provider's name has no address"))
    }
}

struct Failure {
    error: UpstreamError,
    /// A pooled connection broke before a byte of the reply came: the provider closed it while
    /// idle, so it has not seen this request.
    stale: bool,
}

impl Road {
    async fn attempt(self: &Arc<Self>, call: &Call, peer: Box<HttpPeer>) -> Result<Reply, Failure> {
        let connected = self.connector.get_http_session(&*peer).await;
        let (session, reused) =
            connected.map_err(|error| Failure { error: connect_error(&error), stale: false })?;
        // Boxed at once: it is kilobytes, and every future it waits in would carry them.
        let mut session = Box::new(session);
        self.connections.opened(reused);
        let active = self.connections.active(&call.provider.name);
        session.set_write_timeout(Some(call.provider.timeouts.idle));
        exchange_heads(&mut session, call)
            .await
            .map_err(|error| Failure { stale: reused && error.fault == Fault::Closed, error })?;
        let Some(answer) = session.response_header() else {
            return Err(Failure { error: UpstreamError::new(Fault::Protocol, "no header"), stale: false });
        };
        let head = ReplyHead { status: answer.status, headers: end_to_end(&answer.headers) };
        session.set_read_timeout(Some(call.provider.timeouts.idle));
        let body = PingoraBody { road: self.clone(), peer, session: Some(session), _active: active };
        Ok(Reply { head, body: Box::new(body) })
    }
}

/// Sends the request and reads up to the final header.
async fn exchange_heads(session: &mut HttpSession, call: &Call) -> Result<(), UpstreamError> {
    let header = request_header(call, matches!(session, HttpSession::H2(_)))
        .map_err(|error| UpstreamError::new(Fault::Protocol, error.to_string()))?;
    let first_byte = call.provider.timeouts.first_byte;
    let sent = async {
        session.write_request_header(Box::new(header)).await?;
        let mut rest = call.body.clone();
        while !rest.is_empty() {
            if rest.len() < call.body.len() && refused_early(session).await {
                return Ok(());
            }
            let piece = rest.split_to(rest.len().min(BODY_PIECE));
            session.write_request_body(piece, rest.is_empty()).await?;
        }
        session.finish_request_body().await
    }
    .await;
    // A provider may refuse and close while we still write: its answer counts, not the write.
    session.set_read_timeout(Some(first_byte));
    let deadline = tokio::time::Instant::now() + first_byte;
    loop {
        let read = tokio::time::timeout_at(deadline, session.read_response_header()).await;
        match read {
            Err(_) => {
                return Err(UpstreamError::new(
                    Fault::FirstByteTimeout,
                    format!("no answer within {first_byte:?}"),
                ));
            }
            Ok(Err(error)) => return Err(head_error(sent.as_ref().err().unwrap_or(&error))),
            Ok(Ok(())) => {}
        }
        if session.response_header().is_some_and(|head| !head.status.is_informational()) {
            return Ok(());
        }
    }
}

/// Whether an answer has come although the body is not yet sent.
async fn refused_early(session: &mut HttpSession) -> bool {
    let look = tokio::time::timeout(Duration::ZERO, session.read_response_header()).await;
    look.is_ok() && session.response_header().is_some_and(|head| !head.status.is_informational())
}

fn request_header(call: &Call, h2: bool) -> Result<RequestHeader, Box<Error>> {
    let mut request = RequestHeader::build_no_case(
        call.method.clone(),
        call.target.as_bytes(),
        Some(call.headers.len() + 2),
    )?;
    for (name, value) in &call.headers {
        request.append_header(name.clone(), value.clone())?;
    }
    if h2 {
        request.set_version(Version::HTTP_2);
        let uri = Uri::builder()
            .scheme(if call.provider.url.scheme == Scheme::Https { "https" } else { "http" })
            .authority(call.provider.url.authority.as_str())
            .path_and_query(call.target.as_str())
            .build()
            .map_err(|error| Error::because(ErrorType::InvalidHTTPHeader, "target", error))?;
        request.set_uri(uri);
    } else {
        request.insert_header(header::HOST, call.provider.url.authority.as_str())?;
    }
    request.insert_header(header::CONTENT_LENGTH, itoa::Buffer::new().format(call.body.len()))?;
    Ok(request)
}

/// The headers meant for us and those behind us, without those of this one connection.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for named in headers.get_all(header::CONNECTION) {
        for name in named.to_str().unwrap_or_default().split(',') {
            kept.remove(name.trim());
        }
    }
    for name in &HOP_BY_HOP {
        kept.remove(name);
    }
    kept
}

fn connect_error(error: &Error) -> UpstreamError {
    let fault = match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Fault::ConnectTimeout,
        _ => Fault::Connect,
    };
    UpstreamError::new(fault, error.to_string())
}

fn head_error(error: &Error) -> UpstreamError {
    let fault = match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => Fault::FirstByteTimeout,
        ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2 => Fault::Protocol,
        _ => Fault::Closed,
    };
    UpstreamError::new(fault, error.to_string())
}

fn body_error(error: &Error) -> UpstreamError {
    let fault = match error.etype() {
        ErrorType::ReadTimedout => Fault::IdleTimeout,
        _ => Fault::Cut,
    };
    UpstreamError::new(fault, error.to_string())
}

struct PingoraBody {
    road: Arc<Road>,
    peer: Box<HttpPeer>,
    /// Gone once the connection is back in the pool. Dropping it instead closes the connection
    /// or resets the stream: that is how a call is cancelled.
    session: Option<Box<HttpSession>>,
    _active: Active,
}

#[async_trait]
impl ReplyBody for PingoraBody {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let Some(session) = self.session.as_mut() else { return Ok(None) };
        loop {
            match session.read_response_body().await {
                Ok(Some(piece)) if piece.is_empty() => {}
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) => break,
                Err(error) => return Err(body_error(&error)),
            }
        }
        if let Some(session) = self.session.take() {
            self.road.connector.release_http_session(*session, &*self.peer, Some(POOL_IDLE)).await;
        }
        Ok(None)
    }
}
