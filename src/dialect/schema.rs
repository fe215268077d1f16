//! JSON schemas as a provider takes them: with every value of them still one of the client's schema.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// Keywords whose value is one schema.
const SUBSCHEMA: [&str; 2] = ["items", "additionalProperties"];
/// Keywords whose value is a list of schemas.
const SUBSCHEMAS: [&str; 3] = ["anyOf", "allOf", "prefixItems"];
/// Keywords whose value is a mapping of names to schemas.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];
/// Keywords that say something about a value and limit nothing.
const REMARKS: [&str; 7] =
    ["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"];
/// Deeper ones are refused rather than followed.
const DEEPEST: usize = 64;

/// What a provider takes of JSON schema. A keyword that is in no list stays as it is.
pub(super) struct Subset {
    /// Limits that are not kept to: words of advice, or refused where the schema is to be kept strictly.
    pub(super) unkept: &'static [&'static str],
    /// Keywords that shape a value in a way that cannot be put into words beside it.
    pub(super) refused: &'static [&'static str],
    /// Keywords left out, that limit nothing.
    pub(super) left_out: &'static [&'static str],
    /// The greatest `minItems` that is kept to.
    pub(super) most_least_items: u64,
    /// Every object has to be closed.
    pub(super) closed: bool,
    /// Definitions are in `$defs`, nothing stands beside a `$ref`, and `enum` has texts and numbers.
    pub(super) modern: bool,
}

impl Subset {
    /// A schema in this subset. A limit that cannot be kept to is refused where the client wants it kept
    /// `strict`ly; else it becomes a word of advice.
    pub(super) fn of(&self, schema: &Value, strict: bool) -> Result<Value, &'static str> {
        self.rewrite(schema, strict, 0)
    }

    fn rewrite(&self, schema: &Value, strict: bool, depth: usize) -> Result<Value, &'static str> {
        let Value::Object(members) = schema else { return Ok(schema.clone()) };
        if depth > DEEPEST {
            return Err("has a JSON schema of too many levels");
        }
        let deeper = |schema: &Value| self.rewrite(schema, strict, depth + 1);
        let is_ref = self.modern && members.contains_key("$ref");
        let mut out = Map::new();
        let mut advice = Vec::new();
        for (name, value) in members {
            let name = name.as_str();
            if name == "$schema" || self.left_out.contains(&name) || is_ref && REMARKS.contains(&name) {
                continue;
            }
            let too_many = name == "minItems" && value.as_u64().is_none_or(|n| n > self.most_least_items);
            if self.unkept.contains(&name) || too_many {
                advice.push(format!("{name}: {value}"));
                continue;
            }
            if self.refused.contains(&name) {
                return Err("has a JSON schema with a keyword this provider does not take");
            }
            if let Some((name, value)) = self.keyword(name, value, &deeper)? {
                out.insert(name.to_owned(), value);
            }
        }
        if !advice.is_empty() {
            if strict {
                return Err("has a strict JSON schema with a limit this provider does not keep to");
            }
            advise(&mut out, &advice.join(", "));
        }
        if self.closed && is_object(&out) {
            out.insert("additionalProperties".into(), false.into());
        }
        Ok(out.into())
    }

    /// One keyword and its value, rewritten; `None` where it goes without saying.
    fn keyword<'a>(
        &self,
        name: &'a str,
        value: &Value,
        deeper: &dyn Fn(&Value) -> Result<Value, &'static str>,
    ) -> Result<Option<(&'a str, Value)>, &'static str> {
        // Providers that take `oneOf` read it as `anyOf`.
        let name = if name == "oneOf" { "anyOf" } else { name };
        let value = match (name, value) {
            ("additionalProperties", Value::Bool(_)) if self.closed => return Ok(None),
            ("additionalProperties", _) if self.closed => {
                return Err(
                    "has a JSON schema of an object with any names, which this provider does not take",
                );
            }
            ("const", value) if self.modern => return self.keyword("enum", &json!([value]), deeper),
            ("enum", Value::Array(values))
                if self.modern && !values.iter().all(|value| value.is_string() || value.is_number()) =>
            {
                return Err("has a JSON schema whose `enum` has more than texts and numbers");
            }
            ("$ref", Value::String(to)) if self.modern => {
                return Ok(Some((name, to.replacen("#/definitions/", "#/$defs/", 1).into())));
            }
            (name, value) if SUBSCHEMA.contains(&name) => deeper(value)?,
            (name, Value::Array(items)) if SUBSCHEMAS.contains(&name) => {
                items.iter().map(deeper).collect::<Result<Vec<_>, _>>()?.into()
            }
            (name, Value::Object(named)) if NAMED.contains(&name) => {
                let mut written = Map::new();
                for (name, schema) in named {
                    written.insert(name.clone(), deeper(schema)?);
                }
                let name = if self.modern && name == "definitions" { "$defs" } else { name };
                return Ok(Some((name, written.into())));
            }
            (_, value) => value.clone(),
        };
        Ok(Some((name, value)))
    }
}

fn is_object(schema: &Map<String, Value>) -> bool {
    let named = schema.get("type").is_some_and(|kind| {
        kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
    });
    named || schema.contains_key("properties")
}

fn advise(schema: &mut Map<String, Value>, advice: &str) {
    let text: Cow<str> = match schema.get("description").and_then(Value::as_str) {
        Some(description) => format!("{description} ({advice})").into(),
        None => format!("({advice})").into(),
    };
    schema.insert("description".into(), text.into());
}
