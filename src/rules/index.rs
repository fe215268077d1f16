//! Which rules may hold for a request, found without asking each.

use std::collections::HashMap;

use super::Case;
use super::patterns::Patterns;
use crate::config::endpoint::Endpoint;
use crate::config::glob::Glob;
use crate::config::rule::{Condition, Reach, Rule};
use crate::text::Folding;

/// Rules by their places in the file.
type Places = Vec<u32>;
/// Rules by a text that only they are for.
type ByText = HashMap<Box<str>, Places>;

/// Finds the rules that may hold.
pub(super) struct Index {
    /// For each way of folding, by what the user said last.
    texts: Vec<ByText>,
    /// By pattern, found in what the user said last.
    patterns: Vec<Places>,
    tenants: ByText,
    models: ByText,
    /// For each endpoint, and last for requests that pass unread.
    shelves: Vec<Shelf>,
}

/// The rules for one endpoint.
#[derive(Default)]
struct Shelf {
    /// Those that nothing finds: each is asked.
    loose: Places,
    /// Whether some are found by what the user said last.
    by_text: bool,
    by_pattern: bool,
    by_tenant: bool,
    by_model: bool,
    reads_content: bool,
}

/// What finds a rule: a condition without which it cannot hold.
enum Anchor<'c> {
    Texts(usize, &'c [Box<str>]),
    Pattern(usize),
    Tenants(Vec<&'c str>),
    Models(Vec<&'c str>),
    None,
}

impl Index {
    pub(super) fn new(rules: &[Rule], patterns: &Patterns, foldings: &[Folding]) -> Self {
        let mut index = Self {
            texts: foldings.iter().map(|_| ByText::new()).collect(),
            patterns: vec![Places::new(); patterns.len()],
            tenants: ByText::new(),
            models: ByText::new(),
            shelves: (0..=Endpoint::ALL.len()).map(|_| Shelf::default()).collect(),
        };
        for (place, rule) in (0..).zip(rules) {
            let anchor = anchor(rule, patterns, foldings);
            let file = |by: &mut ByText, names: &[&str]| {
                names.iter().for_each(|name| by.entry(Box::from(*name)).or_default().push(place));
            };
            match &anchor {
                Anchor::Texts(way, texts) => {
                    texts
                        .iter()
                        .for_each(|text| index.texts[*way].entry(text.clone()).or_default().push(place));
                }
                Anchor::Pattern(number) => index.patterns[*number].push(place),
                Anchor::Tenants(names) => file(&mut index.tenants, names),
                Anchor::Models(names) => {
                    for name in names {
                        index.models.entry(name.to_ascii_lowercase().into()).or_default().push(place);
                    }
                }
                Anchor::None => {}
            }
            let endpoints = rule.endpoints();
            let unread = rule.meets_unread().then_some(Endpoint::ALL.len());
            for shelf in endpoints.iter().map(|name| name as usize).chain(unread) {
                index.shelves[shelf].add(place, rule, &anchor);
            }
        }
        index
    }

    pub(super) fn reads_content(&self, endpoint: Endpoint) -> bool {
        self.shelves[endpoint as usize].reads_content
    }

    pub(super) fn meets_unread(&self) -> bool {
        self.shelves.last().is_some_and(|shelf| !shelf.is_empty())
    }

    /// The places of the rules that may hold, in order.
    pub(super) fn candidates<'i>(&'i self, case: &Case) -> Candidates<'i> {
        let shelf = match case.asked.endpoint {
            Some(endpoint) => endpoint as usize,
            None => Endpoint::ALL.len(),
        };
        let shelf = &self.shelves[shelf];
        let mut anchored = Places::new();
        let mut take = |places: Option<&Places>| anchored.extend(places.into_iter().flatten());
        if shelf.by_tenant {
            take(self.tenants.get(case.asked.tenant));
        }
        if shelf.by_model {
            let model = case.asked.model.map(|model| model.to_ascii_lowercase());
            take(model.and_then(|model| self.models.get(&*model)));
        }
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
    fn add(&mut self, place: u32, rule: &Rule, anchor: &Anchor) {
        self.reads_content |= rule.reach() == Reach::Content;
        match anchor {
            Anchor::Texts(..) => self.by_text = true,
            Anchor::Pattern(_) => self.by_pattern = true,
            Anchor::Tenants(_) => self.by_tenant = true,
            Anchor::Models(_) => self.by_model = true,
            Anchor::None => self.loose.push(place),
        }
    }

    fn is_empty(&self) -> bool {
        let anchored = self.by_text || self.by_pattern || self.by_tenant || self.by_model;
        self.loose.is_empty() && !anchored
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
            Condition::Tenant(globs) => names(globs).map(Anchor::Tenants),
            Condition::Model(globs) => names(globs).map(Anchor::Models),
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
            Self::Models(_) => 1,
            Self::Pattern(_) => 2,
            Self::Tenants(_) => 3,
            Self::Texts(..) => 4,
        }
    }
}

/// The names that globs stand for, where these are all.
fn names(globs: &[Glob]) -> Option<Vec<&str>> {
    globs.iter().map(Glob::exact).collect()
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
