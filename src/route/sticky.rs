//! Which provider made what requests refer to by an id: responses and conversations that it keeps,
//! files, batches and vector stores. They are unknown everywhere else.
//!
//! Ids are learnt from the answers to `/v1/responses`. What is made by requests that pass through unread
//! is made at the provider of all such requests, so that an id nobody knows is that one's.

use std::sync::Arc;

use quick_cache::sync::Cache;
use xxhash_rust::xxh3::xxh3_64;

/// The ids remembered; the least useful are forgotten first.
const MOST_IDS: usize = 100_000;

/// How ids of things that a provider keeps begin (OpenAI's; Anthropic's files).
const PREFIXES: [&str; 9] = ["resp_", "conv_", "file-", "file_", "vs_", "batch_", "msg_", "rs_", "fc_"];

/// Characters of an id beyond its prefix, at the least and at the most.
const LENGTH: std::ops::RangeInclusive<usize> = 6..=128;

/// Who made what. Outlives a reload.
pub struct Makers(Cache<u64, Arc<str>>);

impl Default for Makers {
    fn default() -> Self {
        Self(Cache::new(MOST_IDS))
    }
}

impl Makers {
    /// Notes that this provider made everything that an answer gives an id.
    pub fn note(&self, answer: &[u8], provider: &Arc<str>) {
        for id in ids(answer) {
            self.0.insert(xxh3_64(id), provider.clone());
        }
    }

    /// Who made one of the things that a request refers to; `Some(None)` where it refers to some, and
    /// nobody knows who made them.
    pub fn of(&self, request: &[u8]) -> Option<Option<Arc<str>>> {
        let mut refers = None;
        for id in ids(request) {
            let maker = self.0.get(&xxh3_64(id));
            if maker.is_some() {
                return Some(maker);
            }
            refers = Some(None);
        }
        refers
    }

    /// Who made what a path is about, as `/v1/responses/resp_1/input_items`.
    pub fn of_path(&self, path: &str) -> Option<Arc<str>> {
        path.split('/')
            .filter(|part| is_id(part.as_bytes()))
            .find_map(|id| self.0.get(&xxh3_64(id.as_bytes())))
    }
}

/// The JSON strings that are ids.
fn ids(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memchr_iter(b'"', json).filter_map(move |quote| {
        let rest = &json[quote + 1..];
        // Most strings are told by their first bytes.
        PREFIXES.iter().find(|prefix| rest.starts_with(prefix.as_bytes()))?;
        let end = memchr::memchr(b'"', &rest[..rest.len().min(LENGTH.end() + 8)])?;
        Some(&rest[..end]).filter(|id| is_id(id))
    })
}

fn is_id(text: &[u8]) -> bool {
    let Some(prefix) = PREFIXES.iter().find(|prefix| text.starts_with(prefix.as_bytes())) else {
        return false;
    };
    let rest = &text[prefix.len()..];
    LENGTH.contains(&rest.len())
        && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        // Ids are drawn by chance; words that begin like one are not.
        && rest.iter().any(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str) -> Vec<&str> {
        ids(json.as_bytes()).map(|id| std::str::from_utf8(id).unwrap()).collect()
    }

    #[test]
    fn ids_are_told_from_words() {
        assert_eq!(found(r#"{"previous_response_id":"resp_68a1b2c3","input":"x"}"#), ["resp_68a1b2c3"]);
        assert_eq!(
            found(r#"{"vector_store_ids":["vs_abc12345","vs_abc67890"]}"#),
            ["vs_abc12345", "vs_abc67890"]
        );
        for words in [
            r#"{"input":"file-transfer"}"#,
            r#"{"input":"resp_1"}"#,
            r#"{"input":"vs_ 123456789"}"#,
            r#"{"input":"resp_123456"#,
            r#"{"input":"say \"resp_123456\""}"#,
        ] {
            assert_eq!(found(words), Vec::<&str>::new(), "{words}");
        }
    }

    #[test]
    fn a_maker_is_known_by_any_id_of_its_answers() {
        let makers = Makers::default();
        makers.note(br#"{"id":"resp_000001","output":[{"id":"msg_000002"}]}"#, &"a".into());
        let maker = |request: &str| makers.of(request.as_bytes());
        assert_eq!(maker(r#"{"previous_response_id":"resp_000001"}"#), Some(Some("a".into())));
        assert_eq!(
            maker(r#"{"input":[{"type":"item_reference","id":"msg_000002"}]}"#),
            Some(Some("a".into()))
        );
        assert_eq!(maker(r#"{"previous_response_id":"resp_000009"}"#), Some(None));
        assert_eq!(maker(r#"{"input":"hi"}"#), None);
        assert_eq!(makers.of_path("/v1/responses/resp_000001/cancel"), Some("a".into()));
        assert_eq!(makers.of_path("/v1/files/file-000001"), None);
    }
}
