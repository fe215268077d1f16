//! Providers that speak HTTP/2.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Answer, Pareto, chat};

type Seen = Arc<Mutex<Vec<(String, HeaderMap, Vec<u8>)>>>;

/// A provider that speaks HTTP/2 only and notes what it is asked.
async fn provider() -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let notes = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, notes.clone()));
        }
    });
    (address, seen)
}

async fn serve(stream: TcpStream, seen: Seen) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(asked) = connection.accept().await {
        let (request, respond) = asked?;
        tokio::spawn(answer(request, respond, seen.clone()));
    }
    Ok(())
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    seen: Seen,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        received.extend_from_slice(&data);
    }
    let streams = serde_json::from_slice::<Value>(&received).is_ok_and(|body| body["stream"] == true);
    seen.lock().unwrap().push((head.uri.to_string(), head.headers, received));
    let choice =
        json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "over h2"}});
    let whole =
        json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]});
    let delta =
        json!({"index": 0, "finish_reason": "stop", "delta": {"role": "assistant", "content": "over h2"}});
    let chunk =
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [delta]});
    let (kind, text) = match streams {
        true => ("text/event-stream", format!("data: {chunk}\n\ndata: [DONE]\n\n")),
        false => ("application/json", whole.to_string()),
    };
    let response = Response::builder().header("content-type", kind).body(()).unwrap();
    respond.send_response(response, false)?.send_data(text.into(), true)
}

async fn before(address: SocketAddr) -> Pareto {
    Pareto::start(&format!("providers: {{h2: {{url: \"http://{address}/v1\", http2: only}}}}")).await
}

#[tokio::test]
async fn what_is_understood_is_asked_over_http2() {
    let (address, seen) = provider().await;
    let pareto = before(address).await;
    assert_eq!(pareto.chat("a").await.said(), "over h2");
    assert!(pareto.chat("a").await.is_hit());
    let live = pareto.chat("b").stream().await;
    assert!(live.whole && live.said() == "over h2" && live.text().ends_with("data: [DONE]\n\n"));
    let seen = seen.lock().unwrap();
    let (uri, headers, body) = &seen[0];
    assert_eq!(uri, &format!("http://{address}/v1/chat/completions"));
    assert_eq!(headers["authorization"], "Bearer sk-alice");
    assert_eq!(serde_json::from_slice::<Value>(body).unwrap(), chat("a"));
}

#[tokio::test]
async fn what_passes_is_asked_over_http2() {
    let (address, seen) = provider().await;
    let pareto = before(address).await;
    let sent = vec![9; 300_000];
    let request = pareto.request(http::Method::PUT, "/v1/files/f?a=b").body(sent.clone());
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!((answer.status, answer.said().as_str()), (200, "over h2"));
    let seen = seen.lock().unwrap();
    let (uri, _, body) = &seen[0];
    assert!(uri.ends_with("/v1/files/f?a=b") && uri.contains(&address.to_string()), "{uri}");
    assert!(*body == sent);
}

#[tokio::test]
async fn many_calls_share_one_connection() {
    let (address, seen) = provider().await;
    let pareto = before(address).await;
    pareto.chat("first").await;
    let asked: Vec<_> = (0..50).map(|at| pareto.chat(&format!("question {at}")).spawn()).collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap().said(), "over h2");
    }
    assert_eq!(seen.lock().unwrap().len(), 51);
    assert_eq!(pareto.metric("connections_opened_total", &[]).await, 1.0);
}
