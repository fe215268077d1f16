//! The patterns of all rules, found in one text together.

use std::collections::HashMap;

use regex::{RegexSet, RegexSetBuilder};

use super::index::each_condition;
use crate::config::condition::Pattern;
use crate::config::rule::{Condition, Rule};

/// Patterns looked for in one pass over a text. More would make fewer passes, but an automaton that
/// no longer fits its cache and falls back to a slower way.
const AT_ONCE: usize = 128;
/// Bytes that the automaton of one pass may keep for its speed, for each thread.
const CACHE: usize = 1 << 20;

/// Every pattern that rules name, each once.
pub(super) struct Patterns {
    numbers: HashMap<Pattern, usize>,
    sets: Vec<(usize, RegexSet)>,
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

    /// Looks for all of them. The time is linear in the text, whatever the patterns.
    pub(super) fn find(&self, text: &str) -> Found {
        let mut found = vec![false; self.len()];
        for (first, set) in &self.sets {
            for number in set.matches(text) {
                if let Some(found) = found.get_mut(first + number) {
                    *found = true;
                }
            }
        }
        Found(found)
    }
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
fn compile(first: usize, patterns: &[&str], sets: &mut Vec<(usize, RegexSet)>) {
    let limit = 8 * Pattern::LARGEST;
    let set = RegexSetBuilder::new(patterns).size_limit(limit).dfa_size_limit(CACHE).build();
    match set {
        Ok(set) => sets.push((first, set)),
        Err(_) if patterns.len() > 1 => {
            let (left, right) = patterns.split_at(patterns.len() / 2);
            compile(first, left, sets);
            compile(first + left.len(), right, sets);
        }
        Err(_) => {}
    }
}
