//! An example value for a JSON Schema: arguments of tool calls and structured answers.

use serde_json::{Map, Value, json};

use super::vocabulary::ENGLISH;
use crate::demo::chance::Chance;

/// Nesting beyond this becomes `null`, so that no schema recurses for ever.
const DEPTH: usize = 16;

/// A value that fits the schema as far as types, enums and properties go.
pub fn example(schema: &Value, chance: &mut Chance) -> Value {
    at_depth(schema, chance, DEPTH)
}

fn at_depth(schema: &Value, chance: &mut Chance, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(values) = schema["enum"].as_array().filter(|values| !values.is_empty()) {
        return chance.pick(values).clone();
    }
    if let Some(first) = schema["anyOf"].get(0).or_else(|| schema["oneOf"].get(0)) {
        return at_depth(first, chance, depth - 1);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str());
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("string") => json!(format!("{} {}", chance.pick(&ENGLISH), chance.pick(&ENGLISH))),
        Some("integer") => json!(chance.below(100)),
        Some("number") => json!(chance.below(1000) as f64 / 10.0),
        Some("boolean") => json!(chance.below(2) == 1),
        Some("array") => json!([at_depth(&schema["items"], chance, depth - 1)]),
        Some("null") => Value::Null,
        _ => object(schema, chance, depth),
    }
}

fn object(schema: &Value, chance: &mut Chance, depth: usize) -> Value {
    let Some(properties) = schema["properties"].as_object() else { return Value::Object(Map::new()) };
    properties
        .iter()
        .map(|(name, schema)| (name.clone(), at_depth(schema, chance, depth - 1)))
        .collect::<Map<_, _>>()
        .into()
}
