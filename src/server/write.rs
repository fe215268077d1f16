//! A response onto the wire: the one writer loop.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode, Version};
use pingora_core::protocols::http::ServerSession;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;

use crate::exchange::{ApiResponse, Outcome};
use crate::response::recording::Completed;
use crate::response::{Body, LiveBody, Next};

/// The provider broke off in the middle of its answer.
const BROKEN_OFF: ErrorType = ErrorType::new("AnswerBrokenOff");

/// Writes a response to its end.
///
/// # Errors
/// The client left, or the answer broke off: either way the connection is not to be used again,
/// nor ended as if all were well.
pub(super) async fn write(session: &mut ServerSession, response: ApiResponse) -> Result<()> {
    let ApiResponse { status, headers, body, exchange: mut settling } = response;
    match body {
        Body::Whole(bytes) => {
            write_whole(session, status, headers, bytes).await?;
            settling.exchange.cut = false;
            Ok(())
        }
        Body::Live(mut live) => {
            write_live_head(session, status, headers).await?;
            let done = match write_live(session, &mut live).await {
                Err(error) if error.etype() == &BROKEN_OFF => {
                    settling.exchange.outcome = Outcome::Error;
                    settling.exchange.unresumed = live.unresumed();
                    return Err(error);
                }
                ended => ended?,
            };
            settling.exchange.cut = false;
            if let Some(done) = done {
                settling.exchange.usage = done.usage;
                settling.exchange.cost = done.cost;
                settling.exchange.resumed = done.resumed;
            }
            Ok(())
        }
    }
}

/// Writes a head and all of its body at once.
///
/// # Errors
/// The client left.
pub(super) async fn write_whole(
    session: &mut ServerSession,
    status: StatusCode,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<()> {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    session.write_response_header(Box::new(header(status, headers))).await?;
    session.write_response_body(body, true).await
}

async fn write_live_head(
    session: &mut ServerSession,
    status: StatusCode,
    mut headers: HeaderMap,
) -> Result<()> {
    if session.req_header().version == Version::HTTP_11 {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    session.write_response_header(Box::new(header(status, headers))).await
}

async fn write_live(session: &mut ServerSession, live: &mut LiveBody) -> Result<Option<Completed>> {
    loop {
        let next = tokio::select! {
            biased;
            next = live.next() => next,
            gone = session.read_body_or_idle(true) => return Err(left(gone)),
        };
        match next {
            Next::Bytes(bytes) => session.write_response_body(bytes, false).await?,
            Next::End(done) => {
                session.write_response_body(Bytes::new(), true).await?;
                return Ok(done);
            }
            Next::Broken(last_words, error) => {
                if !last_words.is_empty() {
                    session.write_response_body(last_words, false).await?;
                }
                return Error::e_explain(BROKEN_OFF, error.to_string());
            }
        }
    }
}

/// The client is gone, or sent what it may not.
pub(super) fn left(read: Result<Option<Bytes>>) -> Box<Error> {
    match read {
        Err(error) => error,
        Ok(_) => Error::explain(ErrorType::ConnectionClosed, "the client sent more than its request"),
    }
}

fn header(status: StatusCode, headers: HeaderMap) -> ResponseHeader {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = status;
    parts.headers = headers;
    ResponseHeader::from(parts)
}
