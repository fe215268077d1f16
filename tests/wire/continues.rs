//! `Expect: 100-continue`: curl sends it with every body over a megabyte and stalls until it is answered.

use serde_json::json;

use crate::harness::{CHAT, Pareto, Raw};

async fn asks_before_it_sends(pareto: &Pareto, path: &str, body: &[u8]) -> crate::harness::Received {
    let mut client = Raw::connect(pareto.address()).await;
    let length = body.len();
    client
        .send(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        ))
        .await;
    assert_eq!(client.answer().await.unwrap().status, 100, "the client would wait");
    client.send(body).await;
    let answer = client.answer().await.unwrap();
    // The connection is good for another request.
    client.send("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().json()["object"], "list");
    answer
}

#[tokio::test]
async fn a_large_chat_request_is_let_in() {
    let pareto = Pareto::start("").await;
    let text = "long ".repeat(400_000) + "sim:say=read";
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
    for _ in 0..2 {
        let answer = asks_before_it_sends(&pareto, CHAT, body.as_bytes()).await;
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "read");
    }
}

#[tokio::test]
async fn a_large_upload_is_let_in() {
    let pareto = Pareto::start("").await;
    let body = vec![7; 2_000_000];
    let answer = asks_before_it_sends(&pareto, "/v1/echo", &body).await;
    assert_eq!(answer.json()["body_length"], 2_000_000);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_before_it_is_sent() {
    let pareto = Pareto::start("max_body: 1MiB").await;
    let mut client = Raw::connect(pareto.address()).await;
    client
        .send(format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\nexpect: 100-continue\r\n\r\n"
        ))
        .await;
    assert_eq!(client.answer().await.unwrap().status, 413);
}
