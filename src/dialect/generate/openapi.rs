//! Gemini's first form of schema, a part of OpenAPI 3.0's, as JSON schema.

use serde_json::{Map, Value};

use super::super::members::camel_case;

/// Deeper ones are refused rather than followed.
const DEEPEST: usize = 64;
/// Limits that are 64-bit numbers, which Google's JSON may write as texts.
const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];
/// Formats that say how a number is kept, which JSON does not know, or only that there is an `enum`.
const NO_FORMATS: [&str; 5] = ["int32", "int64", "float", "double", "enum"];

/// The JSON schema that says the same.
pub(super) fn as_json_schema(schema: Value) -> Result<Value, &'static str> {
    rewrite(schema, 0)
}

fn rewrite(schema: Value, depth: usize) -> Result<Value, &'static str> {
    if depth > DEEPEST {
        return Err("has a schema of too many levels");
    }
    let Value::Object(members) = schema else { return Ok(schema) };
    let deeper = |schema| rewrite(schema, depth + 1);
    let (mut out, mut nullable, mut order) = (Map::new(), false, Vec::new());
    for (name, value) in members {
        let name = camel_case(&name);
        let (name, value) = match (&*name, value) {
            (_, Value::Null) => continue,
            ("type", Value::String(kind)) if kind == "TYPE_UNSPECIFIED" => continue,
            ("type", Value::String(kind)) => ("type", kind.to_ascii_lowercase().into()),
            ("nullable", value) => {
                nullable = value == true;
                continue;
            }
            ("propertyOrdering", Value::Array(names)) => {
                order = names;
                continue;
            }
            ("format", Value::String(format)) if NO_FORMATS.contains(&format.as_str()) => continue,
            ("example", value) => ("examples", vec![value].into()),
            ("ref", Value::String(to)) => ("$ref", to.replacen("#/defs/", "#/$defs/", 1).into()),
            ("items" | "additionalProperties", value) => (&*name, deeper(value)?),
            ("anyOf", Value::Array(items)) => {
                ("anyOf", items.into_iter().map(deeper).collect::<Result<_, _>>()?)
            }
            ("properties" | "defs", Value::Object(named)) => {
                let mut written = Map::new();
                for (name, schema) in named {
                    written.insert(name, deeper(schema)?);
                }
                (if name == "defs" { "$defs" } else { "properties" }, written.into())
            }
            (count, Value::String(number)) if COUNTS.contains(&count) => {
                (count, number.parse::<u64>().map_or(Value::String(number), Value::from))
            }
            (name, value) => (name, value),
        };
        out.insert(name.to_owned(), value);
    }
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        arrange(properties, &order);
    }
    if nullable {
        make_nullable(&mut out);
    }
    Ok(out.into())
}

/// Puts the properties in the order the model is to write them in.
fn arrange(properties: &mut Map<String, Value>, order: &[Value]) {
    if order.is_empty() {
        return;
    }
    let mut rest = std::mem::take(properties);
    for name in order.iter().filter_map(Value::as_str) {
        properties.extend(rest.shift_remove_entry(name));
    }
    properties.append(&mut rest);
}

fn make_nullable(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(options)) = schema.get_mut("anyOf") {
        options.push(serde_json::json!({"type": "null"}));
    }
    if let Some(kind) = schema.get_mut("type") {
        *kind = vec![kind.take(), "null".into()].into();
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
}

/// Closes every object of a JSON schema that says nothing of further properties: Gemini writes none but
/// the named ones, and others must be told so.
pub(super) fn close(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(false.into());
            }
            members.values_mut().for_each(close);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_says_the_same_in_json_schema() {
        let schema = json!({"type": "OBJECT", "property_ordering": ["b", "a"], "required": ["a"], "properties": {
            "a": {"type": "STRING", "nullable": true, "format": "enum", "enum": ["x", "y"]},
            "b": {"type": "ARRAY", "minItems": "1", "items": {"type": "INTEGER", "format": "int32", "example": 3}},
            "c": {"anyOf": [{"type": "NUMBER"}], "nullable": true, "type": null},
        }});
        let mut made = as_json_schema(schema).unwrap();
        close(&mut made);
        let expected = json!({"type": "object", "required": ["a"], "properties": {
            "b": {"type": "array", "minItems": 1, "items": {"type": "integer", "examples": [3]}},
            "a": {"type": ["string", "null"], "enum": ["x", "y", null]},
            "c": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        }, "additionalProperties": false});
        assert_eq!(made.to_string(), expected.to_string(), "in this order");
        let mut deep = json!({});
        for _ in 0..100 {
            deep = json!({"items": deep});
        }
        assert!(as_json_schema(deep).is_err());
    }
}
