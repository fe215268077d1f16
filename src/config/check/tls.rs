//! `tls:` of a Redis as written -> as meant: files that are there and are what they are said to be.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Report;
use crate::config::file::storage::Tls as Written;
use crate::config::problem::Path;
use crate::config::storage::Tls;
use crate::config::{Environment, RedisUrl, Secret};

/// What connections to `url` are encrypted with.
pub(super) fn tls(
    written: &Written,
    url: &RedisUrl,
    environment: &Environment,
    path: &Path,
    report: &mut Report,
) -> Tls {
    if !url.tls && *written != Written::default() && !report.doubts(path) {
        report.wrong(path, "is for encrypted connections, and these are none; write rediss:// in the URL");
    }
    let mut read = |name: &str, file: &Option<String>, wrong: fn(&str) -> Option<String>| {
        let (file, path) = (file.as_ref()?, path.key(name));
        let problem = match environment.file(file) {
            Ok(text) => match wrong(&text) {
                None => return Some(text),
                Some(wrong) => format!("names {}, {wrong}", report.shown(&path, file)),
            },
            Err(error) => format!("names {}, which cannot be read: {error}", report.shown(&path, file)),
        };
        report.wrong(&path, problem);
        None
    };
    let ca = read("ca", &written.ca, no_authorities);
    let certificate = read("certificate", &written.certificate, no_certificates);
    let key = read("key", &written.key, no_key);
    for (given, other, name, missing) in [
        (&written.certificate, &written.key, "certificate", "key: /path/key.pem, the private key of it"),
        (
            &written.key,
            &written.certificate,
            "key",
            "certificate: /path/certificate.pem, which it is the key of",
        ),
    ] {
        if given.is_some() && other.is_none() {
            report.wrong_key(&path.key(name), format!("is of no use alone; write {missing}"));
        }
    }
    Tls { ca, client: certificate.zip(key.map(|key| Secret::from(key.as_str()))) }
}

/// What is wrong with a text of certificates.
fn no_certificates(pem: &str) -> Option<String> {
    let mut certificates = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        if let Err(error) = certificate {
            return Some(format!("which cannot be read as PEM: {error}"));
        }
        certificates += 1;
    }
    (certificates == 0).then(|| "which has no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned())
}

/// What is wrong with a text of authorities' certificates.
fn no_authorities(pem: &str) -> Option<String> {
    no_certificates(pem).or_else(|| {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten();
        let mut refused = certificates.map(|certificate| RootCertStore::empty().add(certificate));
        let error = refused.find_map(Result::err)?;
        Some(format!("where a certificate is none: {error}"))
    })
}

/// What is wrong with a text of a private key.
fn no_key(pem: &str) -> Option<String> {
    let wrong = PrivateKeyDer::from_pem_slice(pem.as_bytes()).is_err();
    wrong.then(|| "which has no private key in PEM (-----BEGIN PRIVATE KEY-----)".to_owned())
}
