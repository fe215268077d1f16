//! Places in a request's body, and values to put there.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::scalar::{Scalar, scalars};

scalars!(Pointer);

/// A place in a JSON document: a JSON Pointer (RFC 6901), in which `*` stands for every element of
/// an array and `[NAME=VALUE]` for those with such a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The way there; never empty.
    pub steps: Vec<PointerStep>,
}

/// One step of a [`Pointer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointerStep {
    /// To the member of this name, or the element of this number.
    Name(Box<str>),
    /// To every element.
    Every,
    /// To the elements whose member has this text.
    Having(Box<str>, Box<str>),
}

impl Scalar for Pointer {
    const NAME: &'static str = "Pointer";
    const EXPECTS: &'static str = "a place in the body such as /user or \"/tools/[type=file_search]\"";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "/.+";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("is no place in a body; write {}", Self::EXPECTS);
        let path = text.strip_prefix('/').filter(|path| !path.is_empty()).ok_or_else(wrong)?;
        let step = |part: &str| {
            if part == "*" {
                return Some(PointerStep::Every);
            }
            let Some(inner) = part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) else {
                // RFC 6901 section 3: ~1 is a slash, ~0 a tilde.
                return Some(PointerStep::Name(part.replace("~1", "/").replace("~0", "~").into()));
            };
            let (name, value) = inner.split_once('=').filter(|(name, _)| !name.is_empty())?;
            Some(PointerStep::Having(name.into(), value.into()))
        };
        let steps = path.split('/').map(step).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        Ok(Self { steps })
    }

    fn json(&self) -> Value {
        let part = |step: &PointerStep| match step {
            PointerStep::Name(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            PointerStep::Every => "/*".to_owned(),
            PointerStep::Having(name, value) => format!("/[{name}={value}]"),
        };
        self.steps.iter().map(part).collect::<String>().into()
    }
}

/// A JSON value as the file has it. Text that is JSON (`0.3`, `true`, `"7"` with its quotes) is
/// that; any other text is a string.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub Value);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json(serde_json::from_str(text).unwrap_or_else(|_| text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(Json(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Json(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Map::new();
        while let Some((name, Json(value))) = map.next_entry::<String, Json>()? {
            members.insert(name, value);
        }
        Ok(Json(members.into()))
    }
}

impl JsonSchema for Json {
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "Any JSON value."})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_and_shown() {
        for text in ["/user", "/tools/[type=file_search]", "/messages/*/name", "/a~1b/~0", "/input/0"] {
            assert_eq!(Pointer::read(text).unwrap().json(), text);
        }
        for text in ["", "/", "user", "/tools/[type]", "/tools/[=x]"] {
            assert!(Pointer::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_that_is_json_is_that_and_any_other_is_a_string() {
        let json = |text: &str| JsonVisitor.visit_str::<serde_json::Error>(text).unwrap().0;
        assert_eq!(json("0.3"), serde_json::json!(0.3));
        assert_eq!(json("true"), serde_json::json!(true));
        assert_eq!(json("\"7\""), serde_json::json!("7"));
        assert_eq!(json("priority"), serde_json::json!("priority"));
        assert_eq!(json(""), serde_json::json!(""));
    }
}
