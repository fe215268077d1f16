//! What two runs of the same scenarios saw, compared.

use serde_json::Value;

use super::library::Seen;

/// The least each library's table holds; fewer means that scenarios went missing.
const LEAST: usize = 60;

/// An error in place of a stream's first event. From pareto it comes as the status it stands for, which
/// the SDK raises as its class for that status and may retry.
const FIRST_ERROR: &str = "error_first_in_stream";

/// Errors whose class every SDK has.
const CLASSES: [(&str, &str); 6] = [
    ("error_key", "AuthenticationError"),
    ("error_model", "NotFoundError"),
    ("error_parameter", "BadRequestError"),
    ("error_rate_limit", "RateLimitError"),
    ("error_html", "InternalServerError"),
    ("error_in_stream", "APIError"),
];

/// What a run against the provider itself should not have seen: a scenario that failed or did not against
/// its name, or with another exception than the SDK's own for that case.
pub fn surprises(seen: &Seen) -> Vec<String> {
    let mut surprises = Vec::new();
    if seen.len() < LEAST {
        surprises.push(format!("only {} scenarios ran", seen.len()));
    }
    for (name, line) in seen {
        // A retry succeeds in the end, and an error in a 200 is no exception in any SDK.
        let fails = (name.contains("error_") || name.starts_with("broken_"))
            && !matches!(&**name, "error_retried" | "error_in_body");
        if line["outcome"] != if fails { "error" } else { "ok" } {
            surprises.push(format!("{name}: {line}"));
        }
    }
    for (name, class) in CLASSES {
        let line = seen.get(name).unwrap_or(&Value::Null);
        if line["result"]["class"] != class {
            surprises.push(format!("{name} is no {class}: {line}"));
        }
    }
    surprises
}

/// Every place where the second run saw something else than the first.
pub fn differences(expected: &Seen, seen: &Seen) -> Vec<String> {
    let mut differences = Vec::new();
    for name in seen.keys().filter(|name| !expected.contains_key(*name)) {
        differences.push(format!("{name} is new"));
    }
    for (name, left) in expected {
        let right = seen.get(name).unwrap_or(&Value::Null);
        if name == FIRST_ERROR && right["result"]["class"] == "InternalServerError" {
            continue;
        }
        if left["transport"] == true {
            broken(name, left, right, &mut differences);
        } else {
            at(name, left, right, &mut differences);
        }
    }
    differences
}

/// A broken connection must be an error either way, and what came before the break must be the same as
/// far as both heard it: a reset destroys what the system has not handed over yet, sooner or later.
fn broken(name: &str, left: &Value, right: &Value, differences: &mut Vec<String>) {
    at(&format!("{name}.outcome"), &left["outcome"], &right["outcome"], differences);
    at(&format!("{name}.partial"), &left["result"]["partial"], &right["result"]["partial"], differences);
}

fn at(path: &str, left: &Value, right: &Value, differences: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                let absent = Value::String("<absent>".to_owned());
                let side = |members: &serde_json::Map<String, Value>| members.get(name).cloned();
                let (one, two) = (side(a).unwrap_or_else(|| absent.clone()), side(b).unwrap_or(absent));
                at(&format!("{path}.{name}"), &one, &two, differences);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (one, two)) in a.iter().zip(b).enumerate() {
                at(&format!("{path}[{index}]"), one, two, differences);
            }
        }
        _ if left == right => {}
        (Value::String(one), Value::String(two)) if path.ends_with(".partial") && heard_alike(one, two) => {}
        // Chunks of a stream name only what there is, so a body folded from them has no empty list.
        (Value::Array(list), Value::String(_)) if path.ends_with(".annotations") && list.is_empty() => {}
        // It names the account that paid, which is not for whoever else may hear the answer.
        (Value::String(_), Value::Null) if path.ends_with(".openai-organization") => {}
        _ => differences.push(format!("{path}: {} became {}", short(left), short(right))),
    }
}

/// Whether two readers of an answer that broke off heard the same as far as both heard it.
fn heard_alike(one: &str, two: &str) -> bool {
    one.is_empty() == two.is_empty() && (one.starts_with(two) || two.starts_with(one))
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    let end = text.char_indices().nth(200).map_or(text.len(), |(end, _)| end);
    text[..end].to_owned()
}

#[test]
fn a_difference_is_found_wherever_it_is() {
    let line = |text: &str, transport: bool| serde_json::json!({"transport": transport, "outcome": "ok", "result": {"a": [1, {"b": text}], "partial": text}});
    let seen = |text: &str, transport| Seen::from([("s".to_owned(), line(text, transport))]);
    assert_eq!(differences(&seen("x", false), &seen("x", false)), Vec::<String>::new());
    assert_eq!(
        differences(&seen("x", false), &seen("y", false)),
        ["s.result.a[1].b: \"x\" became \"y\"", "s.result.partial: \"x\" became \"y\""]
    );
    assert_eq!(differences(&seen("x", true), &seen("y", true)), ["s.partial: \"x\" became \"y\""]);
    assert_eq!(differences(&seen("x", false), &Seen::new()).len(), 1);
    assert_eq!(differences(&Seen::new(), &seen("x", false)), ["s is new"]);
}
