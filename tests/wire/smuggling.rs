//! Requests that two readers would cut at different places (RFC 9112 section 11.2): refused, or read
//! in the one way that the provider reads them too. Never is there a second request in the first.

use crate::harness::{CHAT, Pareto, Raw};

const SMUGGLED: &str = "GET /v1/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

/// Sends a request whose framing is ambiguous to each kind of path, a second one hidden behind.
async fn refuses(framing: &str, body: &str) {
    for path in [CHAT, "/v1/echo"] {
        let pareto = Pareto::start("").await;
        let mut client = Raw::connect(pareto.address()).await;
        client.send(format!("POST {path} HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n{body}")).await;
        if let Ok(answer) = client.answer().await {
            assert_eq!(answer.status, 400, "{framing:?} to {path} is answered");
        }
        client.closed().await;
        assert_eq!(pareto.provider.total(), 0, "{framing:?} to {path} reaches the provider");
    }
}

#[tokio::test]
async fn a_length_beside_chunks_is_refused() {
    let body = format!("0\r\n\r\n{SMUGGLED}");
    refuses("content-length: 4\r\ntransfer-encoding: chunked", &body).await;
    refuses("transfer-encoding: chunked\r\ncontent-length: 4", &body).await;
}

#[tokio::test]
async fn two_lengths_that_differ_are_refused() {
    refuses("content-length: 0\r\ncontent-length: 5", SMUGGLED).await;
    refuses("content-length: 0, 5", SMUGGLED).await;
}

#[tokio::test]
async fn a_length_that_is_no_number_is_refused() {
    for length in ["-1", "+5", "5x", "0x5", "", "99999999999999999999999", "1e3", "5 5"] {
        refuses(&format!("content-length: {length}"), SMUGGLED).await;
    }
}

#[tokio::test]
async fn a_transfer_coding_that_is_not_chunked_is_refused() {
    for coding in ["xchunked", "chunked, identity", "gzip", "identity", "chunked\r\ntransfer-encoding: x"] {
        refuses(&format!("transfer-encoding: {coding}"), &format!("0\r\n\r\n{SMUGGLED}")).await;
    }
}

#[tokio::test]
async fn a_malformed_head_is_refused() {
    for field in
        ["content-length : 5", "transfer-encoding : chunked", "x: a\r\n content-length: 5", "no colon", ": v"]
    {
        refuses(field, SMUGGLED).await;
    }
}

/// Sends this where a chunk should be, to each kind of path: whatever comes behind is no request.
async fn ends_the_connection(chunk: &str) {
    for path in [CHAT, "/v1/echo"] {
        let pareto = Pareto::start("").await;
        let mut client = Raw::connect(pareto.address()).await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
        client.send(format!("{head}{chunk}{SMUGGLED}")).await;
        if let Ok(answer) = client.answer().await {
            assert!(answer.status >= 400, "{chunk:?} to {path}: {}", answer.status);
        }
        client.closed().await;
        let calls = pareto.provider.calls();
        assert!(calls.iter().all(|call| call.target != "/v1/smuggled"), "{chunk:?} to {path}");
    }
}

#[tokio::test]
async fn a_malformed_chunk_ends_the_connection() {
    for chunk in ["zz\r\n", "-1\r\n", "ffffffffffffffffff\r\na\r\n", "5\r\nabcdefgh\r\n0\r\n\r\n"] {
        ends_the_connection(chunk).await;
    }
}

#[tokio::test]
async fn nothing_behind_a_chunked_body_is_a_request() {
    // An empty size is read as the last chunk, in step with the body that the provider gets.
    for chunk in ["0\r\n\r\n", "\r\n\r\n"] {
        for path in [CHAT, "/v1/echo"] {
            let pareto = Pareto::start("").await;
            let mut client = Raw::connect(pareto.address()).await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
            client.send(format!("{head}{chunk}{SMUGGLED}")).await;
            client.answer().await.unwrap();
            client.closed().await;
            assert_eq!(pareto.provider.total(), 1, "{chunk:?} to {path}");
        }
    }
}

#[tokio::test]
async fn what_follows_a_refused_request_is_not_a_request() {
    let pareto = Pareto::start("max_body: 1KiB").await;
    let mut client = Raw::connect(pareto.address()).await;
    client.send(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\n{SMUGGLED}")).await;
    assert_eq!(client.answer().await.unwrap().status, 413);
    client.closed().await;
    assert_eq!(pareto.provider.total(), 0);
}
