//! One vector: raw 32-bit floats, shown as JSON numbers or as base64.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

/// Bytes of one number.
const WIDTH: usize = size_of::<f32>();

/// The numbers of a vector as little-endian IEEE 754 binary32, one after the other: what OpenAI's
/// `base64` form encodes. Never empty, every number finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floats(Bytes);

impl Floats {
    /// A vector of these numbers; `None` where there are none, or one is not finite.
    pub fn of(numbers: &[f32]) -> Option<Self> {
        if numbers.is_empty() || !numbers.iter().all(|number| number.is_finite()) {
            return None;
        }
        Some(Self(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()))
    }

    /// A vector from its base64 form; `None` where that holds no whole number of finite floats.
    pub fn from_base64(text: &str) -> Option<Self> {
        Self::from_bytes(BASE64_STANDARD.decode(text).ok()?.into())
    }

    /// A vector from its bytes; `None` where they are no whole number of finite floats.
    pub fn from_bytes(bytes: Bytes) -> Option<Self> {
        let whole = !bytes.is_empty() && bytes.len().is_multiple_of(WIDTH);
        let floats = Self(bytes);
        (whole && floats.iter().all(f32::is_finite)).then_some(floats)
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = f32> {
        let (numbers, _) = self.0.as_chunks::<WIDTH>();
        numbers.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    /// How many numbers there are.
    pub fn dimensions(&self) -> usize {
        self.0.len() / WIDTH
    }

    /// The bytes it takes.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Appends the vector as a JSON array. Each number has the fewest digits that lead back to the
    /// same 32-bit float, so whoever reads it as one has it bit for bit.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, number) in self.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            // Writing to a vector cannot fail, and a finite number has a JSON form.
            let _ = serde_json::to_writer(&mut *out, &number);
        }
        out.push(b']');
    }

    /// Appends the vector as a JSON string of base64 (standard alphabet, padded).
    pub fn write_base64(&self, out: &mut Vec<u8>) {
        let start = out.len() + 1;
        let length = self.0.len().div_ceil(3) * 4;
        out.push(b'"');
        out.resize(start + length, 0);
        // The room is exactly what the encoding takes.
        let _ = BASE64_STANDARD.encode_slice(&self.0, &mut out[start..]);
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_lead_back_to_the_same_bits() {
        let numbers = [0.1, -0.0, 1.0, f32::MIN_POSITIVE, f32::MAX, 1e-45, -0.006_929_283_4];
        let floats = Floats::of(&numbers).unwrap();
        let (mut json, mut base64) = (Vec::new(), Vec::new());
        floats.write_json(&mut json);
        floats.write_base64(&mut base64);
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&serde_json::from_slice::<Vec<f32>>(&json).unwrap()), bits(&numbers));
        let text: String = serde_json::from_slice(&base64).unwrap();
        assert_eq!(Floats::from_base64(&text).unwrap(), floats);
    }

    #[test]
    fn what_is_no_vector_is_none() {
        assert_eq!(Floats::of(&[]), None);
        assert_eq!(Floats::of(&[0.5, f32::NAN]), None);
        let infinite = BASE64_STANDARD.encode(f32::INFINITY.to_le_bytes());
        for text in ["", "AAA", "AAAA", "!", infinite.as_str()] {
            assert_eq!(Floats::from_base64(text), None, "{text}");
        }
        assert_eq!(Floats::from_base64("AAAAAA==").unwrap().dimensions(), 1);
    }
}
