//! The base URL of a provider, taken apart.

use std::fmt;
use std::net::IpAddr;

/// How a provider is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS, verified.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The base URL of a provider, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProviderUrl {
    /// How it is reached.
    pub scheme: Scheme,
    /// Its host: a name or an address, IPv6 without brackets; never empty. Also its TLS server name.
    pub host: String,
    /// Its port, the scheme's own unless written.
    pub port: u16,
    /// The value of the `Host` header: host, and port where it is not the scheme's own.
    pub authority: String,
    /// What stands before every path: empty, or `/` and more, without a `/` at its end.
    pub base_path: String,
}

impl ProviderUrl {
    /// Reads `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// What is wrong and what would be right, without quoting the URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        let example = "such as https://api.openai.com/v1";
        if text.is_empty() {
            return Err(format!("is missing; write the provider's base URL {example}"));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(_) => return Err(format!("is neither http nor https; write a base URL {example}")),
            None => return Err(format!("is not a URL; write a base URL {example}")),
        };
        if rest.contains('#') {
            return Err("has a fragment (#…); write the URL without it".to_owned());
        }
        if rest.contains('?') {
            return Err("has a query (?…), which would be lost; write the URL without it".to_owned());
        }
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err("has a credential (…@); write the URL without it and the key under keys".to_owned());
        }
        let unreadable = || format!("is not a URL that can be called; write a base URL {example}");
        let authority: http::uri::Authority = if authority.is_empty() || authority.starts_with(':') {
            return Err(format!("has no host name; write a base URL {example}"));
        } else {
            authority.parse().map_err(|_| unreadable())?
        };
        let base_path = path.trim_end_matches('/').to_owned();
        if !base_path.is_empty() && base_path.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(unreadable());
        }
        let default_port = if scheme == Scheme::Https { 443 } else { 80 };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if !can_be_named(&host) {
            return Err(format!("has a host name that none can have; write a base URL {example}"));
        }
        let after_host = &authority.as_str()[authority.host().len()..];
        let port = match after_host.strip_prefix(':') {
            None => default_port,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or("has a port that is none; write one from 1 to 65535")?,
        };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let authority = if port == default_port { bracketed } else { format!("{bracketed}:{port}") };
        Ok(Self { scheme, host, port, authority, base_path })
    }
}

/// Whether this can be an address or a name in DNS (or a local one, where `_` is usual).
fn can_be_named(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    host.parse::<IpAddr>().is_ok() || (host.len() <= 253 && host.trim_end_matches('.').split('.').all(label))
}

impl fmt::Display for ProviderUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}://{}{}", self.scheme.name(), self.authority, self.base_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_comes_apart() {
        for (text, scheme, host, port, authority, base_path) in [
            ("https://api.openai.com/v1", Scheme::Https, "api.openai.com", 443, "api.openai.com", "/v1"),
            ("https://API.openai.com", Scheme::Https, "api.openai.com", 443, "api.openai.com", ""),
            ("https://a.example:443/", Scheme::Https, "a.example", 443, "a.example", ""),
            ("http://127.0.0.1:1234/a/b/", Scheme::Http, "127.0.0.1", 1234, "127.0.0.1:1234", "/a/b"),
            ("http://[::1]:80/v1", Scheme::Http, "::1", 80, "[::1]", "/v1"),
            ("http://my_host-1:8000", Scheme::Http, "my_host-1", 8000, "my_host-1:8000", ""),
            ("http://[::1]:81", Scheme::Http, "::1", 81, "[::1]:81", ""),
        ] {
            let url = ProviderUrl::parse(text).expect(text);
            assert_eq!((url.scheme, url.host.as_str(), url.port), (scheme, host, port), "{text}");
            assert_eq!((url.authority.as_str(), url.base_path.as_str()), (authority, base_path), "{text}");
            assert_eq!(ProviderUrl::parse(&url.to_string()), Ok(url), "{text}");
        }
    }

    #[test]
    fn a_wrong_url_says_what_is_wrong() {
        for (text, said) in [
            ("", "is missing"),
            ("api.openai.com", "not a URL"),
            ("ftp://a.example", "neither http nor https"),
            ("https://", "no host name"),
            ("https:///v1", "no host name"),
            ("https://:443/v1", "no host name"),
            ("https://user:pw@a.example", "has a credential"),
            ("https://a.example/v1?key=1", "has a query"),
            ("https://a.example/v1#x", "has a fragment"),
            ("https://a.example:0/", "port"),
            ("https://a.example:99999/", "port"),
            ("https://a.example:/", "port"),
            ("https://a..b/v1", "host name"),
            ("https://$host/v1", "host name"),
            ("https://{host}/v1", "can be called"),
            ("https://[::x]/v1", "host name"),
            ("https://api.openai.com,b/", "host name"),
            ("https://a b/", "can be called"),
            ("https://a.example/ü b", "can be called"),
        ] {
            let problem = ProviderUrl::parse(text).expect_err(text);
            assert!(problem.contains(said), "{text}: {problem}");
            assert!(text.is_empty() || !problem.contains("pw"), "{problem}");
        }
    }
}
