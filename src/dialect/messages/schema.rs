//! JSON schemas as Anthropic's structured outputs take them.
//!
//! Source: the transformation Anthropic's SDKs make (`transform_schema`): every object closed, `oneOf`
//! as `anyOf`, limits that are not kept to moved into the description.

use super::super::schema::Subset;

/// Anthropic's part of JSON schema.
pub(super) const TAKEN: Subset = Subset {
    unkept: &[
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
    ],
    refused: &[
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
    ],
    left_out: &[],
    most_least_items: 1,
    closed: true,
    modern: false,
};

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
        assert_eq!(TAKEN.of(&schema, false), Ok(expected));
        assert!(TAKEN.of(&schema, true).is_err());
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for schema in [
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "array", "items": {"not": {"type": "string"}}}),
            json!({"anyOf": [{"if": {}}]}),
        ] {
            assert!(TAKEN.of(&schema, false).is_err(), "{schema}");
        }
        let mut deep = json!({});
        for _ in 0..100 {
            deep = json!({"items": deep});
        }
        assert!(TAKEN.of(&deep, false).is_err());
    }
}
