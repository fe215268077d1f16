//! Collects what is wrong with a file, and knows where in the text each setting stands.

use std::collections::HashMap;

use super::problem::{Path, Problem};

/// A line and a column, both from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

/// Where one node of the file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Where its key starts; as `value` where it has none.
    pub key: Place,
    /// Where a single value starts; for a list or mapping, as `key`.
    pub value: Place,
}

/// More problems than anybody reads at once; the rest is counted.
const MOST: usize = 100;

/// What is wrong with a file so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    marks: HashMap<Path, Mark>,
    /// The text of values as written, where `${…}` made them something else.
    written: HashMap<Path, String>,
    problems: Vec<(Path, Problem)>,
    beyond: usize,
}

impl Report {
    /// Says where a node stands; of one that is written twice, the first counts.
    pub fn mark(&mut self, path: Path, mark: Mark) {
        self.marks.entry(path).or_insert(mark);
    }

    /// Keeps what stood in the file before `${…}` was replaced.
    pub fn keep_written(&mut self, path: Path, text: String) {
        self.written.insert(path, text);
    }

    /// A value as it stands in the file, to be shown: never what `${…}` brought.
    pub fn shown(&self, path: &Path, text: &str) -> String {
        let text = self.written.get(path).map_or(text, String::as_str);
        match text.char_indices().nth(80) {
            Some((end, _)) => format!("{:?}…", &text[..end]),
            None => format!("{text:?}"),
        }
    }

    /// Adds a problem with a setting's value.
    pub fn wrong(&mut self, path: &Path, message: impl Into<String>) {
        let mark = self.nearest(path);
        self.add(path, mark.value, message.into());
    }

    /// Adds a problem with a setting's name, or with one that is missing.
    pub fn wrong_key(&mut self, path: &Path, message: impl Into<String>) {
        let mark = self.nearest(path);
        self.add(path, mark.key, message.into());
    }

    /// Adds a problem at a place of the text.
    pub fn add(&mut self, path: &Path, place: Place, message: String) {
        if self.problems.len() >= MOST {
            self.beyond += 1;
            return;
        }
        let problem = Problem { path: path.to_string(), line: place.line, column: place.column, message };
        self.problems.push((path.clone(), problem));
    }

    /// Whether something is already known to be wrong with this setting, a part of it, or what it is
    /// part of: then what else seems wrong with it may only be a consequence.
    pub fn doubts(&self, path: &Path) -> bool {
        self.problems.iter().any(|(wrong, _)| wrong.overlaps(path))
    }

    /// All problems in the order of the text; empty if there is none.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.problems.into_iter().map(|(_, problem)| problem).collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        if let (Some(last), 1..) = (problems.last().cloned(), self.beyond) {
            let message = format!("has {} more problems; correct these first", self.beyond);
            problems.push(Problem { path: String::new(), message, ..last });
        }
        problems
    }

    /// Which of two settings at odds to blame: the first unless only the second is in the file.
    pub fn to_blame<'a>(&self, first: &'a Path, second: &'a Path) -> &'a Path {
        if !self.marks.contains_key(first) && self.marks.contains_key(second) { second } else { first }
    }

    /// Where a node stands, or the nearest one it is part of.
    fn nearest(&self, path: &Path) -> Mark {
        let mut path = path.clone();
        loop {
            if let Some(mark) = self.marks.get(&path) {
                return *mark;
            }
            let Some(parent) = path.parent() else {
                let start = Place { line: 1, column: 1 };
                return Mark { key: start, value: start };
            };
            path = parent;
        }
    }
}
