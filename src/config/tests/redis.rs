//! How a Redis is connected to.

use super::{config, problems_in};
use crate::config::{Config, Environment};

/// A self-signed certificate and its key, made for these tests.
fn files() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["redis.internal".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn text(tls: &str) -> String {
    format!("storage:\n  redis:\n    url: rediss://r\n    tls: {{{tls}}}\n")
}

#[test]
fn files_of_certificates_are_read_when_the_configuration_is() {
    let (certificate, key) = files();
    let two = format!("# ours\n{certificate}\n# theirs\n{certificate}");
    let environment = Environment::fixed(&[], &[("/ca", &two), ("/c", &certificate), ("/k", &key)]);
    let config = Config::load(&text("ca: /ca, certificate: /c, key: /k"), &environment).unwrap();
    let tls = config.storage.redis.unwrap().tls;
    assert_eq!(tls.ca.as_deref(), Some(two.as_str()));
    let (shown, its) = tls.client.unwrap();
    assert_eq!((shown, its.expose()), (certificate, key.as_str()));
}

#[test]
fn what_is_no_certificate_is_a_problem_at_its_place() {
    let (certificate, key) = files();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let files = [("/c", &*certificate), ("/k", &*key), ("/text", "hello"), ("/broken", broken)];
    let environment = Environment::fixed(&[], &files);
    for (tls, told) in [
        ("ca: /none", "storage.redis.tls.ca: names \"/none\", which cannot be read: "),
        ("ca: /text", "storage.redis.tls.ca: names \"/text\", which has no certificate in PEM"),
        ("ca: /k", "storage.redis.tls.ca: names \"/k\", which has no certificate in PEM"),
        ("ca: /broken", "storage.redis.tls.ca: names \"/broken\", where a certificate is none: "),
        ("certificate: /c", "storage.redis.tls.certificate: is of no use alone; write key: "),
        ("key: /k", "storage.redis.tls.key: is of no use alone; write certificate: "),
        ("certificate: /c, key: /c", "storage.redis.tls.key: names \"/c\", which has no private key in PEM"),
    ] {
        let problems = problems_in(&text(tls), &environment);
        assert!(matches!(&problems[..], [one] if one.starts_with(told)), "{tls}: {problems:#?}");
        assert!(problems[0].contains("(line 4, column "), "{}", problems[0]);
    }
    let counts = "storage: {counts: {redis: redis://r, tls: {ca: /c}}}";
    let problems = problems_in(counts, &environment);
    assert!(problems[0].starts_with("storage.counts.tls: is for encrypted connections"), "{problems:#?}");
    assert_eq!(config("storage: {redis: {url: rediss://r}}").storage.redis.unwrap().tls.ca, None);
}
