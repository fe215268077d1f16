//! Hashes of requests and texts: what stands for thought in the simulated provider.

use serde_json::Value;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64_with_seed};

use crate::demo::chance::Chance;

/// Request members that change how an answer is delivered or filed, not what it says.
/// Source: the OpenAI API description, and Anthropic's for `metadata` and `service_tier`.
const UNSPOKEN: [&str; 11] = [
    "stream",
    "stream_options",
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "encoding_format",
];

/// A hash of all that decides the answer to a request body, in any member order.
pub fn of_request(seed: u64, body: &Value) -> u64 {
    let mut hasher = Xxh3Default::new();
    if let Value::Object(members) = body {
        let mut sorted: Vec<_> = members
            .iter()
            .filter(|(name, value)| !value.is_null() && !UNSPOKEN.contains(&&***name))
            .collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        for (name, value) in sorted {
            feed_text(&mut hasher, name);
            feed(&mut hasher, value);
        }
    } else {
        feed(&mut hasher, body);
    }
    hasher.digest() ^ Chance::new(seed).next()
}

/// A hash of a text.
pub fn of_text(seed: u64, text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), seed)
}

fn feed(hasher: &mut Xxh3Default, value: &Value) {
    match value {
        Value::Null => hasher.update(b"0"),
        Value::Bool(is) => hasher.update(if *is { b"t" } else { b"f" }),
        Value::Number(number) => {
            hasher.update(b"n");
            hasher.update(&number.as_f64().unwrap_or_default().to_bits().to_le_bytes());
        }
        Value::String(text) => feed_text(hasher, text),
        Value::Array(items) => {
            hasher.update(b"[");
            hasher.update(&items.len().to_le_bytes());
            items.iter().for_each(|item| feed(hasher, item));
        }
        Value::Object(members) => {
            hasher.update(b"{");
            hasher.update(&members.len().to_le_bytes());
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in sorted {
                feed_text(hasher, name);
                feed(hasher, value);
            }
        }
    }
}

fn feed_text(hasher: &mut Xxh3Default, text: &str) {
    hasher.update(b"s");
    hasher.update(&text.len().to_le_bytes());
    hasher.update(text.as_bytes());
}
