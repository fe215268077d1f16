//! Each fault does at the socket what its name says.

use std::io::ErrorKind;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Answer, post, post_with, provider, read, send};
use crate::demo::provider::{Behaviour, Fault, Odds, Provider};

const CHAT: &str = "/v1/chat/completions";

fn ask(stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

async fn struck(fault: Fault, stream: bool) -> Answer {
    let provider = provider().await;
    post_with(&provider, CHAT, &format!("x-sim-fault: {fault}\r\n"), &ask(stream)).await
}

fn was_reset(answer: &Answer) -> bool {
    answer.end.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn names_read_back() {
    for fault in Fault::all() {
        assert_eq!(fault.to_string().parse(), Ok(fault));
    }
    assert!("status-200".parse::<Fault>().is_err() && "nothing".parse::<Fault>().is_err());
}

#[tokio::test]
async fn resets_come_when_they_should() {
    for stream in [false, true] {
        let before = struck(Fault::ResetBeforeHead, stream).await;
        assert!(was_reset(&before) && before.status == 0);
        let after = struck(Fault::ResetAfterHead, stream).await;
        assert!(was_reset(&after) && after.status == 200 && after.body.is_empty());
        let middle = struck(Fault::ResetMidStream, stream).await;
        assert!(was_reset(&middle) && middle.status == 200 && !middle.body.is_empty() && !middle.whole);
    }
}

#[tokio::test]
async fn a_refused_connection_is_reset_unread_and_the_next_one_served() {
    let provider = provider().await;
    provider.next(Fault::Refuse);
    let mut stream = TcpStream::connect(provider.address()).await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(post(&provider, CHAT, &ask(false)).await.status, 200);
    assert_eq!(provider.total(), 1);
}

#[tokio::test]
async fn cut_streams_are_no_whole_ones() {
    let fin = struck(Fault::FinMidStream, true).await;
    assert!(fin.end.is_ok() && !fin.whole && !fin.text().contains("[DONE]"));
    let json = struck(Fault::FinMidStream, false).await;
    assert!(json.end.is_ok() && !json.whole && serde_json::from_slice::<Value>(&json.body).is_err());
    let clean = struck(Fault::NoFinish, true).await;
    assert!(
        clean.whole
            && !clean.text().contains("\"finish_reason\":\"stop\"")
            && !clean.text().contains("[DONE]")
    );
    let undone = struck(Fault::NoDone, true).await;
    assert!(
        undone.whole
            && undone.text().contains("\"finish_reason\":\"stop\"")
            && !undone.text().contains("[DONE]")
    );
    for stream in [false, true] {
        let unmetered = struck(Fault::NoUsage, stream).await;
        assert!(unmetered.whole && !unmetered.text().contains("usage"));
        assert!(unmetered.text().contains("\"finish_reason\":\"stop\""));
    }
    let malformed = struck(Fault::Malformed, true).await;
    assert_eq!(
        malformed.data().iter().filter(|data| data.is_string()).count(),
        2,
        "the broken one and [DONE]"
    );
    let malformed = struck(Fault::Malformed, false).await;
    assert!(malformed.whole && serde_json::from_slice::<Value>(&malformed.body).is_err());
    let empty = struck(Fault::Empty, true).await;
    assert!(
        empty.whole
            && empty.body.is_empty()
            && empty.header("content-type").unwrap().contains("event-stream")
    );
}

#[tokio::test]
async fn error_answers_are_worded_as_the_family_words_them() {
    let limited = struck(Fault::RateLimited, false).await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("1")));
    assert_eq!(limited.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(struck(Fault::RateLimitedMs, true).await.header("retry-after-ms"), Some("30"));
    let quota = struck(Fault::Quota, false).await;
    assert_eq!((quota.status, quota.header("retry-after")), (429, None));
    assert_eq!(quota.json()["error"]["code"], "insufficient_quota");
    assert_eq!(struck(Fault::Status(529), true).await.status, 529);
    assert!(struck(Fault::UnavailableHtml, false).await.text().starts_with("<html>"));
    let inside = struck(Fault::ErrorInBody, false).await;
    assert!(inside.status == 200 && inside.json()["error"].is_object());
    let first = struck(Fault::ErrorInBody, true).await;
    assert!(first.data()[0]["error"].is_object() && first.data().len() == 1);
    let late = struck(Fault::ErrorMidStream, true).await.data();
    assert!(late.len() > 2 && late.last().unwrap()["error"].is_object());

    let provider = provider().await;
    provider.next_times(Fault::Status(529), 2);
    let anthropic = post(&provider, "/v1/messages", &json!({})).await.json();
    assert_eq!(anthropic["error"]["type"], "overloaded_error");
    let gemini = post(&provider, "/v1/models/m:generateContent", &json!({})).await.json();
    assert_eq!(gemini["error"]["status"], "UNAVAILABLE");
}

#[tokio::test]
async fn odd_framings_say_the_same() {
    let plain = struck(Fault::Status(500), true).await;
    assert_eq!(plain.status, 500);
    let hinted = struck(Fault::EarlyHints, true).await;
    assert!(hinted.head.starts_with("HTTP/1.1 103 Early Hints") && hinted.status == 200);
    let expected = struck(Fault::Continue, true).await;
    assert!(expected.head.starts_with("HTTP/1.1 100 Continue") && expected.status == 200);
    let expected: Vec<_> = expected.data().iter().map(|data| data["choices"].clone()).collect();
    for (fault, line_end) in [
        (Fault::CrLf, "\r\n\r\n"),
        (Fault::Cr, "\r\r"),
        (Fault::ByteWrites, "\n\n"),
        (Fault::Comments, "\n\n"),
        (Fault::CloseDelimited, "\n\n"),
        (Fault::Trailers, "\n\n"),
    ] {
        let answer = struck(fault, true).await;
        assert!(answer.text().ends_with(&format!("data: [DONE]{line_end}")), "{fault}");
        let text = answer.text().replace("\r\n", "\n").replace('\r', "\n");
        let answer = Answer { body: text.into_bytes(), ..answer };
        let choices: Vec<_> = answer.data().iter().map(|data| data["choices"].clone()).collect();
        assert_eq!(choices, expected, "{fault}");
    }
    assert!(struck(Fault::Bom, true).await.body.starts_with(b"\xef\xbb\xbfdata: "));
    let trailers = struck(Fault::Trailers, false).await;
    assert!(trailers.whole && trailers.header("trailer") == Some("x-sim-trailer"));
    let packed = struck(Fault::Gzip, false).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*packed.body), &mut text).unwrap();
    assert!(text.contains("chat.completion"));
}

#[tokio::test]
async fn a_drip_comes_whole() {
    let provider = provider().await;
    let body = json!({"model": "m", "input": "a", "dimensions": 1});
    let answer = post_with(&provider, "/v1/embeddings", "x-sim-fault: slow-drip\r\n", &body).await;
    assert!(answer.whole && answer.json()["data"][0]["embedding"] == json!([-1.0]));
}

#[tokio::test]
async fn lengths_lie() {
    for stream in [false, true] {
        let long = struck(Fault::LengthTooLong, stream).await;
        let short = struck(Fault::LengthTooShort, stream).await;
        let told = |answer: &Answer| answer.header("content-length").unwrap().parse::<usize>().unwrap();
        assert_eq!(told(&long), long.body.len() + 100);
        assert_eq!(told(&short), short.body.len() - 10);
    }
}

#[tokio::test]
async fn huge_answers_are_valid_but_huge() {
    for stream in [false, true] {
        let answer = struck(Fault::Huge, stream).await;
        assert!(answer.whole && answer.body.len() > 64 << 20);
        match stream {
            true => assert!(answer.data()[0]["choices"][0]["delta"]["role"] == "assistant"),
            false => assert!(answer.json()["choices"].is_array()),
        }
    }
}

/// Sends a struck request and reads until `enough`; the provider must notice that the client leaves.
async fn left_at(fault: Fault, stream: bool, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let provider = provider().await;
    let body = ask(stream).to_string();
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nx-sim-fault: {fault}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(provider.address()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    provider.received(1).await;
    while !enough(&received) {
        assert_ne!(socket.read_buf(&mut received).await.unwrap(), 0, "{fault} ended");
    }
    drop(socket);
    provider.left(1).await;
    received
}

#[tokio::test]
async fn silence_and_endless_talk_end_when_the_client_leaves() {
    let has = |needle: &'static [u8]| move |received: &[u8]| memchr::memmem::find(received, needle).is_some();
    left_at(Fault::NeverAnswers, true, |_| true).await;
    let head = left_at(Fault::HangAfterHead, true, has(b"\r\n\r\n")).await;
    assert!(head.ends_with(b"\r\n\r\n"));
    let half = left_at(Fault::HangMidStream, true, has(b"data: ")).await;
    assert!(!has(b"[DONE]")(&half));
    left_at(Fault::NeverEnds, true, |received| received.len() > 50_000).await;
    left_at(Fault::NeverEnds, false, has(b"1\r\n \r\n1\r\n \r\n")).await;
}

#[tokio::test]
async fn an_upload_is_refused_before_its_end() {
    let provider = provider().await;
    let request =
        "POST /v1/files HTTP/1.1\r\nx-sim-fault: too-large\r\ncontent-length: 100000000\r\n\r\nsome";
    let mut socket = TcpStream::connect(provider.address()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    socket.read_to_end(&mut received).await.unwrap();
    assert_eq!(read(&received, Ok(())).status, 413);
}

#[tokio::test]
async fn faults_queue_up_and_may_be_limited_to_the_first_of_an_id() {
    let provider = provider().await;
    provider.next(Fault::Status(500));
    provider.next(Fault::RateLimited);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(post(&provider, CHAT, &ask(false)).await.status);
    }
    let headers = "x-sim-fault: status-503\r\nx-sim-fault-times: 2\r\nx-sim-fault-id: a\r\n";
    for _ in 0..3 {
        statuses.push(post_with(&provider, CHAT, headers, &ask(false)).await.status);
    }
    provider.always(Some(Fault::Quota));
    statuses.push(post(&provider, CHAT, &ask(false)).await.status);
    provider.always(None);
    statuses.push(post(&provider, CHAT, &ask(false)).await.status);
    assert_eq!(statuses, [500, 429, 200, 503, 503, 200, 429, 200]);
}

#[tokio::test]
async fn odds_strike_the_same_calls_for_the_same_seed() {
    async fn statuses(seed: u64) -> Vec<u16> {
        let odds = Some(Odds { rate: 0.5, among: vec![Fault::Status(500), Fault::Status(503)] });
        let provider = Provider::start(Behaviour { seed, odds, ..Behaviour::default() }).await.unwrap();
        let mut statuses = Vec::new();
        for _ in 0..32 {
            statuses.push(post(&provider, CHAT, &ask(false)).await.status);
        }
        statuses
    }
    let first = statuses(1).await;
    assert_eq!(first, statuses(1).await);
    assert_ne!(first, statuses(2).await);
    assert!([200, 500, 503].iter().all(|status| first.contains(status)));
}

#[tokio::test]
async fn what_is_no_http_is_no_http() {
    let provider = provider().await;
    provider.next(Fault::NotHttp);
    let answer = send(provider.address(), b"GET /v1/models HTTP/1.1\r\nhost: s\r\n\r\n").await;
    assert_eq!((answer.status, answer.whole), (0, false));
}
