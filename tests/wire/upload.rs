//! Half a gigabyte through a sidecar that holds none of it.

use bytes::Bytes;
use futures_util::stream;

use crate::harness::{Answer, Binary, provider};

const PIECE: usize = 64 * 1024;
const PIECES: usize = 500 * 1_000_000 / PIECE + 1;

/// The multipart body of one large file, and its length and digest.
fn multipart() -> (Vec<Bytes>, u64, blake3::Hash) {
    let filler = Bytes::from((0..PIECE).map(|at| (at * 31 % 251) as u8).collect::<Vec<_>>());
    let head = "--x\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--x\r\n\
                content-disposition: form-data; name=\"file\"; filename=\"big.bin\"\r\n\r\n";
    let mut pieces = vec![Bytes::from(head)];
    pieces.extend(std::iter::repeat_n(filler, PIECES));
    pieces.push(Bytes::from("\r\n--x--\r\n"));
    let mut digest = blake3::Hasher::new();
    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
    for piece in &pieces {
        digest.update(piece);
    }
    (pieces, length, digest.finalize())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_500_mb_passes_in_constant_memory() {
    let provider = provider().await;
    let yaml = format!("providers: {{sim: {{url: \"{}\"}}}}", provider.url());
    let binary = Binary::start(&yaml).await;
    let before = binary.peak_memory();
    let (pieces, length, digest) = multipart();
    let body = reqwest::Body::wrap_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)));
    let request = reqwest::Client::new()
        .post(format!("http://{}/v1/files", binary.address))
        .header("content-type", "multipart/form-data; boundary=x")
        .header("content-length", length);
    let file = Answer::of(request.body(body).send().await.unwrap()).await.json();
    assert_eq!((file["bytes"].as_u64(), file["filename"].as_str()), (Some(length), Some("big.bin")));
    assert_eq!(file["blake3"], digest.to_hex().as_str());
    let grown = binary.peak_memory() - before;
    assert!(grown < 100 * 1024, "{grown} KiB more than before");
}
