//! docs/translation.md and the golden files name the same: no line of its tables is without a case.

use std::collections::HashSet;
use std::fs;

use super::Case;

const DOCUMENT: &str = include_str!("../../docs/translation.md");

/// The words of a text: names of members and values, and what they are made of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let between = |c: char| !(c.is_alphanumeric() || c == '_');
    text.split(between).filter(|word| !word.is_empty())
}

/// What is between the backticks of a text.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// All words of the files of a pair's cases whose names begin so.
fn said(pair: &str, file: &str) -> HashSet<String> {
    let cases = Case::all().into_iter().filter(|case| case.path.parent().unwrap().ends_with(pair));
    let files = cases.flat_map(|case| fs::read_dir(case.path).unwrap()).map(|entry| entry.unwrap().path());
    let of = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(file));
    of.flat_map(|path| words(&fs::read_to_string(path).unwrap()).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The names in `text` that have a word which is not in a golden file.
fn missing<'t>(text: &'t str, said: &HashSet<String>) -> Vec<&'t str> {
    named(text).filter(|name| !words(name).all(|word| said.contains(word))).collect()
}

#[test]
fn every_line_of_the_translations_has_golden_files() {
    let mut lines = 0;
    for (title, pair) in
        [("OpenAI chat to Anthropic", "chat-to-messages"), ("OpenAI chat to Gemini", "chat-to-generate")]
    {
        let section = DOCUMENT.split("\n## ").find_map(|section| section.strip_prefix(title)).unwrap();
        let (asked, all) = (said(pair, "request.in"), said(pair, ""));
        for row in section.lines().filter(|line| line.starts_with('|')).skip(2) {
            let [asks, asked_instead] = row.trim_matches('|').split('|').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            assert_eq!(missing(asks, &asked), Vec::<&str>::new(), "{pair} is never asked this: {row}");
            assert_eq!(missing(asked_instead, &all), Vec::<&str>::new(), "{pair} never comes to this: {row}");
            lines += 1;
        }
        let back = section.split("\n\n").find(|paragraph| paragraph.starts_with("Back: ")).unwrap();
        assert_eq!(missing(back, &said(pair, "reply")), Vec::<&str>::new(), "{pair} is never answered this");
    }
    assert!(lines > 30, "{lines}");
}
