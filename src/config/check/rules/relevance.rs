//! `relevance:` of a rule as written -> as meant.

use super::super::{Report, positive_at};
use crate::config::file::relevance::Relevance as Written;
use crate::config::problem::Path;
use crate::config::relevance::Relevance;

/// Examples of one rule: a question is compared with each.
const MOST_EXAMPLES: usize = 256;
/// Bytes of one example, which is a sentence.
const LONGEST_EXAMPLE: usize = 2048;

pub(super) fn relevance(written: &Written, path: &Path, report: &mut Report) -> Relevance {
    let below = written.below.map(|below| below.0);
    match below {
        None if !report.doubts(&path.key("below")) => {
            report.wrong_key(&path.key("below"), "is missing; write a similarity such as 0.3");
        }
        Some(below) if !(-1.0..=1.0).contains(&below) => {
            report.wrong(&path.key("below"), "is no similarity; write -1 to 1, such as 0.3");
        }
        _ => {}
    }
    if written.model.is_empty() {
        report.wrong(&path.key("model"), "is empty; write an embedding model such as text-embedding-3-small");
    }
    if written.scripts.0.is_empty() && !report.doubts(&path.key("scripts")) {
        report.wrong_key(
            &path.key("scripts"),
            "names none; write those that the model covers, such as [latin]",
        );
    }
    let examples = examples(written, &path.key("examples"), report);
    let min_examples = positive_at(written.min_examples, &path.key("min_examples"), report);
    if !examples.is_empty() && examples.len() < min_examples && !report.doubts(path) {
        let known = examples.len();
        report.wrong_key(
            &path.key("examples"),
            format!("has {known} and min_examples is {min_examples}, so nothing would be judged; write more, or set min_examples: {known}"),
        );
    }
    Relevance {
        below: below.unwrap_or(-1.0),
        model: written.model.as_str().into(),
        examples,
        min_examples,
        by: written.by,
        scripts: written.scripts.0.clone(),
        languages: written.languages.0.clone(),
    }
}

/// Each once.
fn examples(written: &Written, path: &Path, report: &mut Report) -> Vec<Box<str>> {
    if written.examples.len() > MOST_EXAMPLES {
        report.wrong_key(path, format!("has more than {MOST_EXAMPLES}; write fewer"));
    }
    let mut examples: Vec<Box<str>> = Vec::new();
    for (index, example) in written.examples.iter().enumerate() {
        let example = example.trim();
        if example.is_empty() || example.len() > LONGEST_EXAMPLE {
            report.wrong(&path.index(index), "is no sentence; write 1 B to 2 KiB");
        }
        if !examples.iter().any(|known| **known == *example) {
            examples.push(example.into());
        }
    }
    examples
}
