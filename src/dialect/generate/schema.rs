//! JSON schemas as Gemini's structured output takes them.
//!
//! Source: Google's description of `GenerationConfig.responseJsonSchema`, which lists every keyword that
//! is supported, has a `$ref` stand alone and reads `oneOf` as `anyOf`.

use super::super::schema::Subset;

/// Gemini's part of JSON schema.
pub(super) const TAKEN: Subset = Subset {
    unkept: &[
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "minProperties",
        "maxProperties",
    ],
    refused: &[
        "allOf",
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
    left_out: &["default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"],
    most_least_items: u64::MAX,
    closed: false,
    modern: true,
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_limits_become_advice_or_a_refusal_and_references_stand_alone() {
        let schema = json!({"$schema": "s", "type": "object", "properties": {
            "kind": {"const": "a", "default": "a"},
            "code": {"type": "string", "pattern": "^[a-z]+$", "description": "A code"},
            "child": {"$ref": "#/definitions/Node", "description": "One more"},
        }, "definitions": {"Node": {"oneOf": [{"type": "integer", "minimum": 1}]}}, "additionalProperties": false});
        let expected = json!({"type": "object", "properties": {
            "kind": {"enum": ["a"]},
            "code": {"type": "string", "description": "A code (pattern: \"^[a-z]+$\")"},
            "child": {"$ref": "#/$defs/Node"},
        }, "$defs": {"Node": {"anyOf": [{"type": "integer", "minimum": 1}]}}, "additionalProperties": false});
        assert_eq!(TAKEN.of(&schema, false), Ok(expected));
        assert!(TAKEN.of(&schema, true).is_err(), "a pattern is not kept to");
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for schema in [
            json!({"allOf": [{"type": "string"}]}),
            json!({"enum": ["a", null]}),
            json!({"const": true}),
            json!({"items": {"patternProperties": {}}}),
        ] {
            assert!(TAKEN.of(&schema, false).is_err(), "{schema}");
        }
    }
}
