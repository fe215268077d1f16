//! Who asks: a credential, never kept, and the tenant it speaks for.

use std::borrow::Cow;
use std::fmt::Write;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use crate::config::TenantSource;

/// The header fields that say whose account is used. Their values are hashed, never stored.
pub const CREDENTIAL_FIELDS: [HeaderName; 7] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("anthropic-workspace-id"),
];

/// A keyed digest that stands for a caller's credential; it reveals nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credential(pub [u8; 16]);

/// Who sent a request.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Stands for the key the client sent.
    pub credential: Credential,
    /// The tenant's name: what its header says, or `key-` and part of the credential's digest.
    pub tenant: Box<str>,
}

/// The secret that keys every digest of this installation.
#[derive(Clone, Copy)]
pub struct Secret(pub [u8; 32]);

impl Identity {
    /// Reads who sent `head`; `sources` are tried in order for the tenant's name.
    pub fn of(head: &Parts, sources: &[TenantSource], secret: &Secret) -> Self {
        let credential = Credential::of(head, secret);
        let named = sources.iter().find_map(|source| match source {
            TenantSource::Header(name) => {
                header_text(&head.headers, name).map(|text| tenant_name(text, secret))
            }
            TenantSource::Credential => Some(credential.name()),
        });
        Self { credential, tenant: named.unwrap_or_else(|| Box::from("default")) }
    }
}

impl Identity {
    /// A hash of the tenant's name that is the same in every run: what shares of tenants go by.
    pub fn hash(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.tenant.as_bytes())
    }
}

impl Credential {
    fn of(head: &Parts, secret: &Secret) -> Self {
        // Gathered first: one short message is hashed faster at once than piece by piece.
        let mut parts = Vec::with_capacity(256);
        for (tag, name) in (0u8..).zip(&CREDENTIAL_FIELDS) {
            for value in head.headers.get_all(name) {
                parts.push(tag);
                parts.extend_from_slice(&(value.len() as u64).to_le_bytes());
                parts.extend_from_slice(value.as_bytes());
            }
        }
        if let Some(key) = head.uri.query().and_then(query_key) {
            parts.push(u8::MAX);
            parts.extend_from_slice(key.as_bytes());
        }
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::keyed_hash(&secret.0, &parts).as_bytes()[..16]);
        Self(short)
    }

    /// The whole digest as text: a name that no other credential has.
    pub fn full_name(self) -> String {
        format!("key-{:032x}", u128::from_be_bytes(self.0))
    }

    /// A name fit for labels and logs.
    pub fn name(self) -> Box<str> {
        let mut name = String::with_capacity(12);
        name.push_str("key-");
        for byte in &self.0[..4] {
            let _ = write!(name, "{byte:02x}");
        }
        name.into_boxed_str()
    }
}

/// The value of Gemini's `?key=`.
fn query_key(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("key="))
}

/// A query without `key` and `alt`, which say who asks and how to frame the answer, not what.
pub fn query_asked(query: &str) -> Cow<'_, str> {
    let asked = |pair: &&str| !pair.starts_with("key=") && !pair.starts_with("alt=");
    if query.split('&').all(|pair| asked(&pair)) {
        return Cow::Borrowed(query);
    }
    Cow::Owned(query.split('&').filter(asked).collect::<Vec<_>>().join("&"))
}

/// A tenant's name as its header says; one too long for a label or a log line is shortened to a
/// digest, so that two of them stay two.
fn tenant_name(text: &str, secret: &Secret) -> Box<str> {
    const LONGEST: usize = 128;
    if text.len() <= LONGEST {
        return Box::from(text);
    }
    let digest = blake3::keyed_hash(&secret.0, text.as_bytes()).to_hex();
    format!("long-{}", &digest[..32]).into_boxed_str()
}

fn header_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)], uri: &str) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn credential(fields: &[(&str, &str)], uri: &str) -> Credential {
        Credential::of(&head(fields, uri), &Secret([7; 32]))
    }

    #[test]
    fn every_part_of_a_credential_tells_callers_apart() {
        let base = credential(&[("authorization", "Bearer a")], "/");
        assert_eq!(base, credential(&[("authorization", "Bearer a"), ("user-agent", "x")], "/?a=1"));
        for other in [
            credential(&[("authorization", "Bearer b")], "/"),
            credential(&[("x-api-key", "Bearer a")], "/"),
            credential(&[("authorization", "Bearer a"), ("openai-project", "p")], "/"),
            credential(&[("authorization", "Bearer a")], "/?key=a"),
            credential(&[], "/"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_tenant_is_the_first_source_that_is_present() {
        let sources =
            [TenantSource::Header(HeaderName::from_static("x-tenant-id")), TenantSource::Credential];
        let named = Identity::of(&head(&[("x-tenant-id", " acme ")], "/"), &sources, &Secret([7; 32]));
        assert_eq!(&*named.tenant, "acme");
        let keyed = Identity::of(&head(&[("authorization", "Bearer a")], "/"), &sources, &Secret([7; 32]));
        assert!(keyed.tenant.starts_with("key-") && keyed.tenant.len() == 12);
        assert_eq!(&*Identity::of(&head(&[], "/"), &sources[..1], &Secret([7; 32])).tenant, "default");
    }

    #[test]
    fn a_query_key_is_not_part_of_what_is_asked() {
        assert_eq!(query_asked("alt=sse&a=1&key=s"), "a=1");
        assert!(matches!(query_asked("beta=true"), Cow::Borrowed("beta=true")));
    }
}
