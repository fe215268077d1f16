//! Which rules may hold for a request, found without asking each.

use std::collections::HashMap;

use http::HeaderName;

use super::Case;
use super::globs::{Gathering, Globs, literal};
use super::patterns::Patterns;
use crate::config::endpoint::Endpoint;
use crate::config::glob::Glob;
use crate::config::rule::{Condition, Reach, Rule};
use crate::text::Folding;

/// Rules by their places in the file.
pub(super) type Places = Vec<u32>;

/// Finds the rules that may hold.
pub(super) struct Index {
    /// For each way of folding, by what the user said last.
    texts: Vec<HashMap<Box<str>, Places>>,
    /// By pattern, found in what the user said last.
    patterns: Vec<Places>,
    /// By a name that requests have: each is looked up once, whoever names it.
    names: Vec<(Name, Globs)>,
    /// For each endpoint, and last for requests that pass unread.
    shelves: Vec<Shelf>,
}

/// What globs mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Tenant,
    Model,
    Path,
    Header(HeaderName),
}

/// The rules for one endpoint.
#[derive(Default)]
struct Shelf {
    /// Those that nothing finds: each is asked.
    loose: Places,
    /// Whether some are found by what the user said last.
    by_text: bool,
    by_pattern: bool,
    /// Those of the index's names by which some are found.
    by_name: Vec<usize>,
    reads_content: bool,
}

/// What finds a rule: a condition without which it cannot hold.
enum Anchor<'c> {
    Texts(usize, &'c [Box<str>]),
    Pattern(usize),
    Globs(Name, &'c [Glob]),
    None,
}

impl Index {
    pub(super) fn new(rules: &[Rule], patterns: &Patterns, foldings: &[Folding]) -> Self {
        let mut texts: Vec<HashMap<Box<str>, Places>> = foldings.iter().map(|_| HashMap::new()).collect();
        let mut found = vec![Places::new(); patterns.len()];
        let mut shelves: Vec<Shelf> = (0..=Endpoint::ALL.len()).map(|_| Shelf::default()).collect();
        let (mut numbers, mut names) = (HashMap::new(), Vec::new());
        for (place, rule) in (0..).zip(rules) {
            let anchor = anchor(rule, patterns, foldings);
            let mut name_number = None;
            match &anchor {
                Anchor::Texts(way, said) => {
                    said.iter().for_each(|text| texts[*way].entry(text.clone()).or_default().push(place));
                }
                Anchor::Pattern(number) => found[*number].push(place),
                Anchor::Globs(name, globs) => {
                    let number = *numbers.entry(name.clone()).or_insert(names.len());
                    if number == names.len() {
                        names.push((name.clone(), Gathering::default()));
                    }
                    names[number].1.add(place, globs, *name == Name::Model);
                    name_number = Some(number);
                }
                Anchor::None => {}
            }
            let unread = rule.meets_unread().then_some(Endpoint::ALL.len());
            for shelf in rule.endpoints().iter().map(|name| name as usize).chain(unread) {
                shelves[shelf].add(place, rule, &anchor, name_number);
            }
        }
        let names = names.into_iter().map(|(name, gathering)| (name, gathering.finish())).collect();
        Self { texts, patterns: found, names, shelves }
    }

    pub(super) fn reads_content(&self, endpoint: Endpoint) -> bool {
        self.shelves[endpoint as usize].reads_content
    }

    pub(super) fn meets_unread(&self) -> bool {
        self.shelves.last().is_some_and(|shelf| !shelf.is_empty())
    }

    /// The places of the rules that may hold, in order.
    pub(super) fn candidates<'i>(&'i self, case: &Case) -> Candidates<'i> {
        let shelf = case.asked.endpoint.map_or(Endpoint::ALL.len(), |endpoint| endpoint as usize);
        let shelf = &self.shelves[shelf];
        let mut anchored = Places::new();
        for number in &shelf.by_name {
            if let Some((name, globs)) = self.names.get(*number) {
                name.of(case, |name| globs.find(name, &mut anchored));
            }
        }
        let mut take = |places: Option<&Places>| anchored.extend(places.into_iter().flatten());
        if shelf.by_text {
            for (way, texts) in self.texts.iter().enumerate() {
                take(case.folded(way).and_then(|text| texts.get(text)));
            }
        }
        if shelf.by_pattern
            && let Some(found) = case.found()
        {
            found.numbers().for_each(|number| take(self.patterns.get(number)));
        }
        // Two keys may find the same rule.
        anchored.sort_unstable();
        anchored.dedup();
        Candidates { loose: shelf.loose.iter().peekable(), anchored: anchored.into_iter().peekable() }
    }
}

impl Shelf {
    fn add(&mut self, place: u32, rule: &Rule, anchor: &Anchor, name: Option<usize>) {
        self.reads_content |= rule.reach() == Reach::Content;
        match anchor {
            Anchor::Texts(..) => self.by_text = true,
            Anchor::Pattern(_) => self.by_pattern = true,
            Anchor::Globs(..) => self.by_name.extend(name.filter(|name| !self.by_name.contains(name))),
            Anchor::None => self.loose.push(place),
        }
    }

    fn is_empty(&self) -> bool {
        self.loose.is_empty() && self.by_name.is_empty() && !self.by_text && !self.by_pattern
    }
}

impl Name {
    /// Shows what a request has under this name: of a header, each of its values.
    fn of(&self, case: &Case, mut show: impl FnMut(&str)) {
        let asked = &case.asked;
        match self {
            Self::Tenant => show(asked.tenant),
            Self::Path => show(asked.path),
            Self::Model => asked.model.into_iter().for_each(|model| show(&model.to_ascii_lowercase())),
            Self::Header(name) => {
                let values = asked.headers.get_all(name).iter();
                values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok()).for_each(show);
            }
        }
    }
}

/// Two lists of places in order, merged.
pub(super) struct Candidates<'i> {
    loose: std::iter::Peekable<std::slice::Iter<'i, u32>>,
    anchored: std::iter::Peekable<std::vec::IntoIter<u32>>,
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match (self.loose.peek(), self.anchored.peek()) {
            (Some(loose), Some(anchored)) if anchored < *loose => self.anchored.next(),
            (Some(_), _) => self.loose.next().copied(),
            (None, _) => self.anchored.next(),
        }
    }
}

/// The rarest of what a rule cannot hold without.
fn anchor<'c>(rule: &'c Rule, patterns: &Patterns, foldings: &[Folding]) -> Anchor<'c> {
    let mut found = Anchor::None;
    let mut pending: Vec<&Condition> = rule.when.iter().collect();
    while let Some(condition) = pending.pop() {
        let better = match condition {
            Condition::All(conditions) => {
                pending.extend(conditions);
                continue;
            }
            Condition::OneOf(texts) => {
                let way = foldings.iter().position(|folding| *folding == texts.folding);
                way.map(|way| Anchor::Texts(way, &texts.folded))
            }
            Condition::Tenant(globs) => anchored(Name::Tenant, globs),
            Condition::Model(globs) => anchored(Name::Model, globs),
            Condition::Path(globs) => anchored(Name::Path, globs),
            // That it is there at all is something to go by.
            Condition::Header(name, globs) => Some(Anchor::Globs(Name::Header(name.clone()), globs)),
            Condition::Matches(pattern) => patterns.number(pattern).map(Anchor::Pattern),
            _ => None,
        };
        found = better.filter(|better| better.rank() > found.rank()).unwrap_or(found);
    }
    found
}

impl Anchor<'_> {
    /// The higher, the fewer requests a rule with this anchor is asked about.
    fn rank(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Globs(Name::Path, _) => 1,
            Self::Globs(Name::Model, _) => 2,
            Self::Pattern(_) => 3,
            Self::Globs(Name::Tenant, _) => 4,
            Self::Globs(Name::Header(_), _) => 5,
            Self::Texts(..) => 6,
        }
    }
}

/// By globs, unless one of them means everything.
fn anchored(name: Name, globs: &[Glob]) -> Option<Anchor<'_>> {
    globs.iter().all(|glob| !literal(glob).is_empty()).then_some(Anchor::Globs(name, globs))
}

/// Shows every condition of some rules, however deep.
pub(super) fn each_condition<'c>(rules: &'c [Rule], show: &mut impl FnMut(&'c Condition)) {
    let mut pending: Vec<&Condition> = rules.iter().flat_map(|rule| &rule.when).collect();
    while let Some(condition) = pending.pop() {
        match condition {
            Condition::All(conditions) | Condition::Any(conditions) => pending.extend(conditions),
            Condition::Not(condition) => pending.push(condition),
            _ => show(condition),
        }
    }
}
