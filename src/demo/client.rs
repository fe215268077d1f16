//! The demo's own small HTTP/1.1 client: one call, one connection, to a server on this machine.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MAX_HEADERS: usize = 128;

/// A whole answer.
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, without its transfer coding.
    pub body: Vec<u8>,
}

/// Sends a request and reads the whole answer; `headers` are lines that end in CR LF.
pub async fn call(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> Result<Response> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    stream.write_all(&request).await?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await?;
    parse(&received)
}

fn parse(received: &[u8]) -> Result<Response> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = head.parse(received) else {
        return Err(broken("the answer has no proper head"));
    };
    let mut response =
        Response { status: head.code.unwrap_or(0), headers: HeaderMap::new(), body: Vec::new() };
    for header in head.headers.iter() {
        if let (Ok(name), Ok(value)) =
            (header.name.parse::<HeaderName>(), HeaderValue::from_bytes(header.value))
        {
            response.headers.append(name, value);
        }
    }
    let body = &received[length..];
    let chunked = response.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    response.body = if chunked { dechunk(body)? } else { body.to_vec() };
    let told =
        response.headers.get("content-length").and_then(|told| told.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told != response.body.len()) {
        return Err(broken("the body is not as long as told"));
    }
    Ok(response)
}

fn dechunk(mut coded: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(coded) else {
            return Err(broken("the body was cut short"));
        };
        if size == 0 {
            return Ok(body);
        }
        let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
        let (Some(chunk), Some(rest)) =
            (end.and_then(|end| coded.get(start..end)), end.and_then(|end| coded.get(end.checked_add(2)?..)))
        else {
            return Err(broken("the body was cut short"));
        };
        body.extend_from_slice(chunk);
        coded = rest;
    }
}

fn broken(what: &'static str) -> Error {
    Error::new(ErrorKind::UnexpectedEof, what)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn whole_answers_are_read_and_cut_ones_are_errors() {
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx: 1\r\n\r\n3\r\nabc\r\n1;e\r\nd\r\n0\r\n\r\n";
        let response = parse(chunked).unwrap();
        assert_eq!((response.status, response.body.as_slice()), (200, b"abcd".as_slice()));
        assert_eq!(response.headers["x"], "1");
        for end in 0..chunked.len() - 4 {
            assert!(parse(&chunked[..end]).is_err(), "{end}");
        }
        assert_eq!(parse(b"HTTP/1.1 404 N\r\ncontent-length: 2\r\n\r\nno").unwrap().body, b"no");
        assert!(parse(b"HTTP/1.1 404 N\r\ncontent-length: 3\r\n\r\nno").is_err());
        assert!(
            parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nab").is_err()
        );
    }
}
