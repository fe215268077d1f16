//! Adding up what a stream sends in pieces.

use serde_json::{Map, Value};

use super::Unfoldable;

/// Tool calls and the like are numbered by the provider; beyond this the numbers are not believed.
const MOST_ITEMS: u64 = 4096;

/// Adds a delta to what has been collected, by the rules OpenAI's SDKs use: text is appended, items with
/// an `index` are merged with the item of that index, other arrays appended, objects merged, the rest replaced.
pub(super) fn merge(into: &mut Map<String, Value>, delta: Map<String, Value>) -> Result<(), Unfoldable> {
    for (name, value) in delta {
        match into.get_mut(&name) {
            Some(slot) => combine(&name, slot, value)?,
            None if indexed(&value) => {
                let mut items = Value::Array(Vec::new());
                combine(&name, &mut items, value)?;
                into.insert(name, items);
            }
            None => {
                into.insert(name, value);
            }
        }
    }
    Ok(())
}

fn combine(name: &str, slot: &mut Value, value: Value) -> Result<(), Unfoldable> {
    match (slot, value) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => append(name, text, &more)?,
        (Value::Object(members), Value::Object(more)) => merge(members, more)?,
        (Value::Array(items), Value::Array(more)) => {
            let by_index = items.iter().chain(&more).all(|item| index_of(item).is_some());
            for item in more {
                match index_of(&item) {
                    Some(index) if by_index => merge_item(items, index, item)?,
                    _ => items.push(item),
                }
            }
        }
        (slot, value) => *slot = value,
    }
    Ok(())
}

/// Adds a piece of text to a member; what names or classifies is not text.
fn append(name: &str, text: &mut String, more: &str) -> Result<(), Unfoldable> {
    let repeated = more.is_empty() || text == more;
    match name {
        "id" if repeated => {}
        "id" if !text.is_empty() => return Err(Unfoldable("two things share an index")),
        "name" if repeated => {}
        "id" | "type" | "role" | "format" | "object" => {
            if !more.is_empty() {
                more.clone_into(text);
            }
        }
        _ => text.push_str(more),
    }
    Ok(())
}

fn merge_item(items: &mut Vec<Value>, index: u64, item: Value) -> Result<(), Unfoldable> {
    if index > MOST_ITEMS {
        return Err(Unfoldable("an index is out of all bounds"));
    }
    let at = items.iter().position(|known| index_of(known) == Some(index));
    match (at.and_then(|at| items.get_mut(at)), item) {
        (Some(Value::Object(known)), Value::Object(more)) => merge(known, more),
        (_, item) => {
            items.push(item);
            Ok(())
        }
    }
}

/// Adds arrays that list something per token: the members' arrays are appended, all else is replaced.
pub(super) fn append_arrays(slot: &mut Value, more: Value) {
    match (slot, more) {
        (_, Value::Null) => {}
        (Value::Array(items), Value::Array(more)) => items.extend(more),
        (Value::Object(members), Value::Object(more)) => {
            for (name, value) in more {
                append_arrays(members.entry(name).or_insert(Value::Null), value);
            }
        }
        (slot, more) => *slot = more,
    }
}

/// Takes the newer value of an annotation that a stream repeats as it grows or only sends once.
pub(super) fn replace(members: &mut Map<String, Value>, name: String, value: Value) {
    match (members.get_mut(&name), value) {
        (Some(_), Value::Null) => {}
        (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
        (Some(slot), value) => *slot = value,
        (None, value) => {
            members.insert(name, value);
        }
    }
}

fn indexed(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.len() > 1)
}

fn index_of(item: &Value) -> Option<u64> {
    item.get("index").and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(deltas: &[Value]) -> Result<Value, Unfoldable> {
        let mut all = Map::new();
        for delta in deltas {
            merge(&mut all, delta.as_object().unwrap().clone())?;
        }
        Ok(Value::Object(all))
    }

    #[test]
    fn text_grows_and_names_stay() {
        let deltas = [
            json!({"role":"assistant","content":null,"reasoning_content":"a"}),
            json!({"role":"assistant","content":"Hel","reasoning_content":"b"}),
            json!({"content":"lo","n":1}),
            json!({"content":null,"n":2}),
        ];
        let expected = json!({"role":"assistant","content":"Hello","reasoning_content":"ab","n":2});
        assert_eq!(merged(&deltas).unwrap(), expected);
    }

    #[test]
    fn items_with_an_index_are_merged_by_it() {
        let deltas = [
            json!({"t":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]}),
            json!({"t":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}},{"index":1,"function":{"arguments":"[]"}}]}),
            json!({"t":[{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}]}),
        ];
        let expected = json!({"t":[
            {"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"[]"}},
            {"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]});
        assert_eq!(merged(&deltas).unwrap(), expected);
        assert!(merged(&[json!({"t":[{"index":0,"id":"a"}]}), json!({"t":[{"index":0,"id":"b"}]})]).is_err());
        assert!(merged(&[json!({"t":[]}), json!({"t":[{"index":5000}]})]).is_err());
    }

    #[test]
    fn lists_without_an_index_are_appended() {
        assert_eq!(
            merged(&[json!({"a":[1]}), json!({"a":[{"index":0}]})]).unwrap(),
            json!({"a":[1,{"index":0}]})
        );
        let mut slot = json!({"content":[{"index":0}],"refusal":null});
        append_arrays(&mut slot, json!({"content":[{"index":0}],"refusal":null}));
        assert_eq!(slot, json!({"content":[{"index":0},{"index":0}],"refusal":null}));
    }
}
