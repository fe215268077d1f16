//! A provider's answer to an embedding call, read strictly, and the answer a client gets.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::input::Api;
use super::vector::Floats;

/// Why an answer gives no vectors. A vector put to the wrong text would go unnoticed for ever, so
/// nothing about an answer is guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It is not of the API's form.
    #[error("not an answer of the expected form")]
    Form,
    /// It says that it is an error.
    #[error("an error inside the answer")]
    Error,
    /// There are more or fewer vectors than inputs.
    #[error("another number of vectors than of inputs")]
    Count,
    /// The vectors are not numbered 0, 1, 2 … as they stand.
    #[error("vectors out of order")]
    Order,
    /// Not all vectors have the same number of dimensions.
    #[error("vectors of different dimensions")]
    Dimensions,
}

#[derive(Deserialize)]
struct OpenAiAnswer<'a> {
    #[serde(borrow)]
    data: Option<Vec<Item<'a>>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    embedding: Vector<'a>,
}

#[derive(Deserialize)]
struct GeminiAnswer<'a> {
    embedding: Option<Values>,
    embeddings: Option<Vec<Values>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Values {
    values: Vec<f32>,
}

/// A vector as a list of numbers or as base64, whichever was asked for.
enum Vector<'a> {
    Numbers(Vec<f32>),
    Base64(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Vector<'a> {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Vector<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of numbers or base64")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Vector::Base64(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Vector::Base64(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut numbers = Vec::with_capacity(1536);
                // Read as 32-bit floats at once: by way of 64 bits they would be rounded twice.
                while let Some(number) = items.next_element::<f32>()? {
                    numbers.push(number);
                }
                Ok(Vector::Numbers(numbers))
            }
        }
        parser.deserialize_any(Read)
    }
}

/// Reads the vectors of an answer to a call with `asked` inputs, in the order of these.
///
/// # Errors
/// It is not beyond doubt which vector is whose.
pub fn read(api: Api, body: &[u8], asked: usize) -> Result<Vec<Floats>, Broken> {
    let vectors = match api {
        Api::OpenAi => openai(body)?,
        Api::GeminiOne | Api::GeminiBatch => gemini(body)?,
    };
    if vectors.len() != asked {
        return Err(Broken::Count);
    }
    let dimensions = vectors.first().map(Floats::dimensions);
    let alike = vectors.iter().all(|vector| Some(vector.dimensions()) == dimensions);
    if alike { Ok(vectors) } else { Err(Broken::Dimensions) }
}

fn openai(body: &[u8]) -> Result<Vec<Floats>, Broken> {
    let answer: OpenAiAnswer = serde_json::from_slice(body).map_err(|_| Broken::Form)?;
    if says_error(answer.error) {
        return Err(Broken::Error);
    }
    let data = answer.data.ok_or(Broken::Form)?;
    // Some compatible servers number nothing; then the order is all there is, as with Gemini.
    let numbered = data.iter().any(|item| item.index.is_some());
    let in_order = data.iter().enumerate().all(|(position, item)| item.index == Some(position));
    if numbered && !in_order {
        return Err(Broken::Order);
    }
    let floats = |item: Item| match item.embedding {
        Vector::Numbers(numbers) => Floats::of(&numbers),
        Vector::Base64(text) => Floats::from_base64(&text),
    };
    data.into_iter().map(floats).collect::<Option<_>>().ok_or(Broken::Form)
}

fn gemini(body: &[u8]) -> Result<Vec<Floats>, Broken> {
    let answer: GeminiAnswer = serde_json::from_slice(body).map_err(|_| Broken::Form)?;
    if says_error(answer.error) {
        return Err(Broken::Error);
    }
    let vectors = match (answer.embedding, answer.embeddings) {
        (Some(one), None) => vec![one],
        (None, Some(many)) => many,
        _ => return Err(Broken::Form),
    };
    vectors.iter().map(|vector| Floats::of(&vector.values)).collect::<Option<_>>().ok_or(Broken::Form)
}

fn says_error(error: Option<&RawValue>) -> bool {
    error.is_some_and(|error| !matches!(error.get(), "null" | "false" | "\"\""))
}

/// Writes an answer with these vectors, in order. `tokens` is the usage, where it is known.
pub fn write<'v>(
    api: Api,
    base64: bool,
    vectors: impl ExactSizeIterator<Item = &'v Floats>,
    model: &str,
    tokens: Option<u64>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + vectors.len() * if base64 { 8300 } else { 20_000 });
    match api {
        Api::OpenAi => {
            out.extend_from_slice(br#"{"object":"list","data":["#);
            for (index, vector) in vectors.enumerate() {
                out.extend_from_slice(if index > 0 { b"," } else { b"" });
                out.extend_from_slice(br#"{"object":"embedding","index":"#);
                out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
                out.extend_from_slice(br#","embedding":"#);
                if base64 {
                    vector.write_base64(&mut out)
                } else {
                    vector.write_json(&mut out)
                }
                out.push(b'}');
            }
            out.extend_from_slice(br#"],"model":"#);
            // Writing to a vector cannot fail, and a text has a JSON form.
            let _ = serde_json::to_writer(&mut out, model);
            if let Some(tokens) = tokens {
                let mut digits = itoa::Buffer::new();
                let tokens = digits.format(tokens).as_bytes();
                for part in [br#","usage":{"prompt_tokens":"#, tokens, br#","total_tokens":"#, tokens, b"}"] {
                    out.extend_from_slice(part);
                }
            }
        }
        Api::GeminiOne | Api::GeminiBatch => {
            let many = api == Api::GeminiBatch;
            out.extend_from_slice(if many { br#"{"embeddings":["# } else { br#"{"embedding":"# });
            for (index, vector) in vectors.enumerate() {
                out.extend_from_slice(if index > 0 { br#",{"values":"# } else { br#"{"values":"# });
                vector.write_json(&mut out);
                out.push(b'}');
            }
            out.extend_from_slice(if many { b"]" } else { b"" });
            if let Some(tokens) = tokens {
                out.extend_from_slice(br#","usageMetadata":{"promptTokenCount":"#);
                out.extend_from_slice(itoa::Buffer::new().format(tokens).as_bytes());
                out.push(b'}');
            }
        }
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai(data: &str, asked: usize) -> Result<usize, Broken> {
        let body = format!(r#"{{"object":"list","data":[{data}],"model":"m"}}"#);
        read(Api::OpenAi, body.as_bytes(), asked).map(|vectors| vectors.len())
    }

    #[test]
    fn only_an_answer_beyond_doubt_gives_vectors() {
        assert_eq!(openai(r#"{"index":0,"embedding":[0.5]},{"index":1,"embedding":"AAAAAA=="}"#, 2), Ok(2));
        assert_eq!(openai(r#"{"embedding":[0.5]},{"embedding":[1]}"#, 2), Ok(2));
        for (data, broken) in [
            (r#"{"index":0,"embedding":[0.5]}"#, Broken::Count),
            (r#"{"index":1,"embedding":[0.5]},{"index":0,"embedding":[1]}"#, Broken::Order),
            (r#"{"index":0,"embedding":[0.5]},{"index":0,"embedding":[1]}"#, Broken::Order),
            (r#"{"index":0,"embedding":[0.5]},{"embedding":[1]}"#, Broken::Order),
            (r#"{"index":0,"embedding":[0.5]},{"index":1,"embedding":[1,2]}"#, Broken::Dimensions),
            (r#"{"index":0,"embedding":[]},{"index":1,"embedding":[]}"#, Broken::Form),
            (r#"{"index":0,"embedding":[1e60]},{"index":1,"embedding":[1]}"#, Broken::Form),
            (r#"{"index":0,"embedding":null},{"index":1,"embedding":[1]}"#, Broken::Form),
        ] {
            assert_eq!(openai(data, 2), Err(broken), "{data}");
        }
        let error = br#"{"error":{"message":"no"}}"#;
        assert_eq!(read(Api::OpenAi, error, 1).unwrap_err(), Broken::Error);
        assert_eq!(read(Api::GeminiOne, error, 1).unwrap_err(), Broken::Error);
        assert_eq!(read(Api::OpenAi, b"<html>", 1).unwrap_err(), Broken::Form);
    }

    #[test]
    fn what_is_written_reads_back() {
        let vectors = [Floats::of(&[0.1, -0.2]).unwrap(), Floats::of(&[3.0, 1e-9]).unwrap()];
        for (api, base64) in [(Api::OpenAi, false), (Api::OpenAi, true), (Api::GeminiBatch, false)] {
            let body = write(api, base64, vectors.iter(), "m\"", Some(7));
            assert_eq!(read(api, &body, 2).unwrap(), vectors);
            assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        }
        let one = write(Api::GeminiOne, false, vectors[..1].iter(), "m", None);
        assert_eq!(one, br#"{"embedding":{"values":[0.1,-0.2]}}"#);
    }
}
