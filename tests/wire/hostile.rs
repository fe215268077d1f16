//! Requests meant to hurt: bounded, timed out or refused, and the next one is served all the same.

use serde_json::json;

use crate::harness::{Answer, CHAT, Pareto, Raw};

async fn post(pareto: &Pareto, body: Vec<u8>) -> Answer {
    Answer::of(pareto.request(http::Method::POST, CHAT).body(body).send().await.unwrap()).await
}

async fn still_serves(pareto: &Pareto) {
    let answer = pareto.chat("sim:say=still here").await;
    assert_eq!(answer.said(), "still here");
}

#[tokio::test]
async fn deep_nesting_is_left_to_the_provider() {
    let pareto = Pareto::start("").await;
    for depth in [200, 100_000, 32 << 20] {
        let answer = post(&pareto, vec![b'['; depth]).await;
        assert_eq!(answer.status, 400, "{depth}");
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 1_000_000;
        let nested = open.repeat(depth) + "1" + &close.repeat(depth);
        let body = format!("{{\"model\":\"m\",\"messages\":[],\"x\":{nested}}}");
        assert_eq!(post(&pareto, body.into_bytes()).await.status, 400);
    }
    assert_eq!(pareto.provider.total(), 5);
    still_serves(&pareto).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_however_it_is_framed() {
    let pareto = Pareto::start("").await;
    let large = vec![b' '; (32 << 20) + 1];
    post(&pareto, large.clone()).await.assert_refused(413, "pareto_body_too_large");
    let pieces =
        large.chunks(1 << 20).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let request = pareto.request(http::Method::POST, CHAT).body(chunked);
    // Refused while it is still sending, a client may see the answer or only the closed connection.
    if let Ok(response) = request.send().await {
        Answer::of(response).await.assert_refused(413, "pareto_body_too_large");
    }
    assert_eq!(pareto.provider.total(), 0);
    still_serves(&pareto).await;
}

#[tokio::test]
async fn a_body_at_the_limit_is_served() {
    let pareto = Pareto::start("max_body: 64KiB").await;
    let mut body = crate::harness::chat("sim:say=fits").to_string().into_bytes();
    body.resize(64 << 10, b' ');
    assert_eq!(post(&pareto, body.clone()).await.said(), "fits");
    body.push(b' ');
    post(&pareto, body).await.assert_refused(413, "pareto_body_too_large");
}

#[tokio::test]
async fn a_hundred_thousand_headers_are_refused() {
    let pareto = Pareto::start("").await;
    let mut client = Raw::connect(pareto.address()).await;
    client.send("GET /v1/models HTTP/1.1\r\nhost: x\r\n").await;
    let fields: String = (0..100_000).map(|at| format!("x-{at}: v\r\n")).collect();
    client.send(fields + "\r\n").await;
    if let Ok(answer) = client.answer().await {
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    client.closed().await;
    assert_eq!(pareto.provider.total(), 0);
    still_serves(&pareto).await;
}

#[tokio::test]
async fn a_header_that_never_ends_is_cut_off() {
    let pareto = Pareto::start("").await;
    let mut client = Raw::connect(pareto.address()).await;
    client.send("GET /v1/models HTTP/1.1\r\nx: ").await;
    let megabyte = vec![b'a'; 1 << 20];
    let mut sent = 0;
    while sent < 64 && client.try_send(&megabyte).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 64, "64 MiB of one header were taken");
    still_serves(&pareto).await;
}

/// Keeps dripping bytes until the other side has had enough.
async fn drip(client: &mut Raw, byte: &[u8]) {
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
    let until_closed = async {
        loop {
            pace.tick().await;
            if client.try_send(byte).await.is_err() {
                return;
            }
        }
    };
    crate::harness::within("a drip to be cut off", until_closed).await;
}

#[tokio::test]
async fn a_header_that_drips_is_cut_off_in_time() {
    let pareto = Pareto::start("client: {timeouts: {header: 300ms, idle: 300ms}}").await;
    let mut client = Raw::connect(pareto.address()).await;
    client.send("GET /v1/models HTTP/1.1\r\nx-slow: ").await;
    drip(&mut client, b"a").await;
    assert_eq!(pareto.provider.total(), 0);
    still_serves(&pareto).await;
}

#[tokio::test]
async fn a_body_that_drips_is_refused_in_time() {
    let pareto = Pareto::start("client: {timeouts: {body: 300ms}}").await;
    let mut client = Raw::connect(pareto.address()).await;
    client.send(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{{")).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (408, Some("pareto_body_timeout")));
    client.closed().await;
    assert_eq!(pareto.provider.total(), 0);
    still_serves(&pareto).await;
}

#[tokio::test]
async fn what_is_no_text_is_left_to_the_provider_byte_for_byte() {
    let pareto = Pareto::start("").await;
    for body in
        [&b"\0"[..], b"{\"model\":\"m\xff\"}", b"\xef\xbb\xbf{}", b"{\"a\":\"\\ud800\"}", b"", b"nul\0l"]
    {
        let answer = post(&pareto, body.to_vec()).await;
        assert_eq!(answer.status, 400, "{body:?}");
        assert_eq!(&*pareto.provider.calls().pop().unwrap().body, body);
    }
    assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0);
}

#[tokio::test]
async fn duplicate_members_are_not_a_way_to_anothers_answer() {
    let pareto = Pareto::start("cache: {share: everyone}").await;
    pareto.chat("secret").await;
    let twice = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"other"}],
        "messages":[{"role":"user","content":"secret"}]}"#;
    assert!(!post(&pareto, twice.into()).await.is_hit());
    assert_eq!(pareto.provider.total(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_body_costs_nothing() {
    let pareto = Pareto::start("").await;
    let mut client = Raw::connect(pareto.address()).await;
    let body = json!({"model": "m", "messages": []}).to_string();
    client.send(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{body}")).await;
    drop(client);
    pareto.becomes("active_requests", &[], 0.0).await;
    assert_eq!(pareto.provider.total(), 0);
    still_serves(&pareto).await;
}
