//! A tree of values -> the file's structures, with every value that does not fit reported.
//!
//! serde stops at the first error. So each error is reported, what it is about is taken out of the
//! tree, and the tree is read again, until what is left fits.

use serde_path_to_error::Segment;
use serde_yaml::Value;

use super::environment::Environment;
use super::file::File;
use super::problem::{Path, Step};
use super::report::Report;
use super::scalar::HIDDEN;

/// Reading again after each error costs time; a text with more errors is no configuration.
const MOST_TAKEN_OUT: usize = 1000;

/// Replaces `${…}` in every value, and lets what has nothing after its name be at its default.
pub(super) fn expand(value: &mut Value, path: &Path, environment: &Environment, report: &mut Report) {
    match value {
        Value::String(text) => match environment.expand(text) {
            Ok(expanded) if expanded == *text => {}
            Ok(expanded) => report.keep_written(path.clone(), std::mem::replace(text, expanded)),
            Err(wrong) => {
                report.wrong(path, wrong);
                *value = Value::Null;
            }
        },
        Value::Sequence(elements) => {
            for (index, element) in elements.iter_mut().enumerate() {
                expand(element, &path.index(index), environment, report);
            }
        }
        Value::Mapping(members) => {
            // A provider or model is there by its name alone; of a setting, only its value counts.
            let named_by_user = [Path::from("providers"), Path::from("prices")].contains(path);
            if named_by_user {
                let empty = members.values_mut().filter(|member| member.is_null());
                empty.for_each(|member| *member = Value::Mapping(serde_yaml::Mapping::new()));
            }
            for (key, member) in members.iter_mut() {
                expand(member, &path.key(key.as_str().unwrap_or_default()), environment, report);
            }
            members.retain(|_, member| !member.is_null());
        }
        _ => {}
    }
}

/// Reads the structures out of the tree; what does not fit is reported and left at its default.
pub(super) fn read(mut root: Value, report: &mut Report) -> File {
    if !root.is_mapping() {
        report.wrong(
            &Path::default(),
            "is not a mapping of settings; write lines such as listen: 127.0.0.1:8080",
        );
        return File::default();
    }
    let mut taken_out = TakenOut(Vec::new());
    loop {
        let error = match serde_path_to_error::deserialize::<_, File>(&root) {
            Ok(file) => return file,
            Err(error) => error,
        };
        let here = Path(error.path().iter().filter_map(step).collect());
        let written = taken_out.as_written(&here);
        let message = error.inner().to_string();
        let Some(taken) = take(&mut root, &here) else {
            // Nothing to blame for it: say so rather than try for ever.
            report.wrong(&written, message);
            return File::default();
        };
        // A reference that could not be read was reported as that.
        if !(taken.is_null() && report.doubts(&written)) {
            explain(&written, &taken, &message, report);
        }
        taken_out.0.push(here);
        if taken_out.0.len() >= MOST_TAKEN_OUT {
            return File::default();
        }
    }
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// Takes the node at a path out of the tree.
fn take(root: &mut Value, path: &Path) -> Option<Value> {
    let (last, parents) = path.0.split_last()?;
    let mut node = root;
    for step in parents {
        node = match step {
            Step::Key(key) => node.get_mut(key.as_str())?,
            Step::Index(index) => node.get_mut(*index)?,
        };
    }
    match (node, last) {
        (Value::Mapping(members), Step::Key(key)) => members.shift_remove(key.as_str()),
        (Value::Sequence(elements), Step::Index(index)) if *index < elements.len() => {
            Some(elements.remove(*index))
        }
        _ => None,
    }
}

/// The nodes taken out so far, each by its path in the tree as it then was.
struct TakenOut(Vec<Path>);

impl TakenOut {
    /// The path a node has in the file: where elements before it were taken out of a list, its
    /// index in the tree is too low.
    fn as_written(&self, path: &Path) -> Path {
        let mut written = path.clone();
        for taken in self.0.iter().rev() {
            let Some((Step::Index(removed), list)) = taken.0.split_last() else { continue };
            if written.0.len() > list.len()
                && written.0.starts_with(list)
                && let Some(Step::Index(index)) = written.0.get_mut(list.len())
                && *index >= *removed
            {
                *index += 1;
            }
        }
        written
    }
}

/// Says what is wrong with a node, from what serde says about it.
fn explain(path: &Path, node: &Value, said: &str, report: &mut Report) {
    if said.starts_with("unknown field") {
        let name = match path.0.last() {
            Some(Step::Key(name)) => name.as_str(),
            _ => "",
        };
        let message = format!("is no setting; {}", what_is_allowed(name, &choices(said)));
        return report.wrong_key(path, message);
    }
    let message = match node {
        Value::String(text) => wrong_text(path, text, said, report),
        Value::Sequence(_) => format!("is a list; write {}", expected(said)),
        Value::Mapping(_) => format!("is a mapping; write {}", expected(said)),
        _ => format!("is empty; write {}", expected(said)),
    };
    report.wrong(path, message);
}

fn wrong_text(path: &Path, text: &str, said: &str, report: &Report) -> String {
    if said.starts_with(HIDDEN) {
        return said.to_owned();
    }
    let shown = report.shown(path, text);
    if said.starts_with("unknown variant") {
        return format!("{shown} is not one of the choices; {}", what_is_allowed(text, &choices(said)));
    }
    if !said.starts_with("invalid type") {
        return format!("{shown} {said}");
    }
    let feature = [Path::from("cache"), Path::from("coalesce")].contains(path);
    if feature {
        return format!(
            "is a single value; write its settings here, and features: {{{path}: off}} to switch it off"
        );
    }
    format!("is a single value; write {}", expected(said))
}

/// The names between backticks after `expected`.
fn choices(said: &str) -> Vec<&str> {
    let expected = said.rsplit_once(", expected").map_or("", |(_, expected)| expected);
    expected.split('`').skip(1).step_by(2).collect()
}

/// `did you mean a? Allowed are a, b, c`.
fn what_is_allowed(written: &str, choices: &[&str]) -> String {
    let likeness = |choice: &&str| (strsim::jaro_winkler(written, choice) * 1000.0) as u32;
    let allowed = format!("allowed: {}", choices.join(", "));
    match choices.iter().copied().max_by_key(likeness).filter(|choice| likeness(choice) >= 800) {
        Some(choice) => format!("did you mean {choice}? {allowed}"),
        None => allowed,
    }
}

/// What serde expected, in the words of the file.
fn expected(said: &str) -> &str {
    let expected = said.rsplit_once("expected ").map_or(said, |(_, expected)| expected);
    match expected {
        "a sequence" => "a list such as [a, b]",
        "a string" => "a single value",
        "a map" => "a mapping of settings, each as name: value",
        _ if expected.starts_with("struct ") => "a mapping of settings, each as name: value",
        _ if expected.starts_with("a mapping of names") => "a mapping of names, each with its settings",
        _ if expected.contains("enum") => "a single word",
        _ => expected,
    }
}
