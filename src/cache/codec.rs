//! An entry as bytes, for the tiers outside this process.
//!
//! Fields in a fixed order, numbers little-endian, texts behind their length. A change of it is a new
//! version of the envelope. Times are wall time: another process has other instants.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::entry::Entry;
use super::envelope::{Envelope, Refused};
use crate::io::clock::Clock;
use crate::request::key::CacheKey;
use crate::response::price::Cost;
use crate::response::recording::Form;
use crate::response::usage::{ServiceTier, Usage};

/// Turns entries into bytes and back.
pub struct Codec {
    envelope: Envelope,
    clock: Clock,
}

impl Codec {
    /// A codec that writes with `envelope`.
    pub fn new(envelope: Envelope, clock: Clock) -> Self {
        Self { envelope, clock }
    }

    /// The entry as it is written.
    pub fn encode(&self, entry: &Entry) -> Option<Vec<u8>> {
        let stored = self.clock.unix().saturating_sub(entry.age(self.clock.now()));
        let mut out = Writer(Vec::with_capacity(entry.body.len() + 512));
        out.number(millis(stored));
        out.number(millis(entry.ttl));
        out.number(entry.generation);
        out.number(u64::from(entry.status.as_u16()));
        out.0.push(u8::from(entry.form == Form::Events));
        out.number(entry.headers.len() as u64);
        for (name, value) in &entry.headers {
            out.text(name.as_str().as_bytes());
            out.text(value.as_bytes());
        }
        out.optional(entry.usage.as_ref(), |out, usage| {
            for count in
                [usage.input, usage.cached_input, usage.cache_write, usage.cache_write_1h, usage.output]
            {
                out.number(count);
            }
            out.0.extend_from_slice(&[usage.tier as u8, u8::from(usage.estimated)]);
        });
        out.optional(entry.cost.as_ref(), |out, cost| out.number(cost.pico_usd()));
        out.optional(entry.model.as_deref(), |out, model| out.text(model.as_bytes()));
        out.text(entry.provider.as_bytes());
        out.text(entry.tenant.as_bytes());
        out.optional(entry.tag.as_deref(), |out, tag| out.text(tag.as_bytes()));
        out.text(&entry.body);
        self.envelope.wrap(&entry.key, &out.0)
    }

    /// The entry that was written for `key`.
    ///
    /// # Errors
    /// It is not one of ours, or no longer as we wrote it.
    pub fn decode(&self, key: CacheKey, wrapped: Vec<u8>) -> Result<Entry, Refused> {
        let payload = Bytes::from(self.envelope.open(&key, wrapped)?);
        self.read(key, payload).ok_or(Refused::Damaged)
    }

    fn read(&self, key: CacheKey, payload: Bytes) -> Option<Entry> {
        let mut from = Reader { payload, at: 0 };
        let age = self.clock.unix().saturating_sub(Duration::from_millis(from.number()?));
        let stored = self.clock.now().checked_sub(age)?;
        let ttl = Duration::from_millis(from.number()?);
        let generation = from.number()?;
        let status = StatusCode::from_u16(u16::try_from(from.number()?).ok()?).ok()?;
        let form = if from.byte()? == 1 { Form::Events } else { Form::Whole };
        let count = usize::try_from(from.number()?).ok()?;
        let mut headers = HeaderMap::new();
        for _ in 0..count {
            let name = HeaderName::from_bytes(&from.text()?).ok()?;
            headers.try_append(name, HeaderValue::from_maybe_shared(from.text()?).ok()?).ok()?;
        }
        let usage = from.optional(Reader::usage)?;
        let cost = from.optional(|from| from.number().map(Cost::from_pico_usd))?;
        let model = from.optional(Reader::string)?;
        let provider = from.string()?;
        let tenant = from.string()?;
        let tag = from.optional(Reader::string)?;
        let body = from.text()?;
        Some(Entry {
            key,
            status,
            headers,
            form,
            body,
            usage,
            cost,
            model,
            provider: provider.into(),
            tenant,
            tag,
            stored,
            ttl,
            generation,
            proof: OnceLock::new(),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn optional<T: ?Sized>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Reads what [`Writer`] wrote; `None` once something is not there.
struct Reader {
    payload: Bytes,
    at: usize,
}

impl Reader {
    fn take(&mut self, length: usize) -> Option<Bytes> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.payload.len())?;
        let taken = self.payload.slice(self.at..end);
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.as_ref().try_into().ok()?))
    }

    fn text(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn string(&mut self) -> Option<Box<str>> {
        let text = self.text()?;
        Some(Box::from(std::str::from_utf8(&text).ok()?))
    }

    /// `None` where it cannot be read, `Some(None)` where there is none.
    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.byte()? == 0 { Some(None) } else { read(self).map(Some) }
    }

    fn usage(&mut self) -> Option<Usage> {
        let (input, cached_input) = (self.number()?, self.number()?);
        let (cache_write, cache_write_1h, output) = (self.number()?, self.number()?, self.number()?);
        let tier = match self.byte()? {
            0 => ServiceTier::Default,
            1 => ServiceTier::Flex,
            2 => ServiceTier::Priority,
            _ => return None,
        };
        let estimated = self.byte()? == 1;
        Some(Usage { input, cached_input, cache_write, cache_write_1h, output, tier, estimated })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codec() -> Codec {
        Codec::new(Envelope::new(&[], 1 << 20), Clock::system())
    }

    fn entry(body: Vec<u8>, events: bool, tag: Option<String>, usage: Option<(u64, u64)>) -> Entry {
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
            model: tag.clone().map(String::into_boxed_str),
            provider: "sim".into(),
            tenant: "acme".into(),
            tag: tag.map(String::into_boxed_str),
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
            tag in proptest::option::of(".{0,20}"),
            usage in proptest::option::of((any::<u64>(), any::<u64>())),
        ) {
            let entry = entry(body, events, tag, usage);
            let back = codec().decode(entry.key, codec().encode(&entry).unwrap()).unwrap();
            let facts = |entry: &Entry| {
                (
                    (entry.key, entry.status, entry.headers.clone(), entry.form, entry.body.clone()),
                    (entry.usage, entry.cost, entry.model.clone(), entry.provider.clone()),
                    (entry.tenant.clone(), entry.tag.clone(), entry.ttl, entry.generation),
                )
            };
            prop_assert_eq!(facts(&back), facts(&entry));
            let now = Clock::system().now();
            prop_assert!(back.age(now).abs_diff(entry.age(now)) < Duration::from_secs(1));
        }

        #[test]
        fn no_bytes_bring_the_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let key = CacheKey::from_bytes([9; 32]);
            let _ = codec().read(key, bytes.into());
        }
    }
}
