//! A request as it leaves: the provider's path, its host's headers, its key.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};

use crate::config::{Dialect, Provider};
use crate::dialect::Server;
use crate::request::identity::CREDENTIAL_FIELDS;

/// Fields that are about this connection, this framing or our cache: they end here
/// (RFC 9110 section 7.6.1; the contract's section 3).
const ENDS_HERE: [HeaderName; 16] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::ACCEPT_ENCODING,
    header::CACHE_CONTROL,
    header::PRAGMA,
    HeaderName::from_static("prefer"),
];

/// The path and query of `uri` at `provider`.
///
/// A provider's URL stands for the app's base URL, `http://pareto/v1`: its path takes the place
/// of `/v1`. What is not under `/v1` is asked of the provider's host as it is.
pub fn target(provider: &Provider, uri: &Uri) -> String {
    path(provider, uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
}

/// As [`target`], of a path and query.
pub fn path(provider: &Provider, asked: &str) -> String {
    let asked = if provider.keys.is_empty() { asked.to_owned() } else { without_query_key(asked) };
    let base = provider.url.base_path.as_str();
    match asked.strip_prefix("/v1") {
        Some(rest) if !base.is_empty() && rest.starts_with(['/', '?']) => format!("{base}{rest}"),
        _ => asked,
    }
}

/// The headers of an understood request on its way out. `key` replaces the caller's credential.
pub fn headers(asked: &HeaderMap, provider: &Provider, key: Option<&str>) -> HeaderMap {
    let nominated = asked.get_all(header::CONNECTION);
    let nominated: Vec<&str> = nominated
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut sent = HeaderMap::with_capacity(asked.len() + 1);
    for (name, value) in asked {
        let named = || nominated.iter().any(|nominee| nominee.eq_ignore_ascii_case(name.as_str()));
        if !ends_here(name) && !named() {
            sent.append(name.clone(), value.clone());
        }
    }
    if let Some(key) = key {
        for name in &CREDENTIAL_FIELDS {
            sent.remove(name);
        }
        if let Some((name, value)) = credential(provider, key) {
            sent.insert(name, value);
        }
    }
    sent
}

/// Whether a field goes no further than pareto.
pub fn ends_here(name: &HeaderName) -> bool {
    ENDS_HERE.contains(name) || name == "priority"
}

/// The header that carries a key in a provider's own way.
pub fn credential(provider: &Provider, key: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = match provider.dialect {
        Dialect::Openai if Server::at(&provider.url.host) == Server::Azure => {
            (HeaderName::from_static("api-key"), key.to_owned())
        }
        Dialect::Openai => (header::AUTHORIZATION, format!("Bearer {key}")),
        Dialect::Anthropic => (HeaderName::from_static("x-api-key"), key.to_owned()),
        Dialect::Gemini => (HeaderName::from_static("x-goog-api-key"), key.to_owned()),
    };
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// A caller's own `?key=` (Gemini) must not travel beside the provider's key.
fn without_query_key(asked: &str) -> String {
    let Some((path, query)) = asked.split_once('?') else { return asked.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("key=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    fn provider(url: &str, keys: &str) -> Provider {
        let file = format!("providers: {{p: {{url: \"{url}\", keys: [{keys}]}}}}");
        Config::load(&file, &Environment::fixed(&[], &[])).unwrap().providers[0].clone()
    }

    fn speaking(dialect: Dialect) -> Provider {
        Provider { dialect, ..provider("https://p.example", "") }
    }

    fn at(url: &str, asked: &str) -> String {
        target(&provider(url, ""), &asked.parse().unwrap())
    }

    #[test]
    fn the_providers_base_path_takes_the_place_of_v1() {
        assert_eq!(at("https://api.openai.com/v1", "/v1/chat/completions?a=1"), "/v1/chat/completions?a=1");
        assert_eq!(at("https://api.groq.com/openai/v1", "/v1/models"), "/openai/v1/models");
        assert_eq!(at("http://x/v1beta/openai/", "/v1/embeddings"), "/v1beta/openai/embeddings");
        assert_eq!(at("https://api.anthropic.com", "/v1/messages"), "/v1/messages");
        assert_eq!(at("https://api.groq.com/openai/v1", "/v1beta/models"), "/v1beta/models");
        assert_eq!(at("https://api.groq.com/openai/v1", "/v10/x"), "/v10/x");
    }

    #[test]
    fn a_configured_key_replaces_every_credential_of_the_caller() {
        let mut asked = HeaderMap::new();
        for name in ["authorization", "x-api-key", "x-goog-api-key", "user-agent", "x-custom"] {
            asked.insert(HeaderName::from_static(name), HeaderValue::from_static("callers"));
        }
        let sent = headers(&asked, &speaking(Dialect::Anthropic), Some("ours"));
        assert_eq!(sent["x-api-key"], "ours");
        assert!(!sent.contains_key("authorization") && !sent.contains_key("x-goog-api-key"));
        assert_eq!(sent["x-custom"], "callers");
        assert_eq!(headers(&asked, &speaking(Dialect::Openai), None)["authorization"], "callers");
        let uri = "/v1beta/models/m:generateContent?key=callers&alt=sse".parse().unwrap();
        assert_eq!(target(&provider("https://g", "k"), &uri), "/v1beta/models/m:generateContent?alt=sse");
    }

    #[test]
    fn azure_takes_its_key_in_a_header_of_its_own() {
        let azure = provider("https://mine.openai.azure.com/openai/v1", "");
        let sent = headers(&HeaderMap::new(), &azure, Some("ours"));
        assert_eq!((sent.get("api-key").map(HeaderValue::as_bytes), sent.len()), (Some(&b"ours"[..]), 1));
    }

    #[test]
    fn what_is_about_the_connection_or_our_cache_ends_here() {
        let mut asked = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("x-private", "v"),
            ("host", "v"),
            ("content-length", "3"),
            ("cache-control", "no-cache"),
            ("priority", "u=1"),
            ("prefer", "wait=1"),
            ("accept-encoding", "gzip"),
            ("traceparent", "00-1"),
            ("accept", "*/*"),
        ] {
            asked.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let sent = headers(&asked, &speaking(Dialect::Openai), None);
        assert_eq!(sent.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["traceparent", "accept"]);
    }
}
