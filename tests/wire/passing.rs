//! What pareto does not understand passes as it is, both ways.

use http::Method;
use serde_json::Value;

use crate::harness::{Answer, Fault, Pareto, Raw};

async fn raw(pareto: &Pareto) -> Raw {
    Raw::connect(pareto.address()).await
}

#[tokio::test]
async fn every_method_path_and_query_passes_as_written() {
    let pareto = Pareto::start("").await;
    let mut client = raw(&pareto).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PURGE"] {
        let target = format!("/v1/echo?m={method}&a=%2F+%20&b=&b=é&c[]=1;2");
        let target = target.replace('é', "%C3%A9");
        client.send(format!("{method} {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")).await;
        let answer = client.answer_to(method).await.unwrap();
        let call = pareto.provider.calls().pop().unwrap();
        assert_eq!(
            (answer.status, call.method.as_str(), call.target.as_str()),
            (200, method, target.as_str())
        );
    }
}

#[tokio::test]
async fn headers_pass_and_those_of_the_connection_do_not() {
    let pareto = Pareto::start("").await;
    let mut client = raw(&pareto).await;
    client
        .send(
            "GET /v1/echo HTTP/1.1\r\nHost: sidecar.example\r\nAuthorization: Bearer sk-mine\r\n\
             X-Twice: 1\r\nX-Twice: 2\r\nX-Empty:\r\nAccept-Encoding: gzip, br\r\nUser-Agent: app/1\r\n\
             Connection: keep-alive, X-Hop\r\nX-Hop: secret\r\nKeep-Alive: timeout=5\r\n\r\n",
        )
        .await;
    let echo = client.answer().await.unwrap().json();
    let values = |name: &str| -> Vec<String> {
        let headers = echo["headers"].as_array().unwrap().iter();
        let named = headers.filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
        named.map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(values("x-twice"), ["1", "2"]);
    assert_eq!(values("x-empty"), [""]);
    assert_eq!(values("authorization"), ["Bearer sk-mine"]);
    assert_eq!(values("accept-encoding"), ["gzip, br"]);
    assert_eq!(values("user-agent"), ["app/1"]);
    assert_eq!(values("host"), [pareto.provider.address().to_string()]);
    for name in ["x-hop", "keep-alive", "x-forwarded-for", "via"] {
        assert_eq!(values(name), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn the_providers_base_path_takes_the_place_of_ours() {
    let pareto = Pareto::start("providers: {p: {url: \"{origin}/openai/v1\"}}").await;
    pareto.request(Method::GET, "/v1/models?a=b%20c").send().await.unwrap();
    pareto.chat("a").await;
    let targets: Vec<_> = pareto.provider.calls().into_iter().map(|call| call.target).collect();
    assert_eq!(targets, ["/openai/v1/models?a=b%20c", "/openai/v1/chat/completions"]);
}

#[tokio::test]
async fn the_operators_key_replaces_the_callers() {
    let pareto = Pareto::start("providers: {p: {url: \"{provider}\", keys: [sk-ours]}}").await;
    let request = pareto.request(Method::GET, "/v1/models?key=callers&a=1").bearer_auth("sk-callers");
    request.header("x-api-key", "callers").send().await.unwrap();
    let call = pareto.provider.calls().remove(0);
    assert_eq!(call.header("authorization"), Some("Bearer sk-ours"));
    assert!(!format!("{call:?}").contains("callers"), "{call:?}");
}

/// Every byte there is, many times, with no regularity a framing mistake could hide behind.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

fn assert_echoes(echo: &Value, sent: &[u8]) {
    assert_eq!(echo["body_length"], sent.len());
    assert_eq!(echo["body_blake3"], blake3::hash(sent).to_hex().as_str());
}

#[tokio::test]
async fn bodies_pass_byte_for_byte_with_a_length() {
    let pareto = Pareto::start("").await;
    let mut client = raw(&pareto).await;
    for length in [0, 1, 1000, 65_536, 3_000_001] {
        let sent = bytes(length);
        client.send(format!("PUT /v1/echo HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n")).await;
        client.send(&sent).await;
        assert_echoes(&client.answer().await.unwrap().json(), &sent);
    }
}

#[tokio::test]
async fn bodies_pass_byte_for_byte_in_chunks() {
    let pareto = Pareto::start("").await;
    let mut client = raw(&pareto).await;
    let sent = bytes(200_000);
    client.send("POST /v1/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for piece in sent.chunks(777) {
        client.send(format!("{:x};ext=1\r\n", piece.len())).await;
        client.send(piece).await;
        client.send("\r\n").await;
    }
    client.send("0\r\n\r\n").await;
    assert_echoes(&client.answer().await.unwrap().json(), &sent);
}

#[tokio::test]
async fn a_compressed_body_passes_untouched_even_where_the_endpoint_is_known() {
    let pareto = Pareto::start("").await;
    let sent = bytes(5000);
    let request = pareto.request(Method::POST, crate::harness::CHAT).header("content-encoding", "gzip");
    request.body(sent.clone()).send().await.unwrap();
    let call = pareto.provider.calls().remove(0);
    assert_eq!((call.header("content-encoding"), &*call.body), (Some("gzip"), &*sent));
}

#[tokio::test]
async fn answers_pass_with_their_status_and_headers() {
    let pareto = Pareto::start("").await;
    for status in [200, 201, 204, 301, 304, 404, 418, 429, 500, 599] {
        let mut client = raw(&pareto).await;
        client.send(format!("GET /v1/echo?status={status} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.status, status);
        assert!(answer.header("x-ratelimit-limit-requests").is_some());
        let cookies = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        assert_eq!(cookies.count(), 2);
        assert!(answer.header("cache-status").is_none(), "not ours to comment on");
    }
}

#[tokio::test]
async fn a_large_answer_passes_whole_and_a_cut_one_does_not_look_whole() {
    let pareto = Pareto::start("").await;
    let large = || pareto.request(Method::GET, "/v1/echo?bytes=20000000").send();
    let answer = Answer::of(large().await.unwrap()).await;
    assert!(answer.whole && answer.body.len() == 20_000_000);
    for fault in [Fault::ResetMidStream, Fault::FinMidStream] {
        pareto.provider.next(fault);
        let cut = Answer::of(large().await.unwrap()).await;
        assert!(cut.status == 200 && !cut.whole, "{fault}");
    }
}

#[tokio::test]
async fn a_failure_before_the_head_is_our_502() {
    let pareto = Pareto::start("").await;
    for fault in [Fault::ResetBeforeHead, Fault::NotHttp] {
        pareto.provider.next(fault);
        let answer = pareto.request(Method::POST, "/v1/echo").send().await.unwrap();
        Answer::of(answer).await.assert_refused(502, "pareto_upstream_failed");
    }
    pareto.provider.stop().await;
    let answer = pareto.request(Method::GET, "/v1/models").send().await.unwrap();
    Answer::of(answer).await.assert_refused(502, "pareto_upstream_failed");
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let pareto = Pareto::start("").await;
    let mut client = raw(&pareto).await;
    let body = crate::harness::chat("a").to_string();
    let post = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let get = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    client.send([get, &post, get, &post, &post].concat()).await;
    let mut kinds = Vec::new();
    for _ in 0..5 {
        kinds.push(client.answer().await.unwrap().json()["object"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["list", "chat.completion", "list", "chat.completion", "chat.completion"]);
}

#[tokio::test]
async fn connections_are_kept_and_used_again_on_both_sides() {
    let pareto = Pareto::start("").await;
    let mut client = raw(&pareto).await;
    for turn in 0..10 {
        let body = crate::harness::chat(&format!("question {turn}")).to_string();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            crate::harness::CHAT,
            body.len()
        );
        client.send(head + &body).await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        client.send("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    // One pool for what is understood and one for what passes.
    assert!(pareto.provider.connections() <= 2, "{}", pareto.provider.connections());
    pareto.counts("connections_reused_total", &[], 18.0).await;
}

#[tokio::test]
async fn a_client_that_wants_the_connection_closed_gets_it_closed() {
    let pareto = Pareto::start("").await;
    let body = crate::harness::chat("a").to_string();
    for version in ["HTTP/1.1\r\nconnection: close", "HTTP/1.0"] {
        for _ in 0..2 {
            let mut client = raw(&pareto).await;
            let head = format!(
                "POST {} {version}\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
                crate::harness::CHAT,
                body.len()
            );
            client.send(head + &body).await;
            assert_eq!(client.answer().await.unwrap().status, 200);
            client.closed().await;
        }
    }
}
