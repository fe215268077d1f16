//! A client that writes bytes as they are and sees how a connection ends.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::within;

/// One connection.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

/// One answer read off a connection.
#[derive(Debug)]
pub struct Received {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name))?;
        Some(std::str::from_utf8(value).unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), received: Vec::new() }
    }

    /// Writes; an error (the other side has closed already) shows in what is read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within("a write", self.stream.write_all(bytes.as_ref())).await;
    }

    /// Writes, and says whether the other side still takes it.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("a write", self.stream.write_all(bytes)).await
    }

    /// Reads the next answer with its body; one without framing is read to the connection's end.
    ///
    /// # Errors
    /// The connection ended before the answer did.
    pub async fn answer(&mut self) -> io::Result<Received> {
        self.answer_to("GET").await
    }

    /// As [`Raw::answer`], for a method whose answers may have no body.
    pub async fn answer_to(&mut self, method: &str) -> io::Result<Received> {
        let mut answer = self.head().await?;
        if method == "HEAD" || answer.status < 200 || matches!(answer.status, 204 | 304) {
            return Ok(answer);
        }
        answer.body = if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks().await?
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            self.take(length).await?
        } else {
            self.end().await?
        };
        Ok(answer)
    }

    async fn head(&mut self) -> io::Result<Received> {
        let length = loop {
            if let Some(at) = memchr::memmem::find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.received.drain(..length).collect();
        let mut fields = vec![httparse::EMPTY_HEADER; 256];
        let mut parsed = httparse::Response::new(&mut fields);
        assert!(parsed.parse(&head).is_ok_and(|read| read.is_complete()), "no HTTP head");
        let headers = parsed.headers.iter().map(|field| (field.name.to_owned(), field.value.to_vec()));
        Ok(Received { status: parsed.code.unwrap(), headers: headers.collect(), body: Vec::new() })
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(line.split(';').next().unwrap().trim(), 16).unwrap();
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size).await?);
            assert_eq!(self.line().await?, "", "a chunk is longer than it says");
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.received, b"\r\n") {
                let line = self.received.drain(..at + 2).take(at).collect();
                return Ok(String::from_utf8(line).unwrap());
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < length {
            self.more().await?;
        }
        Ok(self.received.drain(..length).collect())
    }

    /// Everything until the other side closes.
    ///
    /// # Errors
    /// It resets instead.
    pub async fn end(&mut self) -> io::Result<Vec<u8>> {
        within("the end of a connection", self.stream.read_to_end(&mut self.received)).await?;
        Ok(std::mem::take(&mut self.received))
    }

    /// Waits until the other side has closed or reset the connection without another word.
    pub async fn closed(&mut self) {
        if let Ok(rest) = self.end().await {
            assert!(rest.is_empty(), "more came: {}", String::from_utf8_lossy(&rest));
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        let read = within("bytes", self.stream.read_buf(&mut self.received)).await?;
        if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}
