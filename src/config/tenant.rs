//! Where the name of a tenant comes from.

use http::{HeaderName, header};
use serde_json::Value;

use super::scalar::{Scalar, scalars};

scalars!(TenantSource);

/// One place a tenant's name can come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSource {
    /// The value of a request header.
    Header(HeaderName),
    /// A keyed hash of the caller's credential.
    Credential,
}

impl Scalar for TenantSource {
    const NAME: &'static str = "TenantSource";
    const EXPECTS: &'static str = "header:NAME, such as header:x-tenant-id, or credential";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "header: *[!-~]+|credential";

    fn read(text: &str) -> Result<Self, String> {
        if text == "credential" {
            return Ok(Self::Credential);
        }
        let Some(name) = text.strip_prefix("header:") else {
            return Err(format!("names no tenant; write {}", Self::EXPECTS));
        };
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| "has no valid header name; write one such as header:x-tenant-id")?;
        let standard = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE].contains(&name);
        if standard || ["x-api-key", "api-key", "x-goog-api-key"].contains(&name.as_str()) {
            return Err(
                "would show a credential as a tenant's name; write credential, which uses a hash of it"
                    .to_owned(),
            );
        }
        Ok(Self::Header(name))
    }

    fn json(&self) -> Value {
        match self {
            Self::Header(name) => format!("header:{name}").into(),
            Self::Credential => "credential".into(),
        }
    }
}
