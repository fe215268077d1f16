//! What is stored as bytes, for the tiers outside this process.
//!
//! Fields in a fixed order; a change of it is a new version of the envelope. Times are wall time:
//! another process has other instants.

use std::sync::Arc;

use bytes::Bytes;

use super::stored::Stored;
use crate::io::clock::Clock;
use crate::io::envelope::{Envelope, Refused};
use crate::request::key::CacheKey;
use crate::response::packed::{Packer, Unpacker};

/// Turns what is stored into bytes and back.
pub struct Codec {
    envelope: Arc<Envelope>,
    clock: Clock,
}

impl Codec {
    /// A codec that writes with `envelope`.
    pub fn new(envelope: Arc<Envelope>, clock: Clock) -> Self {
        Self { envelope, clock }
    }

    /// Something stored as it is written.
    pub fn encode(&self, stored: &dyn Stored) -> Option<Vec<u8>> {
        let mut out = Packer::with_capacity(usize::try_from(stored.weight()).unwrap_or(0));
        out.duration(self.clock.unix().saturating_sub(stored.age(self.clock.now())));
        stored.pack(&mut out);
        self.envelope.wrap(stored.key().bytes(), &out.into_bytes(), stored.compresses())
    }

    /// What was written for `key`.
    ///
    /// # Errors
    /// It is not one of ours, or no longer as we wrote it.
    pub fn decode<T: Stored>(&self, key: CacheKey, wrapped: Vec<u8>) -> Result<T, Refused> {
        let payload = Bytes::from(self.envelope.open(key.bytes(), wrapped)?);
        self.read(key, payload).ok_or(Refused::Damaged)
    }

    fn read<T: Stored>(&self, key: CacheKey, payload: Bytes) -> Option<T> {
        let mut from = Unpacker::new(payload);
        let age = self.clock.unix().saturating_sub(from.duration()?);
        T::unpack(key, self.clock.now().checked_sub(age)?, &mut from)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue, StatusCode};
    use proptest::prelude::*;

    use super::*;
    use crate::cache::entry::Entry;
    use crate::response::price::Cost;
    use crate::response::recording::Form;
    use crate::response::usage::{ServiceTier, Usage};

    fn codec() -> Codec {
        Codec::new(Arc::new(Envelope::new(&[], 1 << 20)), Clock::system())
    }

    fn entry(body: Vec<u8>, events: bool, tags: Vec<String>, usage: Option<(u64, u64)>) -> Entry {
        let mut headers = HeaderMap::new();
        headers.append("content-type", HeaderValue::from_static("application/json"));
        headers.append("x-many", HeaderValue::from_static("1"));
        headers.append("x-many", HeaderValue::from_static("2"));
        Entry {
            key: CacheKey::from_bytes([9; 32]),
            status: StatusCode::OK,
            headers,
            form: if events { Form::Events } else { Form::Whole },
            body: body.into(),
            usage: usage.map(|(input, output)| Usage {
                input,
                output,
                tier: ServiceTier::Priority,
                estimated: true,
                ..Usage::default()
            }),
            cost: usage.map(|(input, _)| Cost::from_pico_usd(input)),
            model: tags.first().map(|tag| tag.as_str().into()),
            provider: "sim".into(),
            tenant: "acme".into(),
            tags: tags.into_iter().map(String::into_boxed_str).collect(),
            stored: Clock::system().now() - Duration::from_secs(7),
            ttl: Duration::from_secs(60),
            generation: 3,
            proof: OnceLock::new(),
        }
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_as_it_was(
            body in proptest::collection::vec(any::<u8>(), 0..4000),
            events: bool,
            tags in proptest::collection::vec(".{0,20}", 0..4),
            usage in proptest::option::of((any::<u64>(), any::<u64>())),
        ) {
            let entry = entry(body, events, tags, usage);
            let back: Entry = codec().decode(entry.key, codec().encode(&entry).unwrap()).unwrap();
            let facts = |entry: &Entry| {
                (
                    (entry.key, entry.status, entry.headers.clone(), entry.form, entry.body.clone()),
                    (entry.usage, entry.cost, entry.model.clone(), entry.provider.clone()),
                    (entry.tenant.clone(), entry.tags.clone(), entry.ttl, entry.generation),
                )
            };
            prop_assert_eq!(facts(&back), facts(&entry));
            let now = Clock::system().now();
            prop_assert!(back.age(now).abs_diff(entry.age(now)) < Duration::from_secs(1));
        }

        #[test]
        fn no_bytes_bring_the_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let key = CacheKey::from_bytes([9; 32]);
            let _: Option<Entry> = codec().read(key, bytes.into());
        }
    }
}
