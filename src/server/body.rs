//! Reads the body of an understood request, within its bound and its time.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use tokio::time::{Duration, timeout};

use crate::error::ApiError;

/// What reading came to.
pub(super) enum Body {
    /// All of it.
    Whole(Bytes),
    /// It is refused; the connection cannot be used again, as the rest of the body is unread.
    Refused(ApiError),
}

/// Reads the whole body, at most `most` bytes in at most `within`.
///
/// # Errors
/// The client broke off.
pub(super) async fn read(session: &mut ServerSession, most: u64, within: Duration) -> Result<Body> {
    let header = session.req_header();
    let declared: Option<u64> =
        header.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length| length > most) {
        return Ok(Body::Refused(ApiError::too_large(most)));
    }
    let expects = header
        .headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if expects {
        send_continue(session).await?;
    }
    match timeout(within, read_all(session, declared, most)).await {
        Ok(read) => read,
        Err(_) => Ok(Body::Refused(ApiError::slow_body())),
    }
}

/// Pingora would close the connection after a response that comes before the body's end, and takes
/// the 100 for one.
async fn send_continue(session: &mut ServerSession) -> Result<()> {
    session.set_close_on_response_before_downstream_finish(false);
    session.write_continue_response().await?;
    session.set_close_on_response_before_downstream_finish(true);
    Ok(())
}

async fn read_all(session: &mut ServerSession, declared: Option<u64>, most: u64) -> Result<Body> {
    let Some(first) = session.read_request_body().await? else { return Ok(Body::Whole(Bytes::new())) };
    if Some(first.len() as u64) == declared {
        return Ok(Body::Whole(first));
    }
    // What the client declares is a hint, not a reason to allocate before it has sent anything.
    let room = declared.unwrap_or(0).min(1 << 20);
    let mut whole = BytesMut::with_capacity(usize::try_from(room).unwrap_or(0).max(first.len()));
    let mut next = Some(first);
    while let Some(piece) = next {
        if (whole.len() + piece.len()) as u64 > most {
            return Ok(Body::Refused(ApiError::too_large(most)));
        }
        if let Some(declared) = declared
            && whole.capacity() < whole.len() + piece.len()
        {
            // Room for exactly the rest: doubling would hold three times a large body.
            let rest = usize::try_from(declared).unwrap_or(0).saturating_sub(whole.len());
            whole.reserve(rest.max(piece.len()));
        }
        whole.extend_from_slice(&piece);
        next = session.read_request_body().await?;
    }
    Ok(Body::Whole(whole.freeze()))
}
