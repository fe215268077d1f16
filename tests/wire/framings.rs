//! Odd but lawful ways to write an answer say the same as the usual one.

use crate::harness::{Fault, Pareto};

#[tokio::test]
async fn a_stream_says_the_same_however_it_is_framed() {
    let pareto = Pareto::start("").await;
    let ask = || pareto.chat("a").cache_control("no-store").stream();
    let expected = ask().await.said();
    for fault in [
        Fault::CrLf,
        Fault::Cr,
        Fault::Bom,
        Fault::ByteWrites,
        Fault::Comments,
        Fault::CloseDelimited,
        Fault::Trailers,
        Fault::EarlyHints,
        Fault::LengthTooLong,
    ] {
        pareto.provider.next(fault);
        let answer = ask().await;
        assert!(answer.status == 200 && answer.whole, "{fault}: {} {}", answer.status, answer.text());
        assert_eq!(answer.said(), expected, "{fault}");
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{fault}");
        assert!(!answer.text().contains('\r') && answer.text().starts_with("data: "), "{fault}");
    }
}

#[tokio::test]
async fn a_body_says_the_same_however_it_is_framed() {
    let pareto = Pareto::start("").await;
    let ask = || pareto.chat("a").cache_control("no-store");
    let expected = ask().await.said();
    for fault in [Fault::ByteWrites, Fault::CloseDelimited, Fault::Trailers, Fault::EarlyHints] {
        pareto.provider.next(fault);
        let answer = ask().await;
        assert!(answer.status == 200 && answer.whole && answer.said() == expected, "{fault}");
    }
}

#[tokio::test]
async fn a_keep_alive_comment_reaches_the_client_while_it_waits() {
    let pareto = Pareto::start("").await;
    pareto.provider.next(Fault::Comments);
    let answer = pareto.chat("a").stream().await;
    assert!(answer.text().contains("\n: keep-alive\n\n"), "{}", answer.text());
    pareto.stored(1).await;
    let replayed = pareto.chat("a").stream().await;
    assert!(replayed.is_hit() && !replayed.text().contains("\n: "), "no keep-alive is replayed");
}

#[tokio::test]
async fn a_drip_arrives_whole() {
    let pareto = Pareto::start("").await;
    pareto.provider.next(Fault::SlowDrip);
    let answer = pareto.chat("sim:say=ok").await;
    assert!(answer.whole && answer.said() == "ok");
    pareto.provider.next(Fault::SlowDrip);
    let stream = pareto.chat("sim:say=ok").cache_control("no-store").stream().await;
    assert!(stream.whole && stream.said() == "ok");
}

#[tokio::test]
async fn a_coding_nobody_asked_for_passes_untouched_and_unstored() {
    for streams in [false, true] {
        let pareto = Pareto::start("").await;
        pareto.provider.next(Fault::Gzip);
        let answer = pareto.chat("a").set("stream", streams).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, "gzip"));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*answer.body), &mut text).unwrap();
        assert!(text.contains(if streams { "data: [DONE]" } else { "chat.completion" }));
        assert!(!pareto.chat("a").set("stream", streams).await.is_hit());
    }
}

#[tokio::test]
async fn a_huge_answer_arrives_whole_and_is_not_stored() {
    let pareto = Pareto::start("").await;
    pareto.provider.next(Fault::Huge);
    let answer = pareto.chat("a").await;
    assert!(answer.whole && answer.body.len() > 64 << 20);
    assert!(answer.body.ends_with(b"}"));
    pareto.counts("requests_total", &[("outcome", "miss")], 1.0).await;
    assert_eq!(pareto.metric("cache_entries", &[]).await, 0.0);
}
