//! Values as bytes, for what leaves this process: numbers little-endian, texts behind their length.
//!
//! A change of it is a new version of the envelope around it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::price::Cost;
use super::recording::{Completed, Form, ResponseHead};
use super::usage::{ServiceTier, Usage};

/// Writes values one after the other.
#[derive(Default)]
pub struct Packer(Vec<u8>);

impl Packer {
    /// A packer with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// A number.
    pub fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// A duration, in milliseconds.
    pub fn duration(&mut self, duration: Duration) {
        self.number(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    }

    /// Some bytes.
    pub fn text(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A value that may be missing.
    pub fn optional<T: ?Sized>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// Status, form and headers of an answer, and who gave it.
    pub fn head(&mut self, status: StatusCode, form: Form, headers: &HeaderMap, provider: &str) {
        self.text(provider.as_bytes());
        self.number(u64::from(status.as_u16()));
        self.byte(u8::from(form == Form::Events));
        self.number(headers.len() as u64);
        for (name, value) in headers {
            self.text(name.as_str().as_bytes());
            self.text(value.as_bytes());
        }
    }

    /// Token counts, where there are any.
    pub fn usage(&mut self, usage: Option<&Usage>) {
        self.optional(usage, |out, usage| {
            for count in
                [usage.input, usage.cached_input, usage.cache_write, usage.cache_write_1h, usage.output]
            {
                out.number(count);
            }
            out.byte(usage.tier as u8);
            out.byte(u8::from(usage.estimated));
        });
    }

    /// What it cost, where that is known.
    pub fn cost(&mut self, cost: Option<Cost>) {
        self.optional(cost.as_ref(), |out, cost| out.number(cost.pico_usd()));
    }

    /// A name that may be missing.
    pub fn name(&mut self, name: Option<&str>) {
        self.optional(name, |out, name| out.text(name.as_bytes()));
    }

    /// Some names, behind their number.
    pub fn names(&mut self, names: &[Box<str>]) {
        self.number(names.len() as u64);
        names.iter().for_each(|name| self.text(name.as_bytes()));
    }

    /// What is known of an answer at its end.
    pub fn completed(&mut self, done: &Completed) {
        self.byte(u8::from(done.stored));
        self.duration(done.upstream);
        self.usage(done.usage.as_ref());
        self.cost(done.cost);
        self.name(done.model.as_deref());
    }
}

/// Reads what a [`Packer`] wrote, in the same order; `None` once something is not there.
pub struct Unpacker {
    packed: Bytes,
    at: usize,
}

impl Unpacker {
    /// A reader from the start.
    pub fn new(packed: Bytes) -> Self {
        Self { packed, at: 0 }
    }

    /// Whether all was read.
    pub fn is_at_end(&self) -> bool {
        self.at == self.packed.len()
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.packed.len())?;
        let taken = self.packed.slice(self.at..end);
        self.at = end;
        Some(taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number.
    pub fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.as_ref().try_into().ok()?))
    }

    /// A duration.
    pub fn duration(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_millis)
    }

    /// Some bytes, not copied.
    pub fn text(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// Some UTF-8.
    pub fn string(&mut self) -> Option<Box<str>> {
        let text = self.text()?;
        Some(Box::from(std::str::from_utf8(&text).ok()?))
    }

    /// A value that may be missing: `None` where it cannot be read, `Some(None)` where there is none.
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.byte()? == 0 { Some(None) } else { read(self).map(Some) }
    }

    /// Status, form and headers of an answer, and who gave it. Nothing was tried for it here.
    pub fn head(&mut self) -> Option<ResponseHead> {
        let provider = self.string()?.into();
        let status = StatusCode::from_u16(u16::try_from(self.number()?).ok()?).ok()?;
        let form = if self.byte()? == 1 { Form::Events } else { Form::Whole };
        let count = usize::try_from(self.number()?).ok()?;
        let mut headers = HeaderMap::new();
        for _ in 0..count {
            let name = HeaderName::from_bytes(&self.text()?).ok()?;
            headers.try_append(name, HeaderValue::from_maybe_shared(self.text()?).ok()?).ok()?;
        }
        Some(ResponseHead { status, headers, form, upstream: Duration::ZERO, provider, attempts: 0 })
    }

    /// Token counts, where there are any.
    pub fn usage(&mut self) -> Option<Option<Usage>> {
        self.optional(|from| {
            let (input, cached_input) = (from.number()?, from.number()?);
            let (cache_write, cache_write_1h, output) = (from.number()?, from.number()?, from.number()?);
            let tier = match from.byte()? {
                0 => ServiceTier::Default,
                1 => ServiceTier::Flex,
                2 => ServiceTier::Priority,
                _ => return None,
            };
            let estimated = from.byte()? == 1;
            Some(Usage { input, cached_input, cache_write, cache_write_1h, output, tier, estimated })
        })
    }

    /// What it cost, where that is known.
    pub fn cost(&mut self) -> Option<Option<Cost>> {
        self.optional(|from| from.number().map(Cost::from_pico_usd))
    }

    /// A name that may be missing.
    pub fn name(&mut self) -> Option<Option<Box<str>>> {
        self.optional(Self::string)
    }

    /// Some names, behind their number.
    pub fn names(&mut self) -> Option<Box<[Box<str>]>> {
        // Not gathered by the number alone: what is damaged may say any.
        let count = self.number()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(self.string()?);
        }
        Some(names.into())
    }

    /// What is known of an answer at its end.
    pub fn completed(&mut self) -> Option<Completed> {
        Some(Completed {
            stored: self.byte()? == 1,
            upstream: self.duration()?,
            usage: self.usage()?,
            cost: self.cost()?,
            model: self.name()?,
            resumed: 0,
        })
    }
}
