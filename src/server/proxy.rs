//! Pingora's phases: what is understood goes through the gateway; all else passes as it is.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use http::header;
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use super::{Active, Shared, body, connection, write};
use crate::error::ApiError;
use crate::gateway::{Gateway, Refusal};
use crate::io::pingora::peer;
use crate::io::upstream::{Fault, UpstreamError};
use crate::request::endpoint::Endpoint;
use crate::response::headers::{RULE, of_error};
use crate::route::{Account, outbound};

/// The shell around the gateway.
pub struct Proxy {
    shared: Arc<Shared>,
}

/// What one request carries through the phases.
pub struct Context {
    /// Held so that a drain waits for this request.
    _active: Active,
    /// The generation this request is served by, to its end.
    gateway: Arc<Gateway>,
    passing: Option<Passing>,
}

/// A request that passes through unread.
struct Passing {
    account: Arc<Account>,
    addresses: Arc<[SocketAddr]>,
    tried: usize,
    status: u16,
}

impl Proxy {
    /// A shell that serves with whatever generation `shared` holds.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn serve(&self, session: &mut Session, context: &Context, endpoint: Endpoint) -> Result<()> {
        let gateway = &context.gateway;
        let settings = &gateway.config;
        // The module chain between is empty.
        let client = &mut session.downstream_session;
        let body = match body::read(client, settings.max_body, settings.client.body).await? {
            body::Body::Whole(body) => body,
            body::Body::Refused(error) => {
                client.set_keepalive(None);
                return refuse(client, &error).await;
            }
        };
        let head = take_head(client)?;
        let request = gateway.request(endpoint, &head, body).await;
        let response = tokio::select! {
            biased;
            response = gateway.serve(request) => response,
            gone = client.read_body_or_idle(true) => return Err(write::left(gone)),
        };
        write::write(client, response).await
    }
}

/// Takes the request's head out of the session, which is needed to see the client leave while the
/// head is in use. Framing of the response depends on method and version only.
fn take_head(client: &mut pingora_core::protocols::http::ServerSession) -> Result<http::request::Parts> {
    let header = client.req_header_mut();
    let mut rest = RequestHeader::build_no_case(header.method.clone(), b"/", Some(0))?;
    rest.set_version(header.version);
    Ok(std::mem::replace(header, rest).into())
}

async fn refuse(client: &mut pingora_core::protocols::http::ServerSession, error: &ApiError) -> Result<()> {
    write::write_whole(client, error.status, of_error(error), error.body()).await
}

/// Refuses a request whose body stays unread: nothing may follow on its connection.
async fn deny(session: &mut Session, refusal: &Refusal) -> Result<()> {
    let client = &mut session.downstream_session;
    client.set_keepalive(None);
    let mut headers = of_error(&refusal.error);
    if let Ok(rule) = http::HeaderValue::from_str(&refusal.rule) {
        headers.insert(RULE, rule);
    }
    write::write_whole(client, refusal.error.status, headers, refusal.error.body()).await
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context { _active: self.shared.enter(), gateway: self.shared.gateway.load_full(), passing: None }
    }

    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut Context) -> Result<()> {
        connection::header_arrived();
        let limits = context.gateway.config.client;
        let client = &mut session.downstream_session;
        if !self.shared.is_draining() && client.get_keepalive().is_some() {
            client.set_keepalive(Some(limits.idle.as_secs().max(1)));
        }
        client.set_write_timeout(Some(limits.write));
        if has_two_framings(client) {
            client.set_keepalive(None);
            refuse(client, &ApiError::two_framings()).await?;
            return Error::e_explain(ErrorType::InvalidHTTPHeader, "Content-Length beside Transfer-Encoding");
        }
        if client.req_header().headers.contains_key(header::TRANSFER_ENCODING) {
            // Pingora reads an empty chunk size as the last chunk. What follows on the connection may
            // not be the request it looks like (RFC 9112 section 11.2), so nothing follows.
            client.set_keepalive(None);
        } else {
            client.set_pipelining_enabled(true);
        }
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        // Decided before the body is touched: Pingora cannot proxy a body that was read here.
        match context.gateway.understands(session.req_header()) {
            Some(endpoint) => self.serve(session, context, endpoint).await.map(|()| true),
            None => match context.gateway.refuses(session.req_header()) {
                Some(refusal) => deny(session, &refusal).await.map(|()| true),
                None => Ok(false),
            },
        }
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Context) -> Result<Box<HttpPeer>> {
        let passing = match &mut context.passing {
            Some(passing) => {
                passing.tried += 1;
                passing
            }
            unset => {
                let account = context.gateway.passes_to(session.req_header().uri.path());
                let account = account
                    .ok_or_else(|| Error::explain(ErrorType::InternalError, "no provider is configured"))?;
                unset.insert(Passing {
                    account: account.clone(),
                    addresses: Arc::default(),
                    tried: 0,
                    status: 0,
                })
            }
        };
        if passing.addresses.is_empty() {
            let url = &passing.account.provider.url;
            let resolved = self.shared.resolver.resolve(&url.host, url.port).await;
            passing.addresses =
                resolved.map_err(|error| Error::because(ErrorType::ConnectError, "name look-up", error))?;
        }
        let address = passing.addresses[passing.tried % passing.addresses.len()];
        let mut peer = peer(&passing.account.provider, address);
        let timeouts = passing.account.provider.timeouts;
        if session.is_upgrade_req() {
            // A conversation may pause for as long as it likes.
            session.downstream_session.set_read_timeout(None);
        } else {
            peer.options.read_timeout = Some(timeouts.first_byte.max(timeouts.idle));
        }
        Ok(Box::new(peer))
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        reused: bool,
        _: &HttpPeer,
        #[cfg(unix)] _: std::os::unix::io::RawFd,
        _: Option<&Digest>,
        _: &mut Context,
    ) -> Result<()> {
        self.shared.connections.opened(reused);
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let Some(passing) = &context.passing {
            error.set_retry(passing.tried + 1 < passing.addresses.len());
        }
        error
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        let Some(passing) = &context.passing else { return Ok(()) };
        let account = &passing.account;
        let provider = &account.provider;
        request.set_raw_path(outbound::target(provider, &request.uri).as_bytes())?;
        request.insert_header(header::HOST, provider.url.authority.as_str())?;
        for name in [header::CACHE_CONTROL, header::PRAGMA] {
            request.remove_header(&name);
        }
        if let Some((name, value)) =
            account.key(account.turn()).and_then(|key| outbound::credential(provider, key))
        {
            for name in &crate::request::identity::CREDENTIAL_FIELDS {
                request.remove_header(name);
            }
            request.insert_header(name, value)?;
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        // Pingora closes the connection after an answer that comes before the body's end, and takes
        // the `100 Continue` that asks for the body for one.
        let last = !response.status.is_informational();
        session.downstream_session.set_close_on_response_before_downstream_finish(last);
        if let Some(passing) = &mut context.passing {
            passing.status = response.status.as_u16();
        }
        Ok(())
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        let client = &mut session.downstream_session;
        let Some(passing) = &context.passing else {
            client.set_keepalive(None);
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        if client.response_written().is_none() && error.esource() != &ErrorSource::Downstream {
            let answer = ApiError::upstream(
                &passing.account.name,
                &UpstreamError::new(fault(error), error.to_string()),
            );
            client.set_keepalive(None);
            // The client may be gone as well: then there is nobody to tell.
            let _ = refuse(client, &answer).await;
            return FailToProxy { error_code: answer.status.as_u16(), can_reuse_downstream: false };
        }
        FailToProxy { error_code: 0, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, context: &mut Context) {
        if let Some(passing) = &context.passing {
            let header = session.req_header();
            context.gateway.wrote(&header.method, header.uri.path());
            let mut digits = itoa::Buffer::new();
            let labels = [&*passing.account.name, digits.format(passing.status)];
            context.gateway.kept().telemetry.metrics.passed.with_label_values(&labels).inc();
        }
    }

    fn suppress_error_log(&self, _: &Session, _: &Context, error: &Error) -> bool {
        // Clients come and go; what the provider does wrong is in metrics and in the answer.
        let _ = error;
        true
    }
}

/// Whether a request tells the end of its body in two ways. Pingora takes the length out where there
/// are chunks as well, so that only the bytes as they came show it.
fn has_two_framings(client: &pingora_core::protocols::http::ServerSession) -> bool {
    const LENGTH: &[u8] = b"content-length";
    let named = |line: &[u8]| line.get(..LENGTH.len()).is_some_and(|name| name.eq_ignore_ascii_case(LENGTH));
    client.req_header().headers.contains_key(header::TRANSFER_ENCODING)
        && client.to_h1_raw().split(|byte| *byte == b'\n').any(named)
}

/// A failure in Pingora's own phases, in our words.
fn fault(error: &Error) -> Fault {
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Fault::ConnectTimeout,
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => Fault::FirstByteTimeout,
        ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed => Fault::Closed,
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::H2Error | ErrorType::InvalidH2 => {
            Fault::Protocol
        }
        _ => Fault::Connect,
    }
}
