//! The smallest client that sees every byte: one request per connection, read to its end.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::demo::provider::{Behaviour, Provider};

/// A provider without obfuscation, so that chunks can be compared.
pub async fn provider() -> Provider {
    Provider::start(Behaviour { obfuscation: false, ..Behaviour::default() }).await.unwrap()
}

/// An answer as received.
pub struct Answer {
    pub status: u16,
    pub head: String,
    /// The body with its transfer coding removed; what follows a broken coding is lost.
    pub body: Vec<u8>,
    /// The body came to its proper end: the last chunk, or the length told.
    pub whole: bool,
    /// How the connection ended.
    pub end: std::io::Result<()>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The `data:` of every event, JSON where it is JSON.
    pub fn data(&self) -> Vec<Value> {
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned())))
            .collect()
    }
}

/// Posts JSON.
pub async fn post(provider: &Provider, path: &str, body: &Value) -> Answer {
    post_with(provider, path, "", body).await
}

/// Posts JSON with further header lines, each ending in CR LF.
pub async fn post_with(provider: &Provider, path: &str, headers: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    send(provider.address(), request.as_bytes()).await
}

/// Asks without a body.
pub async fn get(provider: &Provider, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n");
    send(provider.address(), request.as_bytes()).await
}

/// Sends bytes as they are and reads until the connection ends.
pub async fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A provider that refuses early may close before all is written.
    let _ = stream.write_all(request).await;
    let mut received = Vec::new();
    let end = stream.read_to_end(&mut received).await.map(drop);
    read(&received, end)
}

/// Takes an answer apart.
pub fn read(mut received: &[u8], end: std::io::Result<()>) -> Answer {
    let mut head = String::new();
    while let Some(length) = memchr::memmem::find(received, b"\r\n\r\n") {
        head.push_str(std::str::from_utf8(&received[..length]).unwrap());
        received = &received[length + 4..];
        if !head.starts_with("HTTP/1.1 1") || head.contains("HTTP/1.1 2") {
            break;
        }
        head.push_str("\r\n");
    }
    let line = head.lines().rev().find(|line| line.starts_with("HTTP/1.1 ")).unwrap_or_default();
    let status = line.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    let mut answer = Answer { status, head, body: Vec::new(), whole: false, end };
    if answer.header("transfer-encoding") == Some("chunked") {
        (answer.body, answer.whole) = dechunk(received);
    } else {
        answer.body = received.to_vec();
        answer.whole =
            answer.header("content-length").and_then(|length| length.parse().ok()) == Some(received.len());
    }
    answer
}

fn dechunk(mut coded: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = memchr::memmem::find(coded, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&coded[..end]).unwrap(), 16).unwrap();
        coded = &coded[end + 2..];
        if size == 0 {
            return (body, coded.ends_with(b"\r\n"));
        }
        if coded.len() < size + 2 {
            body.extend_from_slice(&coded[..coded.len().min(size)]);
            return (body, false);
        }
        body.extend_from_slice(&coded[..size]);
        coded = &coded[size + 2..];
    }
    (body, false)
}
