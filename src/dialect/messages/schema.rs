//! JSON schemas as Anthropic's structured outputs take them.
//!
//! Source: the transformation Anthropic's SDKs make (`transform_schema`): every object closed, `oneOf`
//! as `anyOf`, limits that are not kept to moved into the description.

use serde_json::{Map, Value};

/// Limits that Anthropic refuses in a schema.
const LIMITS: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "contains",
    "minProperties",
    "maxProperties",
];
/// Keywords that shape a value in a way that cannot be put into words beside it.
const SHAPES: [&str; 12] = [
    "prefixItems",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "unevaluatedProperties",
    "unevaluatedItems",
    "if",
    "then",
    "else",
    "not",
];
/// Keywords whose value is one schema.
const SUBSCHEMA: [&str; 1] = ["items"];
/// Keywords whose value is a list of schemas.
const SUBSCHEMAS: [&str; 2] = ["anyOf", "allOf"];
/// Keywords whose value is a mapping of names to schemas.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];
/// Deeper ones are refused rather than followed.
const DEEPEST: usize = 64;

/// The schema with every value of it still one of `schema`. A limit that cannot be kept to is refused where
/// the client wants it kept `strict`ly; else it becomes a word of advice.
pub(super) fn kept(schema: &Value, strict: bool) -> Result<Value, &'static str> {
    rewrite(schema, strict, 0)
}

fn rewrite(schema: &Value, strict: bool, depth: usize) -> Result<Value, &'static str> {
    let Value::Object(members) = schema else { return Ok(schema.clone()) };
    if depth > DEEPEST {
        return Err("has a JSON schema of too many levels");
    }
    let deeper = |schema: &Value| rewrite(schema, strict, depth + 1);
    let mut out = Map::new();
    let mut advice = Vec::new();
    for (name, value) in members {
        let name = if name == "oneOf" { "anyOf" } else { name.as_str() };
        let loose_minimum = name == "minItems" && value.as_u64().is_none_or(|least| least > 1);
        let value = match (name, value) {
            (name, _) if SHAPES.contains(&name) => {
                return Err("has a JSON schema with a keyword Anthropic does not take");
            }
            (name, value) if LIMITS.contains(&name) || loose_minimum => {
                advice.push(format!("{name}: {value}"));
                continue;
            }
            ("$schema", _) => continue,
            ("additionalProperties", Value::Bool(_)) => continue,
            ("additionalProperties", _) => {
                return Err("has a JSON schema of an object with any names, which Anthropic does not take");
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
                written.into()
            }
            (_, value) => value.clone(),
        };
        out.insert(name.to_owned(), value);
    }
    if !advice.is_empty() {
        if strict {
            return Err("has a strict JSON schema with a limit Anthropic does not keep to");
        }
        advise(&mut out, &advice.join(", "));
    }
    let is_object = out.get("type").is_some_and(|kind| {
        kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
    });
    if is_object || out.contains_key("properties") {
        out.insert("additionalProperties".into(), false.into());
    }
    Ok(out.into())
}

fn advise(schema: &mut Map<String, Value>, advice: &str) {
    let text = match schema.get("description").and_then(Value::as_str) {
        Some(description) => format!("{description} ({advice})"),
        None => format!("({advice})"),
    };
    schema.insert("description".into(), text.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_closed_and_limits_become_advice_or_a_refusal() {
        let schema = json!({"$schema": "s", "type": "object", "properties": {
            "age": {"type": "integer", "minimum": 0, "description": "Years"},
            "tags": {"type": "array", "items": {"oneOf": [{"type": "string", "maxLength": 9}]}, "minItems": 1},
        }, "required": ["age"], "additionalProperties": true});
        let expected = json!({"type": "object", "properties": {
            "age": {"type": "integer", "description": "Years (minimum: 0)"},
            "tags": {"type": "array", "items": {"anyOf": [{"type": "string", "description": "(maxLength: 9)"}]}, "minItems": 1},
        }, "required": ["age"], "additionalProperties": false});
        assert_eq!(kept(&schema, false), Ok(expected));
        assert!(kept(&schema, true).is_err());
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for schema in [
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "array", "items": {"not": {"type": "string"}}}),
            json!({"anyOf": [{"if": {}}]}),
        ] {
            assert!(kept(&schema, false).is_err(), "{schema}");
        }
        let mut deep = json!({});
        for _ in 0..100 {
            deep = json!({"items": deep});
        }
        assert!(kept(&deep, false).is_err());
    }
}
