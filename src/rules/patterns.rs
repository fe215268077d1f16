//! The patterns of all rules, found in one text together.

use std::collections::HashMap;
use std::ops::Range;

use regex_automata::meta::Regex;
use regex_automata::{Input, PatternSet};

use super::index::each_condition;
use crate::config::condition::Pattern;
use crate::config::rule::{Condition, Rule};

/// Patterns looked for in one pass over a text. More would make fewer passes, but an automaton that
/// no longer fits its cache and falls back to a slower way.
const AT_ONCE: usize = 128;
/// Bytes from either end of a text that patterns are looked for in. The engine takes time in proportion
/// to the text whatever the pattern, but also to the pattern where a text is made to fill its cache:
/// `a.{0,300}b` then takes 5 ms for each KiB, of a message of 32 MiB three minutes.
const REACH: usize = crate::text::LONGEST;

/// Every pattern that rules name, each once.
pub(super) struct Patterns {
    numbers: HashMap<Pattern, usize>,
    sets: Vec<(usize, Regex)>,
}

/// Which patterns a text has, by their numbers.
pub(super) struct Found(Vec<bool>);

impl Patterns {
    pub(super) fn of(rules: &[Rule]) -> Self {
        let mut numbers = HashMap::new();
        let mut patterns = Vec::new();
        each_condition(rules, &mut |condition| {
            if let Condition::Matches(pattern) = condition
                && !numbers.contains_key(pattern)
            {
                numbers.insert(pattern.clone(), patterns.len());
                patterns.push(&*pattern.0);
            }
        });
        let mut sets = Vec::new();
        for (chunk, patterns) in patterns.chunks(AT_ONCE).enumerate() {
            compile(chunk * AT_ONCE, patterns, &mut sets);
        }
        Self { numbers, sets }
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn number(&self, pattern: &Pattern) -> Option<usize> {
        self.numbers.get(pattern).copied()
    }

    /// How often a text is gone through to find all of them.
    #[cfg(test)]
    pub(super) fn passes(&self) -> usize {
        self.sets.len()
    }

    /// Looks for all of them, in what is looked at of a text.
    pub(super) fn find(&self, text: &str) -> Found {
        let mut found = vec![false; self.len()];
        for (first, set) in &self.sets {
            let mut matching = PatternSet::new(set.pattern_len());
            for part in looked_at(text.len()) {
                // The engine still sees what is around a part: an end of it is no `$`.
                set.which_overlapping_matches(&Input::new(text).span(part), &mut matching);
            }
            for number in matching.iter() {
                if let Some(found) = found.get_mut(first + number.as_usize()) {
                    *found = true;
                }
            }
        }
        Found(found)
    }
}

/// The parts of a text of so many bytes in which patterns are looked for: all of it, or what it begins
/// and ends with. A question that comes with a document stands before or behind it.
fn looked_at(length: usize) -> impl Iterator<Item = Range<usize>> {
    let (begin, end) = match length <= 2 * REACH {
        true => (length, None),
        false => (REACH, Some(length - REACH..length)),
    };
    std::iter::once(0..begin).chain(end)
}

impl Found {
    pub(super) fn has(&self, number: usize) -> bool {
        self.0.get(number).copied().unwrap_or(false)
    }

    /// The numbers of those that were found.
    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, found)| **found).map(|(number, _)| number)
    }
}

/// Compiles patterns into as few sets as their size allows. Each was compiled by itself when the file
/// was checked, so that in the end a set of one always is.
fn compile(first: usize, patterns: &[&str], sets: &mut Vec<(usize, Regex)>) {
    match Pattern::engine(patterns, 8 * Pattern::LARGEST) {
        Ok(set) => sets.push((first, set)),
        Err(_) if patterns.len() > 1 => {
            let (left, right) = patterns.split_at(patterns.len() / 2);
            compile(first, left, sets);
            compile(first + left.len(), right, sets);
        }
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_of_a_text_is_looked_at_and_no_more() {
        for length in [0, 1, 2 * REACH, 2 * REACH + 1, 1 << 20, usize::MAX] {
            let parts: Vec<_> = looked_at(length).collect();
            let looked: usize = parts.iter().map(ExactSizeIterator::len).sum();
            assert_eq!(looked, length.min(2 * REACH));
            assert_eq!((parts[0].start, parts.last().map(|part| part.end)), (0, Some(length)));
        }
    }
}
