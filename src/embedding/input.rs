//! What an embedding request asks: its inputs, each by itself, and everything else, to be sent on.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::request::endpoint::Endpoint;

/// Members that ask for numbers other than 32-bit floats (Voyage, Cohere): such answers are not
/// taken apart.
const OTHER_NUMBERS: [&str; 3] = ["output_dtype", "embedding_types", "embedding_type"];

/// The member that says how vectors are written, which is no part of what they are.
pub const FORMAT: &str = "encoding_format";

/// The member that says for whom, which changes no vector.
pub const USER: &str = "user";

/// How an API writes a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// OpenAI `/v1/embeddings`.
    OpenAi,
    /// Gemini `embedContent`: one input, which is the whole body.
    GeminiOne,
    /// Gemini `batchEmbedContents`.
    GeminiBatch,
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'b> {
    /// A text.
    Text(Cow<'b, str>),
    /// A text as its tokens.
    Tokens(Vec<u64>),
    /// A Gemini request for one content, as it is written.
    Content(&'b str),
}

/// An embedding request taken apart.
#[derive(Debug)]
pub struct Asked<'b> {
    /// How it is written.
    pub api: Api,
    /// The inputs in the order asked; never empty.
    pub inputs: Vec<Input<'b>>,
    /// Vectors are wanted as base64.
    pub base64: bool,
    /// All other members in their order, as written.
    pub others: Vec<(Cow<'b, str>, &'b str)>,
}

impl<'b> Asked<'b> {
    /// Takes a body apart. `None` where anything about it is unusual: such a request is sent as it is.
    pub fn read(endpoint: Endpoint, body: &'b [u8]) -> Option<Self> {
        let members: Members = serde_json::from_slice(body).ok()?;
        match endpoint {
            Endpoint::Embeddings => Self::openai(members.0),
            Endpoint::BatchEmbedContents => Self::batch(members.0),
            Endpoint::EmbedContent => {
                members.0.iter().any(|(name, _)| name == "content").then_some(())?;
                let content = Input::Content(std::str::from_utf8(body).ok()?);
                Some(Self { api: Api::GeminiOne, inputs: vec![content], base64: false, others: Vec::new() })
            }
            _ => None,
        }
    }

    fn openai(mut members: Vec<(Cow<'b, str>, &'b str)>) -> Option<Self> {
        let at = members.iter().position(|(name, _)| name == "input")?;
        let (_, input) = members.remove(at);
        let OpenAiInputs(inputs) = serde_json::from_str(input).ok()?;
        let format = members.iter().find(|(name, _)| name == FORMAT).map_or("null", |(_, format)| format);
        let base64 = match format {
            "null" | "\"float\"" => false,
            "\"base64\"" => true,
            _ => return None,
        };
        let plain = !members.iter().any(|(name, _)| OTHER_NUMBERS.contains(&&**name));
        plain.then_some(Self { api: Api::OpenAi, inputs, base64, others: members })
    }

    fn batch(mut members: Vec<(Cow<'b, str>, &'b str)>) -> Option<Self> {
        let at = members.iter().position(|(name, _)| name == "requests")?;
        let (_, requests) = members.remove(at);
        let requests: Vec<&RawValue> = serde_json::from_str(requests).ok()?;
        let whole = !requests.is_empty() && requests.iter().all(|request| request.get().starts_with('{'));
        let inputs = requests.iter().map(|request| Input::Content(request.get())).collect();
        whole.then_some(Self { api: Api::GeminiBatch, inputs, base64: false, others: members })
    }
}

impl Input<'_> {
    /// The input as it is sent.
    pub fn json(&self) -> Vec<u8> {
        match self {
            // A text and a list of numbers have a JSON form.
            Self::Text(text) => serde_json::to_vec(text).unwrap_or_default(),
            Self::Tokens(tokens) => serde_json::to_vec(tokens).unwrap_or_default(),
            Self::Content(content) => content.as_bytes().to_vec(),
        }
    }

    /// About how many tokens it has, at least 1: a third of its bytes, since code and scripts other
    /// than Latin have fewer bytes to a token than the usual four.
    pub fn estimate(&self) -> u64 {
        let tokens = match self {
            Self::Text(text) => text.len().div_ceil(3),
            Self::Tokens(tokens) => tokens.len(),
            Self::Content(content) => content.len().div_ceil(3),
        };
        (tokens as u64).max(1)
    }
}

/// The members of an object in their order; two of one name are an error.
struct Members<'b>(Vec<(Cow<'b, str>, &'b str)>);

impl<'de: 'b, 'b> Deserialize<'de> for Members<'b> {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de str)> = Vec::with_capacity(4);
                while let Some((Text(name), value)) = map.next_entry::<Text, &'de RawValue>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a member stands there twice"));
                    }
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }
        parser.deserialize_map(Read)
    }
}

/// A string, borrowed where it has no escapes.
struct Text<'b>(Cow<'b, str>);

/// `input`: a text, several, the tokens of one, or of several.
struct OpenAiInputs<'b>(Vec<Input<'b>>);

/// One item of a list of inputs.
enum Item<'b> {
    Token(u64),
    Input(Input<'b>),
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Text<'b> {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        parser.deserialize_str(TextVisitor).map(Text)
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for OpenAiInputs<'b> {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = OpenAiInputs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a text, tokens, or a list of them")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                TextVisitor.visit_borrowed_str(text).map(|text| OpenAiInputs(vec![Input::Text(text)]))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                TextVisitor.visit_str(text).map(|text| OpenAiInputs(vec![Input::Text(text)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let (mut tokens, mut inputs) = (Vec::new(), Vec::new());
                while let Some(item) = items.next_element()? {
                    match item {
                        Item::Token(token) => tokens.push(token),
                        Item::Input(input) => inputs.push(input),
                    }
                }
                match (tokens.is_empty(), inputs.is_empty()) {
                    (true, false) => Ok(OpenAiInputs(inputs)),
                    (false, true) => Ok(OpenAiInputs(vec![Input::Tokens(tokens)])),
                    _ => Err(A::Error::custom("neither one input nor a list of them")),
                }
            }
        }
        parser.deserialize_any(Read)
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Item<'b> {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Item<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a text, a token, or a list of tokens")
            }

            fn visit_u64<E>(self, token: u64) -> Result<Self::Value, E> {
                Ok(Item::Token(token))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                TextVisitor.visit_borrowed_str(text).map(|text| Item::Input(Input::Text(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                TextVisitor.visit_str(text).map(|text| Item::Input(Input::Text(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut tokens = Vec::new();
                while let Some(token) = items.next_element()? {
                    tokens.push(token);
                }
                Ok(Item::Input(Input::Tokens(tokens)))
            }
        }
        parser.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(input: &str) -> Option<Vec<Input<'static>>> {
        let body = format!(r#"{{"model":"m","input":{input},"dimensions":3}}"#).leak();
        Asked::read(Endpoint::Embeddings, body.as_bytes()).map(|asked| asked.inputs)
    }

    fn text(text: &'static str) -> Input<'static> {
        Input::Text(text.into())
    }

    #[test]
    fn every_form_of_input_is_told_apart() {
        assert_eq!(inputs(r#""a\n""#), Some(vec![text("a\n")]));
        assert_eq!(inputs(r#"["a","b","\u0061",""]"#), Some(vec![text("a"), text("b"), text("a"), text("")]));
        assert_eq!(inputs("[1,2]"), Some(vec![Input::Tokens(vec![1, 2])]));
        assert_eq!(
            inputs(r#"[[1],"a",[2,3]]"#),
            Some(vec![Input::Tokens(vec![1]), text("a"), Input::Tokens(vec![2, 3])])
        );
        for strange in
            ["[]", "null", "7", "{}", r#"[1,"a"]"#, "[1.5]", "[-1]", "[[[1]]]", "[null]", "[[\"a\"]]"]
        {
            assert_eq!(inputs(strange), None, "{strange}");
        }
    }

    #[test]
    fn all_else_is_kept_as_written_and_what_is_unusual_is_left_alone() {
        let read = |body: &'static str| Asked::read(Endpoint::Embeddings, body.as_bytes());
        let asked =
            read(r#"{"dimensions": 2.0,"input":"a","encoding_format":"base64","x":{"y":[1, 2]}}"#).unwrap();
        assert!(asked.base64);
        let others: Vec<_> = asked.others.iter().map(|(name, value)| (&**name, *value)).collect();
        assert_eq!(
            others,
            [("dimensions", "2.0"), ("encoding_format", "\"base64\""), ("x", "{\"y\":[1, 2]}")]
        );
        for strange in [
            "{}",
            "[]",
            r#"{"input":"a","input":"b"}"#,
            r#"{"input":"a","encoding_format":"int8"}"#,
            r#"{"input":"a","output_dtype":"int8"}"#,
            r#"{"input":"a"} x"#,
        ] {
            assert!(read(strange).is_none(), "{strange}");
        }
    }

    #[test]
    fn gemini_asks_for_one_content_or_for_many() {
        let one = br#"{"content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING"}"#;
        assert_eq!(Asked::read(Endpoint::EmbedContent, one).unwrap().inputs.len(), 1);
        let many = br#"{"requests":[{"content":{}},{"content":{"a":1}}]}"#;
        let asked = Asked::read(Endpoint::BatchEmbedContents, many).unwrap();
        assert_eq!(asked.inputs[1], Input::Content(r#"{"content":{"a":1}}"#));
        for strange in [r#"{"requests":[]}"#, r#"{"requests":[1]}"#, "{}"] {
            assert!(Asked::read(Endpoint::BatchEmbedContents, strange.as_bytes()).is_none(), "{strange}");
        }
    }
}
