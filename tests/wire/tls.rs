//! Encryption towards the provider: verified, or refused.

use std::net::SocketAddr;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::harness::{Answer, Ask, Binary, Pareto, chat, provider};

/// A door with TLS in front of a provider without; gives its address and its certificate as PEM.
async fn tls_door(behind: SocketAddr, name: &str) -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await?;
                copy_bidirectional(&mut outside, &mut TcpStream::connect(behind).await?).await
            });
        }
    });
    (address, made.cert.pem())
}

fn yaml(door: SocketAddr) -> String {
    format!("providers: {{tls: {{url: \"https://localhost:{}/v1\"}}}}", door.port())
}

/// A sidecar that trusts `certificate` and nothing else, asked once by each road.
async fn ask_trusting(certificate: &str, door: SocketAddr) -> [Answer; 2] {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, certificate).unwrap();
    let binary = Binary::start_with(&yaml(door), &[("SSL_CERT_FILE", path.to_str().unwrap())]).await;
    let client = reqwest::Client::new();
    let base = format!("http://{}/v1", binary.address);
    let understood = Ask::new(client.post(format!("{base}/chat/completions")), chat("a")).await;
    let passed = Answer::of(client.get(format!("{base}/models")).send().await.unwrap()).await;
    [understood, passed]
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let provider = provider().await;
    let (door, _) = tls_door(provider.address(), "localhost").await;
    let pareto = Pareto::start(&yaml(door)).await;
    pareto.chat("a").await.assert_refused(502, "pareto_upstream_failed");
    let passed = pareto.request(http::Method::GET, "/v1/models").send().await.unwrap();
    Answer::of(passed).await.assert_refused(502, "pareto_upstream_failed");
    assert_eq!(provider.total(), 0, "no request, and no key, was shown");
}

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_accepted() {
    let provider = provider().await;
    let (door, certificate) = tls_door(provider.address(), "localhost").await;
    for answer in ask_trusting(&certificate, door).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(provider.total(), 2);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let provider = provider().await;
    let (door, certificate) = tls_door(provider.address(), "api.example.com").await;
    for answer in ask_trusting(&certificate, door).await {
        answer.assert_refused(502, "pareto_upstream_failed");
    }
    assert_eq!(provider.total(), 0);
}
