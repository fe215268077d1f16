//! WebSocket upgrades pass, frames and all.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::harness::{Pareto, within};

#[tokio::test]
async fn a_realtime_session_passes_both_ways() {
    let pareto = Pareto::start("").await;
    let url = format!("ws://{}/v1/realtime?model=gpt-realtime", pareto.address());
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("authorization", "Bearer sk-mine".parse().unwrap());
    request.headers_mut().insert("sec-websocket-protocol", "realtime".parse().unwrap());
    let stream = TcpStream::connect(pareto.address()).await.unwrap();
    let (mut socket, response) = within("the upgrade", client_async(request, stream)).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "realtime");
    for message in
        [Message::text("hello é"), Message::binary(vec![0, 255, 10]), Message::text("x".repeat(300_000))]
    {
        socket.send(message.clone()).await.unwrap();
        let heard = within("the echo", socket.next()).await.unwrap().unwrap();
        assert!(heard == message);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = within("the close", socket.next()).await {}
    let call = pareto.provider.calls().remove(0);
    assert_eq!(call.target, "/v1/realtime?model=gpt-realtime");
    assert_eq!(call.header("authorization"), Some("Bearer sk-mine"));
}

#[tokio::test]
async fn a_provider_without_websockets_says_so_itself() {
    let pareto = Pareto::start("").await;
    pareto.provider.stop().await;
    let url = format!("ws://{}/v1/realtime", pareto.address());
    let stream = TcpStream::connect(pareto.address()).await.unwrap();
    let refused = within("an answer", client_async(url, stream)).await.unwrap_err();
    assert!(refused.to_string().contains("502"), "{refused}");
}
