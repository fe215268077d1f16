//! The canonical digest sees meaning and nothing else; edits touch one member and nothing else.

use pareto::json::{Ignore, canonical, member_span, with_member, without_member};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Any JSON value; small alphabets, so that near misses are common.
pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5_i64..300).prop_map(Value::from),
        prop_oneof![any::<u64>().prop_map(Value::from), any::<i64>().prop_map(Value::from)],
        (-2.0_f64..2.0).prop_filter("whole numbers are integers", |x| x.fract() != 0.0).prop_map(Value::from),
        prop_oneof!["[ab',\\[\\]\"]{0,3}", "[é😀\n\\\\/]{0,3}", "x{1020,1030}"].prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec(("[ab\"é]{0,2}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Writes a value in another spelling: `dice` decides about order, spaces, escapes and numbers.
fn respell(value: &Value, dice: &mut impl Iterator<Item = u8>, out: &mut String) {
    let space = |dice: &mut dyn Iterator<Item = u8>, out: &mut String| match dice.next().unwrap_or(0) % 4 {
        0 => out.push_str(" \n\t\r"),
        1 => out.push(' '),
        _ => {}
    };
    space(dice, out);
    match value {
        Value::Number(number) if number.as_f64().is_some_and(|x| x.abs() < 1e15) => {
            match (number.as_i64(), dice.next().unwrap_or(0) % 4) {
                (Some(0), 0) => out.push_str("-0"),
                (Some(whole), 1) => *out += &format!("{whole}.00"),
                (Some(whole), 2) => *out += &format!("{whole}E+0"),
                (Some(whole), 3) if whole % 10 == 0 => *out += &format!("{}e1", whole / 10),
                (None, 1) => *out += &format!("{:e}", number.as_f64().unwrap()),
                _ => *out += &number.to_string(),
            }
        }
        Value::String(text) => respell_text(text, dice, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                respell(item, dice, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            let turn = dice.next().unwrap_or(0) as usize;
            if turn % 3 == 1 {
                members.reverse();
            } else if !members.is_empty() {
                let by = turn % members.len();
                members.rotate_left(by);
            }
            out.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                space(dice, out);
                respell_text(name, dice, out);
                space(dice, out);
                out.push(':');
                respell(value, dice, out);
            }
            out.push('}');
        }
        other => *out += &other.to_string(),
    }
    space(dice, out);
}

fn respell_text(text: &str, dice: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push('"');
    for ch in text.chars() {
        if dice.next().unwrap_or(0) % 4 == 1 {
            for unit in ch.encode_utf16(&mut [0; 2]) {
                *out += &format!("\\u{unit:04x}");
            }
        } else {
            let quoted = serde_json::to_string(&ch).unwrap();
            *out += &quoted[1..quoted.len() - 1];
        }
    }
    out.push('"');
}

fn digest(json: &str) -> [u8; 32] {
    canonical(json.as_bytes(), &Ignore(&[])).unwrap_or_else(|error| panic!("{json}: {error}")).digest
}

/// A small change somewhere in a value.
fn mutate(value: &mut Value, dice: &mut impl Iterator<Item = u8>) {
    let roll = dice.next().unwrap_or(0);
    match value {
        Value::Array(items) if !items.is_empty() && roll % 5 < 4 => {
            let at = dice.next().unwrap_or(0) as usize % items.len();
            match roll % 5 {
                0 => drop(items.remove(at)),
                1 => items.reverse(),
                2 if at + 1 < items.len() && items[at].is_array() => {
                    let next = items.remove(at + 1);
                    items[at].as_array_mut().unwrap().push(next);
                }
                _ => mutate(&mut items[at], dice),
            }
        }
        Value::Object(members) if !members.is_empty() && roll % 5 < 4 => {
            let at = dice.next().unwrap_or(0) as usize % members.len();
            let name = members.keys().nth(at).cloned().unwrap();
            match roll % 5 {
                0 => drop(members.shift_remove(&name)),
                1 => {
                    let inner = members.shift_remove(&name).unwrap();
                    members.insert(name + "b", inner);
                }
                _ => mutate(&mut members[&name], dice),
            }
        }
        Value::String(text) if roll % 2 == 1 => text.push('a'),
        other => {
            *other = match roll % 3 {
                0 => Value::Array(vec![other.take()]),
                1 => Value::String(other.to_string()),
                _ => Value::Null,
            }
        }
    }
}

/// Equality by meaning: member order apart, numbers by value.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let whole = |n: &serde_json::Number| n.as_i128().or_else(|| n.as_u64().map(i128::from));
            match (whole(a), whole(b)) {
                (Some(a), Some(b)) => a == b,
                _ => a.as_f64() == b.as_f64(),
            }
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

proptest! {
    #[test]
    fn no_spelling_changes_the_digest(value in value(), dice in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut other = String::new();
        respell(&value, &mut dice.into_iter().cycle().take(10_000), &mut other);
        let reread: Value = serde_json::from_str(&other).unwrap();
        prop_assert!(same(&value, &reread), "the respelling itself is wrong: {}", other);
        prop_assert_eq!(digest(&value.to_string()), digest(&other), "{} {}", value, other);
    }

    #[test]
    fn any_change_of_meaning_changes_the_digest(
        value in value(),
        dice in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let mut other = value.clone();
        mutate(&mut other, &mut dice.into_iter());
        let equal = digest(&value.to_string()) == digest(&other.to_string());
        prop_assert_eq!(equal, same(&value, &other), "{} {}", value, other);
    }

    #[test]
    fn two_values_share_a_digest_only_if_they_are_one(a in value(), b in value()) {
        prop_assert_eq!(digest(&a.to_string()) == digest(&b.to_string()), same(&a, &b));
    }

    #[test]
    fn an_ignored_member_is_as_if_it_were_not_there(
        value in value(), inner in value(), dice in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let ignore = Ignore(&[&["stream"], &["m", "*", "c"]]);
        let mut body = Map::new();
        body.insert("a".into(), value.clone());
        body.insert("m".into(), serde_json::json!([{"x": value}, inner]));
        let plain = canonical(Value::from(body.clone()).to_string().as_bytes(), &ignore).unwrap();
        body.insert("stream".into(), inner.clone());
        body["m"][0]["c"] = inner;
        let mut marked = String::new();
        respell(&body.into(), &mut dice.into_iter().cycle().take(10_000), &mut marked);
        prop_assert_eq!(plain, canonical(marked.as_bytes(), &ignore).unwrap());
    }

    #[test]
    fn edits_agree_with_a_tree(
        members in proptest::collection::vec(("[ab\"é]{0,2}", value()), 0..5),
        name in "[ab\"é]{0,2}",
        new in value(),
        dice in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let mut tree: Map<String, Value> = members.into_iter().collect();
        let mut json = String::new();
        respell(&Value::Object(tree.clone()), &mut dice.into_iter().cycle().take(10_000), &mut json);
        let json = json.as_bytes();
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let tree_now: Value = read(json);
        match member_span(json, &name) {
            Some(span) => prop_assert_eq!(&read(&json[span.value]), &tree_now[&name]),
            None => prop_assert!(tree_now.get(&name).is_none()),
        }
        let set = with_member(json, &name, new.to_string().as_bytes()).unwrap();
        let mut expected = tree_now.clone();
        expected[&name] = read(new.to_string().as_bytes());
        prop_assert_eq!(read(&set), expected);
        let had = tree.shift_remove(&name).is_some();
        let left = without_member(json, &name);
        prop_assert_eq!(left.is_some(), had);
        if let Some(left) = left {
            let mut expected = tree_now;
            expected.as_object_mut().unwrap().shift_remove(&name);
            prop_assert_eq!(read(&left), expected);
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(
        prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b','), Just(b':'),
            Just(b'a'), Just(b'1'), Just(b' '), any::<u8>()], 0..40)) {
        let ok = canonical(&bytes, &Ignore(&[&["a"]])).is_ok();
        if ok {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok());
        }
        member_span(&bytes, "a");
        without_member(&bytes, "a");
        with_member(&bytes, "a", b"1");
    }
}

#[test]
fn an_array_is_never_the_text_that_looks_like_it() {
    assert_ne!(digest(r#"{"input":["a"]}"#), digest(r#"{"input":"['a']"}"#));
    assert_ne!(digest(r#"{"input":["a"]}"#), digest(r#"{"input":"[\"a\"]"}"#));
    assert_ne!(digest(r#"{"input":["a","b"]}"#), digest(r#"{"input":["a\",\"b"]}"#));
}
