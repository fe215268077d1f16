//! A WebSocket that says back what it hears (RFC 6455), for `/v1/realtime`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, BufMut, BytesMut};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::wire::{Head, Wire};

/// RFC 6455, section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MAX_FRAME: u64 = 16 * 1024 * 1024;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// True for a request to become a WebSocket.
pub fn is_upgrade(head: &Head) -> bool {
    head.method == "GET" && head.header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
}

/// Shakes hands and echoes frames until the client closes.
pub async fn serve(mut wire: Wire, head: &Head) {
    let mut buffer = wire.take_ahead();
    let mut stream = wire.stream;
    if stream.write_all(handshake(head).as_bytes()).await.is_err() {
        return;
    }
    loop {
        let Some((opcode, frame)) = (match take_frame(&mut buffer) {
            Ok(frame) => frame,
            Err(TooLong) => return,
        }) else {
            match stream.read_buf(&mut buffer).await {
                Ok(read) if read > 0 => continue,
                _ => return,
            }
        };
        if opcode != PONG && stream.write_all(&frame).await.is_err() || opcode == CLOSE {
            return;
        }
    }
}

fn handshake(head: &Head) -> String {
    let key = head.header("sec-websocket-key").unwrap_or_default();
    let accept = BASE64_STANDARD.encode(Sha1::digest(format!("{key}{GUID}")));
    let offered = head.header("sec-websocket-protocol").and_then(|offer| offer.split(',').next());
    let protocol =
        offered.map_or(String::new(), |name| format!("sec-websocket-protocol: {}\r\n", name.trim()));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {accept}\r\n{protocol}\r\n"
    )
}

struct TooLong;

/// Takes one client frame off the buffer and returns its opcode and the frame that answers it: the same
/// without its mask, a pong for a ping.
fn take_frame(buffer: &mut BytesMut) -> Result<Option<(u8, BytesMut)>, TooLong> {
    let [first, second, ..] = **buffer else { return Ok(None) };
    let (header, length) = match second & 0x7f {
        126 if buffer.len() >= 4 => (4, u64::from(u16::from_be_bytes([buffer[2], buffer[3]]))),
        127 if buffer.len() >= 10 => (10, (&buffer[2..10]).get_u64()),
        126 | 127 => return Ok(None),
        short => (2, u64::from(short)),
    };
    if length > MAX_FRAME {
        return Err(TooLong);
    }
    let masked = second & 0x80 != 0;
    let start = header + if masked { 4 } else { 0 };
    let end = start + length as usize;
    if buffer.len() < end {
        return Ok(None);
    }
    let mut frame = buffer.split_to(end);
    if masked {
        let mask = [frame[header], frame[header + 1], frame[header + 2], frame[header + 3]];
        frame[start..].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
    let opcode = first & 0x0f;
    let mut echo = BytesMut::with_capacity(frame.len());
    echo.put_u8(if opcode == PING { (first & 0xf0) | PONG } else { first });
    echo.put_u8(second & 0x7f);
    echo.put_slice(&frame[2..header]);
    echo.put_slice(&frame[start..]);
    Ok(Some((opcode, echo)))
}
