//! Replacing runs of characters by what stands around them.

use std::ops::Range;

use super::{Edge, Place};

/// What becomes of a run.
pub(super) enum Fate {
    Keep,
    Drop,
    /// One space stands for it.
    Space,
}

/// A run of characters and what stands around it.
pub(super) struct Run<'a> {
    pub(super) before: Option<char>,
    pub(super) text: &'a str,
    pub(super) after: Option<char>,
    /// The first character behind it that is no white space.
    pub(super) next: Option<char>,
}

impl Run<'_> {
    /// Whether it stands within what would be one word without it.
    pub(super) fn is_within_word(&self) -> bool {
        let wordy = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        wordy(self.before) && wordy(self.after)
    }
}

/// The longest runs of characters that `belongs` names.
pub(super) fn of(text: &str, belongs: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(from) = text[at..].find(&belongs).map(|found| at + found) {
        at = text[from..].find(|c| !belongs(c)).map_or(text.len(), |end| from + end);
        runs.push(from..at);
    }
    runs
}

/// `text` with each of `runs` replaced as `fate` says. Of the spaces around a dropped run those on one
/// side go too: "a 😀 b" becomes "a b".
pub(super) fn replace(
    text: &str,
    place: Place,
    runs: &[Range<usize>],
    fate: impl Fn(&Run) -> Fate,
) -> String {
    let ends = |edge: Edge, c: Option<char>| c.map_or(edge == Edge::End, char::is_whitespace);
    let mut replaced = String::with_capacity(text.len());
    let mut at = 0;
    for run in runs {
        replaced.push_str(text.get(at..run.start).unwrap_or_default());
        at = at.max(run.end);
        let behind = &text[run.end..];
        let next = behind.chars().find(|c| !c.is_whitespace());
        let before = replaced.chars().next_back();
        let run = Run { before, text: &text[run.clone()], after: behind.chars().next(), next };
        match fate(&run) {
            Fate::Keep => replaced.push_str(run.text),
            Fate::Space => replaced.push(' '),
            Fate::Drop if ends(place.after, run.after) && ends(place.before, run.before) => {
                replaced.truncate(replaced.trim_end_matches(' ').len());
                if replaced.is_empty() && place.before == Edge::End {
                    at = text.len() - behind.trim_start_matches(' ').len();
                }
            }
            Fate::Drop => {}
        }
    }
    replaced.push_str(&text[at..]);
    replaced
}
