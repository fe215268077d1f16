//! YAML text -> a tree of values, and where each of them stands.
//!
//! Every single value stays the text it was written as: what it means is decided by the setting it
//! is for, so that `on` is never a boolean by accident, `2.50` never a float, and `${NAME}` may
//! stand for anything.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_yaml::{Mapping, Value};

use super::problem::Path;
use super::report::{Mark, Place, Report};

/// Deeper than any setting stands.
const DEEPEST: usize = 32;

/// More values than any file needs; aliases of aliases multiply.
const MOST_VALUES: usize = 500_000;

/// A list or mapping that is still being read.
struct Open {
    path: Path,
    anchor: usize,
    /// A list's elements so far, or a mapping's members.
    value: Value,
    /// In a mapping, the key whose value comes next.
    key: Option<(String, Place)>,
}

struct Builder<'a> {
    report: &'a mut Report,
    open: Vec<Open>,
    anchors: HashMap<usize, Value>,
    root: Option<Value>,
    values: usize,
}

/// Why reading ends before the text does.
struct GivenUp;

/// Reads one document; an empty one is an empty mapping. What is wrong goes into the report, and
/// what could be read in spite of it is returned.
pub(super) fn read(text: &str, report: &mut Report) -> Value {
    let mut builder = Builder { report, open: Vec::new(), anchors: HashMap::new(), root: None, values: 0 };
    for event in Parser::new_from_str(text) {
        let outcome = match event {
            Ok((event, span)) => builder.event(event, span.start),
            Err(error) => {
                let mut message = format!("is not valid YAML: {}", error.info());
                let line = error.marker().line().checked_sub(1).and_then(|line| text.lines().nth(line));
                if line.is_some_and(|line| line.contains("${")) {
                    message.push_str("; inside of [ ] or { }, write references in quotes: \"${NAME}\"");
                }
                builder.report.add(&Path::default(), place(error.marker()), message);
                // Half a tree would only have consequences to report.
                builder.root = None;
                Err(GivenUp)
            }
        };
        if outcome.is_err() {
            break;
        }
    }
    match builder.root {
        Some(Value::Null) | None => Value::Mapping(Mapping::new()),
        Some(root) => root,
    }
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

impl Builder<'_> {
    fn event(&mut self, event: Event, start: Marker) -> Result<(), GivenUp> {
        let at = place(&start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                let message = "has a second document (---); write one document".to_owned();
                self.report.add(&Path::default(), at, message);
                Err(GivenUp)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let null =
                    style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null { Value::Null } else { Value::String(text.into_owned()) };
                self.single(value, anchor, tag.as_deref(), at)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Value::Sequence(Vec::new()), anchor, tag.as_deref(), at)
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Value::Mapping(Mapping::new()), anchor, tag.as_deref(), at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                // An alias inside of what it names has no value yet.
                let value = self.anchors.get(&anchor).cloned().unwrap_or(Value::Null);
                self.single(value, 0, None, at)
            }
            _ => Ok(()),
        }
    }

    /// A value that is complete as it comes: a key, or a value to be put where it belongs.
    fn single(&mut self, value: Value, anchor: usize, tag: Option<&Tag>, at: Place) -> Result<(), GivenUp> {
        self.values += values_in(&value);
        if self.values > MOST_VALUES {
            self.report.add(&Path::default(), at, format!("has more than {MOST_VALUES} values; write fewer"));
            return Err(GivenUp);
        }
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        if let Some(Open { path, value: Value::Mapping(_), key: key @ None, .. }) = self.open.last_mut() {
            let name = match value {
                Value::String(name) => name,
                Value::Null => "null".to_owned(),
                _ => {
                    let path = path.clone();
                    self.report.add(&path, at, "has a list or mapping as a name; write a word".to_owned());
                    return Err(GivenUp);
                }
            };
            *key = Some((name, at));
            return Ok(());
        }
        let path = self.next_path();
        self.check_tag(&path, tag, at);
        let key = self.open.last().and_then(|open| open.key.as_ref()).map_or(at, |(_, at)| *at);
        let value_at = if matches!(value, Value::String(_) | Value::Null) { at } else { key };
        self.put(path, value, Mark { key, value: value_at });
        Ok(())
    }

    fn begin(&mut self, value: Value, anchor: usize, tag: Option<&Tag>, at: Place) -> Result<(), GivenUp> {
        let path = self.next_path();
        self.check_tag(&path, tag, at);
        if let Some(Open { value: Value::Mapping(_), key: None, .. }) = self.open.last() {
            self.report.add(&path, at, "has a list or mapping as a name; write a word".to_owned());
            return Err(GivenUp);
        }
        if self.open.len() >= DEEPEST {
            self.report.add(&path, at, format!("is nested more than {DEEPEST} deep; no setting is"));
            return Err(GivenUp);
        }
        let key = self.open.last().and_then(|open| open.key.as_ref()).map_or(at, |(_, at)| *at);
        self.report.mark(path.clone(), Mark { key, value: key });
        self.open.push(Open { path, anchor, value, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), GivenUp> {
        let Some(Open { path, anchor, value, .. }) = self.open.pop() else { return Ok(()) };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        self.values += 1;
        self.attach(&path, value);
        Ok(())
    }

    fn put(&mut self, path: Path, value: Value, mark: Mark) {
        self.report.mark(path.clone(), mark);
        self.attach(&path, value);
    }

    /// Puts a finished value into the list or mapping it belongs to.
    fn attach(&mut self, path: &Path, value: Value) {
        let duplicate = self.is_duplicate();
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open { value: Value::Sequence(elements), .. }) => elements.push(value),
            Some(Open { value: Value::Mapping(members), key, .. }) => {
                let Some((name, at)) = key.take() else { return };
                if duplicate {
                    self.report.add(path, at, "is written twice; write it once".to_owned());
                } else {
                    members.insert(Value::String(name), value);
                }
            }
            Some(_) => {}
        }
    }

    /// Whether the mapping that is being read already has the key it is at.
    fn is_duplicate(&self) -> bool {
        match self.open.last() {
            Some(Open { value: Value::Mapping(members), key: Some((name, _)), .. }) => {
                members.contains_key(name.as_str())
            }
            _ => false,
        }
    }

    /// Where the value that comes next belongs.
    fn next_path(&self) -> Path {
        match self.open.last() {
            None => Path::default(),
            Some(Open { path, value: Value::Sequence(elements), .. }) => path.index(elements.len()),
            Some(Open { path, key: Some((name, _)), .. }) => path.key(name.as_str()),
            Some(Open { path, .. }) => path.clone(),
        }
    }

    fn check_tag(&mut self, path: &Path, tag: Option<&Tag>, at: Place) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema() && !tag.suffix.is_empty()) {
            self.report.add(path, at, format!("has the tag {tag}; write the value without it"));
        }
    }
}

fn values_in(value: &Value) -> usize {
    match value {
        Value::Sequence(elements) => 1 + elements.iter().map(values_in).sum::<usize>(),
        Value::Mapping(members) => 1 + members.values().map(values_in).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_tree() -> impl Strategy<Value = Value> {
        let text =
            prop_oneof!["[ -~]{0,12}", r"[a-z:#{}\[\],&*!|>'%@`\-\\\n\t éß]{0,12}", Just("on".to_owned())];
        let leaf = text.prop_map(Value::String);
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Sequence),
                prop::collection::btree_map("[a-z0-9.: #-]{1,8}", inner, 0..4).prop_map(|members| {
                    Value::Mapping(
                        members.into_iter().map(|(key, value)| (Value::String(key), value)).collect(),
                    )
                }),
            ]
        })
    }

    proptest! {
        /// What another YAML writer wrote, block or flow, arrives as it was.
        #[test]
        fn a_written_tree_is_read_back(tree in any_tree()) {
            for text in [serde_yaml::to_string(&tree), Ok(serde_json::to_string(&tree).unwrap_or_default())] {
                let text = text.expect("a tree of text can be written");
                let mut report = Report::default();
                let read = read(&text, &mut report);
                let problems = report.into_problems();
                prop_assert!(problems.is_empty(), "{text}\n{problems:?}");
                prop_assert_eq!(read, tree.clone(), "{}", text);
            }
        }
    }

    #[test]
    fn places_are_counted_in_lines_and_characters_from_one() {
        let text = "\u{feff}a: 1\r\né: {ü: [x, y]}\r\n";
        let mut report = Report::default();
        let tree = read(text, &mut report);
        assert_eq!(tree["é"]["ü"][1], "y");
        report.wrong(&Path::from("é.ü").index(1), "here");
        report.wrong(&Path::from("é.ü").index(7), "beyond: where the list is");
        let places: Vec<(usize, usize)> =
            report.into_problems().iter().map(|problem| (problem.line, problem.column)).collect();
        assert_eq!(places, [(2, 5), (2, 12)]);
    }
}
