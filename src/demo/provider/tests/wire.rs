//! Framing, keep-alive, uploads, the echo and the WebSocket.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use super::client::{get, provider, read, send};
use crate::demo::provider::{Behaviour, Hold, Provider};
use crate::request::endpoint::Endpoint;

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_on_one_connection() {
    let provider = provider().await;
    let requests = "GET /v1/echo?n=1 HTTP/1.1\r\nhost: s\r\n\r\n\
                    POST /v1/echo?n=2 HTTP/1.1\r\nhost: s\r\ntransfer-encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n2;x=y\r\nde\r\n0\r\ntrailer: t\r\n\r\n\
                    GET /v1/echo?n=3 HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n";
    let received = send(provider.address(), requests.as_bytes()).await;
    let text = String::from_utf8(received.body).unwrap();
    let at = |n: u32| text.find(&format!("echo?n={n}")).unwrap();
    assert!(at(1) < at(2) && at(2) < at(3));
    assert!(text.contains("\"body_length\":5"));
    assert!(text.contains(blake3::hash(b"abcde").to_hex().as_str()));
    assert_eq!((provider.connections(), provider.total()), (1, 3));
}

#[tokio::test]
async fn the_echo_says_what_arrived() {
    let provider = provider().await;
    let request = "PATCH /v1/echo?a=%20b&c HTTP/1.1\r\nHost: s\r\nX-Odd-Case: 1\r\nx-odd-case: 2\r\nconnection: close\r\n\r\n";
    let echo = send(provider.address(), request.as_bytes()).await.json();
    assert_eq!(echo["method"], "PATCH");
    assert_eq!(echo["target"], "/v1/echo?a=%20b&c");
    assert_eq!(echo["headers"][1], json!(["X-Odd-Case", "1"]));
    assert_eq!(echo["headers"][2], json!(["x-odd-case", "2"]));
    assert_eq!(get(&provider, "/v1/echo?status=418").await.status, 418);
    let empty = get(&provider, "/v1/echo?status=204").await;
    assert!(empty.header("content-length").is_none() && empty.body.is_empty());
    assert_eq!(get(&provider, "/v1/echo?bytes=1000001").await.body.len(), 1_000_001);
}

#[tokio::test]
async fn an_upload_is_counted_and_hashed_not_kept() {
    let provider = provider().await;
    let file = vec![b'x'; 3_000_000];
    let head = "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
                --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n";
    let body = [head.as_bytes(), &file, b"\r\n--b--\r\n"].concat();
    let line = format!(
        "POST /v1/files HTTP/1.1\r\nhost: s\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(provider.address()).await.unwrap();
    stream.write_all(line.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body).await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    let object = read(&received, Ok(())).json();
    assert_eq!(object["bytes"], body.len());
    assert_eq!(object["blake3"], blake3::hash(&body).to_hex().as_str());
    assert_eq!((&object["filename"], &object["purpose"]), (&json!("a.jsonl"), &json!("batch")));
    let call = &provider.calls()[0];
    assert_eq!(call.body_length, body.len() as u64);
    assert!(call.body.len() <= 64 * 1024);
}

#[tokio::test]
async fn smuggling_is_refused() {
    let provider = provider().await;
    for lines in [
        "content-length: 3\r\ntransfer-encoding: chunked",
        "content-length: 3\r\ncontent-length: 4",
        "content-length: -1",
    ] {
        let request = format!("POST /v1/echo HTTP/1.1\r\nhost: s\r\n{lines}\r\n\r\nabc");
        assert_eq!(send(provider.address(), request.as_bytes()).await.status, 400, "{lines}");
    }
}

#[tokio::test]
async fn http_1_0_gets_no_chunks() {
    let provider = provider().await;
    let body =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let request =
        format!("POST /v1/chat/completions HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let answer = send(provider.address(), request.as_bytes()).await;
    assert!(answer.header("transfer-encoding").is_none());
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn calls_are_recorded_and_counted() {
    let provider = provider().await;
    let body = json!({"model": "m", "input": "a"});
    super::client::post_with(&provider, "/v1/embeddings", "X-Mine: 7\r\n", &body).await;
    let call = provider.calls().pop().unwrap();
    assert_eq!((call.method.as_str(), call.path()), ("POST", "/v1/embeddings"));
    assert_eq!((call.header("x-mine"), call.json()), (Some("7"), body));
    assert_eq!((provider.count(Endpoint::Embeddings), provider.count(Endpoint::Chat)), (1, 0));
}

#[tokio::test]
async fn a_held_stream_stops_where_told_and_goes_on() {
    let provider = provider().await;
    provider.hold(Hold::AfterEvents(2));
    let body =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: s\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(provider.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    while memchr::memmem::find_iter(&received, b"data: ").count() < 2 || !received.ends_with(b"\n\n\r\n") {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
    }
    assert_eq!(memchr::memmem::find_iter(&received, b"data: ").count(), 2);
    provider.release();
    stream.read_to_end(&mut received).await.unwrap();
    assert!(read(&received, Ok(())).text().ends_with("[DONE]\n\n"));
}

#[tokio::test]
async fn a_client_that_leaves_a_held_answer_is_noticed() {
    let provider = provider().await;
    provider.hold(Hold::BeforeHead);
    let mut stream = TcpStream::connect(provider.address()).await.unwrap();
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: s\r\n\r\n").await.unwrap();
    provider.received(1).await;
    drop(stream);
    provider.left(1).await;
    assert_eq!(provider.hung_up(), 1);
}

#[tokio::test]
async fn a_stopped_provider_refuses_and_comes_back_on_its_port() {
    let provider = Provider::start(Behaviour::default()).await.unwrap();
    provider.stop().await;
    assert!(TcpStream::connect(provider.address()).await.is_err());
    provider.restart().await.unwrap();
    assert_eq!(get(&provider, "/v1/models").await.status, 200);
    let address = provider.address();
    drop(provider);
    // The port closes as soon as the runtime gets to it.
    while TcpStream::connect(address).await.is_ok() {}
}

#[tokio::test]
async fn the_websocket_says_back_what_it_hears() {
    let provider = provider().await;
    let url = format!("ws://{}/v1/realtime?model=m", provider.address());
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "realtime, other".parse().unwrap());
    let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "realtime");
    for text in ["hi", &"x".repeat(200), &"\u{633}".repeat(40_000)] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    socket.send(Message::Ping(b"p".as_slice().into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong(b"p".as_slice().into()));
    socket.close(None).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_close());
}
