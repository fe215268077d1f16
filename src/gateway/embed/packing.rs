//! Vectors in the tiers of the cache.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::stored::{Marks, Stored};
use crate::embedding::stored::{Origin, Vector};
use crate::embedding::vector::Floats;
use crate::request::key::CacheKey;
use crate::response::packed::{Packer, Unpacker};

/// What a vector takes in memory beside its numbers, in bytes: its key twice, the index, and its facts,
/// which vectors read from a tier below do not share.
const OVERHEAD: u64 = 512;

impl Stored for Vector {
    fn key(&self) -> CacheKey {
        self.key
    }

    fn weight(&self) -> u64 {
        self.floats.bytes().len() as u64 + OVERHEAD
    }

    fn since(&self) -> Instant {
        self.origin.stored
    }

    fn ttl(&self) -> Duration {
        self.origin.ttl
    }

    fn marks(&self) -> Marks<'_> {
        let Origin { tenant, model, .. } = &*self.origin;
        Marks { tenant, model: model.as_deref(), tags: &[], generation: self.generation }
    }

    /// Numbers without a pattern: there is little in them to take off.
    fn compresses(&self) -> bool {
        false
    }

    fn pack(&self, out: &mut Packer) {
        let Origin { model, answered, provider, tenant, ttl, stored: _ } = &*self.origin;
        out.duration(*ttl);
        out.number(self.generation);
        out.name(model.as_deref());
        out.name(answered.as_deref());
        out.text(provider.as_bytes());
        out.text(tenant.as_bytes());
        out.optional(self.tokens.as_ref(), |out, tokens| out.number(*tokens));
        out.cost(self.cost);
        out.text(self.floats.bytes());
    }

    fn unpack(key: CacheKey, stored: Instant, from: &mut Unpacker) -> Option<Self> {
        let (ttl, generation) = (from.duration()?, from.number()?);
        let (model, answered) = (from.name()?, from.name()?);
        let (provider, tenant) = (Arc::from(from.string()?), from.string()?);
        let (tokens, cost) = (from.optional(Unpacker::number)?, from.cost()?);
        let floats = Floats::from_bytes(from.text()?)?;
        let origin = Arc::new(Origin { model, answered, provider, tenant, stored, ttl });
        Some(Self { key, floats, tokens, cost, generation, origin })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn there_and_back(vector: &Vector) -> Option<Vector> {
        let mut out = Packer::default();
        vector.pack(&mut out);
        Vector::unpack(vector.key, vector.origin.stored, &mut Unpacker::new(out.into_bytes().into()))
    }

    proptest! {
        #[test]
        fn a_vector_comes_back_bit_for_bit(
            numbers in proptest::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::ZERO, 1..64),
            tokens: Option<u64>,
            cost: Option<u64>,
            answered in proptest::option::of(".{0,20}"),
        ) {
            let origin = Origin {
                model: Some("m".into()),
                answered: answered.map(String::into_boxed_str),
                provider: "sim".into(),
                tenant: "acme".into(),
                stored: Instant::now(),
                ttl: Duration::from_secs(60),
            };
            let cost = cost.map(crate::response::price::Cost::from_pico_usd);
            let key = CacheKey::from_bytes([9; 32]);
            let floats = Floats::of(&numbers).unwrap();
            let vector = Vector { key, floats, tokens, cost, generation: 3, origin: Arc::new(origin) };
            let back = there_and_back(&vector).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{vector:?}"));
            prop_assert_eq!(back.floats, vector.floats);
        }

        #[test]
        fn no_bytes_bring_the_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let key = CacheKey::from_bytes([9; 32]);
            let _ = Vector::unpack(key, Instant::now(), &mut Unpacker::new(bytes.into()));
        }
    }
}
