//! Pieces of provider JSON read without building a tree: borrowed text, presence, errors.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::ProviderError;

/// A string, borrowed from the document where it has no escapes.
#[derive(Debug)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        parser.deserialize_str(Borrow)
    }
}

/// What a value amounts to, without its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gist {
    /// Not null, not an empty string, array or object.
    pub filled: bool,
    /// A string that is one JSON document, or no string at all: what tool arguments must be.
    pub json: bool,
}

impl<'de> Deserialize<'de> for Gist {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        parser.deserialize_any(GistVisitor)
    }
}

struct GistVisitor;

impl GistVisitor {
    const SCALAR: Gist = Gist { filled: true, json: true };
}

impl<'de> Visitor<'de> for GistVisitor {
    type Value = Gist;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Gist, E> {
        Ok(Gist::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Gist, E> {
        Ok(Self::SCALAR)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Gist, E> {
        Ok(Self::SCALAR)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Gist, E> {
        Ok(Self::SCALAR)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Gist, E> {
        Ok(Self::SCALAR)
    }

    fn visit_str<E>(self, text: &str) -> Result<Gist, E> {
        // Prose is told from JSON by its first byte, so that long answers are not parsed.
        let json = text.trim_start().starts_with([
            '{', '[', '"', 't', 'f', 'n', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
        ]) && serde_json::from_str::<IgnoredAny>(text).is_ok();
        Ok(Gist { filled: !text.is_empty(), json })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Gist, A::Error> {
        let mut filled = false;
        while items.next_element::<IgnoredAny>()?.is_some() {
            filled = true;
        }
        Ok(Gist { filled, json: true })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Gist, A::Error> {
        let mut filled = false;
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            filled = true;
        }
        Ok(Gist { filled, json: true })
    }
}

/// Why a choice, a candidate or a message ended, as far as it decides whether the answer is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Finish {
    /// It has not ended.
    #[default]
    Open,
    /// At its own end, at a limit, or at a call.
    Whole,
    /// Before its end: a filter stopped it, or it only pauses. Another try may bring it to its end.
    Short,
}

impl Finish {
    /// Why an answer that ended so is not kept.
    pub const SHORT: &'static str = "an answer that was stopped before its end";
}

impl<'de> Deserialize<'de> for Finish {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        Ok(match <&serde_json::value::RawValue>::deserialize(parser)?.get() {
            "null" | "\"\"" => Self::Open,
            // OpenAI's; Anthropic's.
            "\"content_filter\"" | "\"refusal\"" | "\"pause_turn\"" => Self::Short,
            _ => Self::Whole,
        })
    }
}

/// The member `error` of an answer: an object, a bare message, or nothing (null, false, "").
#[derive(Debug, Default)]
pub(super) struct ErrorMember(pub Option<ProviderError>);

#[derive(Deserialize)]
struct ErrorFields<'a> {
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow, rename = "type", alias = "status")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    code: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar<'a> {
    Number(u16),
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Other(IgnoredAny),
}

impl<'de> Deserialize<'de> for ErrorMember {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(parser)?.get();
        if matches!(raw, "null" | "false" | "\"\"") {
            return Ok(Self(None));
        }
        if raw.starts_with('"') {
            let message = serde_json::from_str(raw).map_err(D::Error::custom)?;
            return Ok(Self(Some(ProviderError::new(message, None, None))));
        }
        // An error in a form nobody knows is an error all the same.
        let Ok(fields) = serde_json::from_str::<ErrorFields>(raw) else {
            return Ok(Self(Some(ProviderError::new(raw.chars().take(500).collect(), None, None))));
        };
        let (number, code) = match fields.code {
            Some(Scalar::Number(status)) => (Some(status), Some(status.to_string())),
            Some(Scalar::Text(code)) => (code.parse().ok(), Some(code.into_owned())),
            Some(Scalar::Other(_)) | None => (None, None),
        };
        let message = fields.message.map(|text| text.0.into_owned()).unwrap_or_default();
        let mut error = ProviderError::new(message, fields.kind.map(|text| text.0.into_owned()), code);
        if let Some(status) = number.filter(|status| (400..600).contains(status)) {
            error.status = status;
        }
        Ok(Self(Some(error)))
    }
}

/// The status an error would have had as a plain response, by its type or code.
pub(super) fn status_of(name: &str) -> Option<u16> {
    Some(match name {
        "invalid_request_error" | "invalid_prompt" | "context_length_exceeded" | "INVALID_ARGUMENT" => 400,
        "authentication_error" | "invalid_api_key" | "UNAUTHENTICATED" => 401,
        "billing_error" => 402,
        "permission_error" | "PERMISSION_DENIED" => 403,
        "not_found_error" | "model_not_found" | "NOT_FOUND" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" | "RESOURCE_EXHAUSTED" => 429,
        "overloaded_error" | "UNAVAILABLE" => 503,
        "timeout_error" | "DEADLINE_EXCEEDED" => 504,
        "server_error" | "api_error" | "INTERNAL" => 500,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_every_form_are_seen() {
        let read = |json: &str| serde_json::from_str::<ErrorMember>(json).unwrap().0;
        for nothing in ["null", "false", "\"\""] {
            assert_eq!(read(nothing), None);
        }
        let error = read(
            r#"{"message":"slow \"down\"","type":"requests","param":null,"code":"rate_limit_exceeded"}"#,
        )
        .unwrap();
        assert_eq!((error.status, error.message.as_str()), (429, "slow \"down\""));
        assert_eq!(error.code.as_deref(), Some("rate_limit_exceeded"));
        assert_eq!(read(r#"{"code":503,"message":"m","status":"UNAVAILABLE"}"#).unwrap().status, 503);
        assert_eq!(read(r#"{"type":"overloaded_error","message":"Overloaded"}"#).unwrap().status, 503);
        assert_eq!(read("\"boom\"").unwrap().message, "boom");
        for strange in ["{}", "[1]", "true", r#"{"message":{"a":1}}"#] {
            assert_eq!(read(strange).unwrap().status, 500, "{strange}");
        }
    }

    #[test]
    fn the_gist_of_a_value() {
        let read = |json: &str| serde_json::from_str::<Gist>(json).unwrap();
        for (json, filled, is_json) in [
            ("null", false, false),
            ("\"\"", false, false),
            ("\"Hi\"", true, false),
            (r#""{\"a\":1}""#, true, true),
            (r#""{\"a\":""#, true, false),
            (r#"{"a":1}"#, true, true),
            ("[]", false, true),
        ] {
            assert_eq!(read(json), Gist { filled, json: is_json }, "{json}");
        }
    }
}
