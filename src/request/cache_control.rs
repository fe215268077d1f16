//! The request directives of `Cache-Control` (RFC 9111 section 5.2.1, RFC 5861 section 4).

use http::HeaderMap;
use http::header::{CACHE_CONTROL, PRAGMA};

/// RFC 9111 section 1.2.2: larger values are clamped to this.
const MAX_SECONDS: u64 = 1 << 31;

/// What one request wants of the cache. Ages in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// Neither read nor write the cache, nor share a flight.
    pub no_store: bool,
    /// Ask the provider anew; its answer refreshes the cache.
    pub no_cache: bool,
    /// Never ask the provider: 504 where nothing is stored.
    pub only_if_cached: bool,
    /// The oldest answer acceptable.
    pub max_age: Option<u64>,
    /// How long past its lifetime an answer is still acceptable; no value in the header is any age.
    pub max_stale: Option<u64>,
    /// How long the answer must stay fresh.
    pub min_fresh: Option<u64>,
    /// How long past its lifetime an answer may stand in for a failed provider.
    pub stale_if_error: Option<u64>,
}

impl CacheControl {
    /// Reads all `Cache-Control` lines of a request, or `Pragma: no-cache` where there is none.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        if !headers.contains_key(CACHE_CONTROL) {
            control.no_cache =
                headers.get(PRAGMA).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"no-cache"));
            return control;
        }
        for line in headers.get_all(CACHE_CONTROL) {
            for directive in line.to_str().unwrap_or_default().split(',') {
                control.apply(directive.trim());
            }
        }
        control
    }

    fn apply(&mut self, directive: &str) {
        let (name, value) = match directive.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (directive, None),
        };
        match name.to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "only-if-cached" => self.only_if_cached = true,
            // An unreadable age must not make an old answer acceptable.
            "max-age" => self.max_age = Some(value.and_then(seconds).unwrap_or(0)),
            "max-stale" => self.max_stale = value.map_or(Some(MAX_SECONDS), seconds).or(self.max_stale),
            "min-fresh" => self.min_fresh = value.and_then(seconds).or(self.min_fresh),
            "stale-if-error" => self.stale_if_error = value.and_then(seconds).or(self.stale_if_error),
            _ => {}
        }
    }
}

fn seconds(value: &str) -> Option<u64> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(value.parse().unwrap_or(MAX_SECONDS).min(MAX_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> CacheControl {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, line.parse().unwrap());
        }
        CacheControl::of(&headers)
    }

    #[test]
    fn directives_are_read_whatever_their_case_or_line() {
        let control =
            read(&["No-Cache, max-age=60", "MAX-STALE, min-fresh=\"5\", stale-if-error=9, unknown=1"]);
        assert!(control.no_cache && !control.no_store);
        assert_eq!(control.max_age, Some(60));
        assert_eq!(control.max_stale, Some(MAX_SECONDS));
        assert_eq!(control.min_fresh, Some(5));
        assert_eq!(control.stale_if_error, Some(9));
    }

    #[test]
    fn a_senseless_age_never_widens_what_is_acceptable() {
        assert_eq!(read(&["max-age=-1"]).max_age, Some(0));
        assert_eq!(read(&["max-age"]).max_age, Some(0));
        assert_eq!(read(&["max-age=99999999999999999999"]).max_age, Some(MAX_SECONDS));
        assert_eq!(read(&["max-stale=x"]).max_stale, None);
        assert_eq!(read(&["min-fresh=1.5"]).min_fresh, None);
    }

    #[test]
    fn pragma_counts_only_without_cache_control() {
        let mut headers = HeaderMap::new();
        headers.insert(PRAGMA, "no-cache".parse().unwrap());
        assert!(CacheControl::of(&headers).no_cache);
        headers.insert(CACHE_CONTROL, "max-age=3".parse().unwrap());
        assert!(!CacheControl::of(&headers).no_cache);
    }
}
