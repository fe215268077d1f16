//! The globs of many rules on one name: a tenant, a model, a header's value. Which rules may mean it is
//! found in one pass over the name, however many globs there are.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use super::index::Places;
use crate::config::glob::Glob;

/// Gathers the globs of rules.
#[derive(Default)]
pub(super) struct Gathering {
    exact: HashMap<Box<str>, Places>,
    literals: HashMap<Box<str>, Places>,
    any: Places,
}

/// The globs of rules, ready to be found.
pub(super) struct Globs {
    exact: HashMap<Box<str>, Places>,
    /// The longest text that each other glob cannot do without.
    literals: Option<AhoCorasick>,
    /// For each of them, who has such globs.
    having: Vec<Places>,
    /// Whose globs may mean anything.
    any: Places,
}

impl Gathering {
    /// Adds a rule that holds only where one of `globs` means the name; with `folded` in either case.
    pub(super) fn add(&mut self, place: u32, globs: &[Glob], folded: bool) {
        for glob in globs {
            let literal = literal(glob);
            let literal = if folded { literal.to_ascii_lowercase() } else { literal.to_owned() };
            let places = match (literal.is_empty(), glob.exact()) {
                (_, Some(_)) => self.exact.entry(literal.into()).or_default(),
                (true, None) => &mut self.any,
                (false, None) => self.literals.entry(literal.into()).or_default(),
            };
            places.push(place);
        }
    }

    /// Makes them ready.
    pub(super) fn finish(self) -> Globs {
        let (literals, having): (Vec<_>, Vec<_>) = self.literals.into_iter().unzip();
        // Fails only with more text than a configuration may have; then each is asked.
        let found =
            (!literals.is_empty()).then(|| AhoCorasick::new(literals.iter().map(|text| text.as_bytes())));
        let mut any = self.any;
        let literals = found.and_then(|found| {
            if found.is_err() {
                any.extend(having.iter().flatten());
            }
            found.ok()
        });
        Globs { exact: self.exact, literals, having, any }
    }
}

impl Globs {
    /// Takes the places of the rules that may mean `name`; some may come twice, in any order.
    pub(super) fn find(&self, name: &str, places: &mut Places) {
        places.extend(&self.any);
        places.extend(self.exact.get(name).into_iter().flatten());
        if let Some(literals) = &self.literals {
            for found in literals.find_overlapping_iter(name) {
                places.extend(self.having.get(found.pattern().as_usize()).into_iter().flatten());
            }
        }
    }
}

/// The longest text that a glob cannot do without.
pub(super) fn literal(glob: &Glob) -> &str {
    glob.0.split(['*', '?']).max_by_key(|text| text.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whoever_means_a_name_is_found(
            globs in proptest::collection::vec("[ab*?]{1,5}", 1..20),
            name in "[abAB]{0,6}",
            folded: bool,
        ) {
            let mut gathering = Gathering::default();
            let globs: Vec<Glob> = globs.iter().map(|glob| Glob(glob.as_str().into())).collect();
            for (place, glob) in (0..).zip(&globs) {
                gathering.add(place, std::slice::from_ref(glob), folded);
            }
            let mut found = Places::new();
            let sought = if folded { name.to_ascii_lowercase() } else { name.clone() };
            gathering.finish().find(&sought, &mut found);
            for (place, glob) in (0..).zip(&globs) {
                let means = if folded { glob.matches_any_case(&name) } else { glob.matches(&name) };
                prop_assert!(!means || found.contains(&place), "{} means {}", glob.0, name);
            }
        }
    }
}
