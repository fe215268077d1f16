//! What is answered here, refused, changed or cached otherwise, and why.
//!
//! The rules of one generation are compiled once: what most rules are told apart by, the texts, patterns,
//! tenants, models, paths and headers they name, finds the few that may hold; only rules without any of
//! these are asked each time. Those few are then judged in their order; the first that holds decides.

pub mod answer;
pub mod burst;
pub mod edit;
mod globs;
mod index;
mod judge;
mod patterns;
pub mod relevance;
pub mod seen;
pub mod stand_in;
pub mod stores;
mod words;

use std::sync::OnceLock;
use std::time::SystemTime;

use http::{HeaderMap, Method};

use crate::config::rule::Rule;
use crate::request::content::Content;
use crate::request::endpoint::Endpoint;
use crate::text::{Class, Folding};
use index::Index;
use patterns::{Found, Patterns};

pub use judge::Unmet;

/// The rules of one generation.
pub struct Rules {
    rules: Vec<Rule>,
    index: Index,
    patterns: Patterns,
    /// In how many ways texts are folded before they are compared.
    foldings: Vec<Folding>,
}

/// All that a rule may look at, borrowed from a request.
pub struct Asked<'r> {
    /// The call; `None` for a request that passes unread.
    pub endpoint: Option<Endpoint>,
    /// The method.
    pub method: &'r Method,
    /// The path, without its query.
    pub path: &'r str,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// Who asks.
    pub tenant: &'r str,
    /// The model asked for.
    pub model: Option<&'r str>,
    /// The answer is to be streamed.
    pub stream: bool,
    /// The body; `None` where it is not read or not JSON.
    pub body: Option<&'r [u8]>,
    /// The time.
    pub now: SystemTime,
}

/// One request under some rules. What they need of it is worked out when the first of them asks, once.
pub struct Case<'c, 'r> {
    rules: &'c Rules,
    asked: Asked<'r>,
    content: OnceLock<Content>,
    folded: OnceLock<Vec<String>>,
    found: OnceLock<Found>,
    only: [OnceLock<bool>; 16],
}

/// What rules look at in a body.
pub struct Reading {
    content: Content,
    found: Option<Found>,
}

impl Rules {
    /// Compiles rules; `None` where there are none.
    pub fn new(rules: &[Rule]) -> Option<Self> {
        if rules.is_empty() {
            return None;
        }
        let patterns = Patterns::of(rules);
        let mut foldings = Vec::new();
        index::each_condition(rules, &mut |condition| {
            if let crate::config::rule::Condition::OneOf(texts) = condition
                && !foldings.contains(&texts.folding)
            {
                foldings.push(texts.folding);
            }
        });
        Some(Self {
            index: Index::new(rules, &patterns, &foldings),
            rules: rules.to_vec(),
            patterns,
            foldings,
        })
    }

    /// Whether some rule looks at what is said in requests to `endpoint`.
    pub fn read_content(&self, endpoint: Endpoint) -> bool {
        self.index.reads_content(endpoint)
    }

    /// Whether some rule is for requests that pass unread.
    pub fn meet_unread(&self) -> bool {
        self.index.meets_unread()
    }

    /// Reads what is said in a body, and finds the patterns in it: what takes time in proportion to it.
    pub fn read(&self, endpoint: Endpoint, body: &[u8]) -> Reading {
        let content = Content::read(endpoint, body);
        let found = content.last.as_ref().map(|last| self.patterns.find(&last.text));
        Reading { content, found }
    }

    /// A request under these rules.
    pub fn case<'r>(&self, asked: Asked<'r>) -> Case<'_, 'r> {
        Case {
            rules: self,
            asked,
            content: OnceLock::new(),
            folded: OnceLock::new(),
            found: OnceLock::new(),
            only: Default::default(),
        }
    }
}

impl<'c> Case<'c, '_> {
    /// The same, already read: a large body is read elsewhere.
    #[must_use]
    pub fn having_read(self, Reading { content, found }: Reading) -> Self {
        // Nobody can have read it before: the case was just made.
        let _ = self.content.set(content);
        let _ = found.map(|found| self.found.set(found));
        self
    }

    /// The rules whose conditions hold, in their order; the first decides. Conditions that take a
    /// while to tell belong behind this: asked only of a rule that holds so far.
    pub fn holding(&self) -> impl Iterator<Item = &'c Rule> {
        self.rules.index.candidates(self).filter_map(|index| {
            let rule = self.rules.rules.get(index as usize)?;
            self.judge(rule).is_ok().then_some(rule)
        })
    }

    /// Every rule in its order, with why it does not hold where it does not.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'c Rule, Option<String>)> {
        self.rules.rules.iter().map(|rule| (rule, self.judge(rule).err().map(|unmet| self.words(unmet))))
    }

    /// What the user said last, where nothing but text came with it.
    pub fn question(&self) -> Option<&str> {
        self.content()?.last.as_ref().filter(|last| last.alone).map(|last| &*last.text)
    }

    /// What is said in the request; `None` where it cannot be read.
    fn content(&self) -> Option<&Content> {
        let (endpoint, body) = self.asked.endpoint.zip(self.asked.body)?;
        Some(self.content.get_or_init(|| Content::read(endpoint, body)))
    }

    /// What the user said last, folded in the way of this number.
    fn folded(&self, way: usize) -> Option<&str> {
        let last = self.content()?.last.as_ref()?;
        let fold = || {
            let each = self.rules.foldings.iter().map(|folding| folding.fold(&last.text).into_owned());
            each.collect::<Vec<_>>()
        };
        self.folded.get_or_init(fold).get(way).map(String::as_str)
    }

    /// The patterns found in what the user said last.
    fn found(&self) -> Option<&Found> {
        let last = self.content()?.last.as_ref()?;
        Some(self.found.get_or_init(|| self.rules.patterns.find(&last.text)))
    }

    /// Whether what the user said last is made of these kinds of characters alone.
    fn consists_of(&self, text: &str, classes: &[Class]) -> bool {
        let bits = classes.iter().fold(0, |bits, class| bits | 1 << *class as usize);
        let told = self.only.get(bits);
        let tell = || crate::text::consists_of(text, classes);
        told.map_or_else(tell, |told| *told.get_or_init(tell))
    }
}

#[cfg(test)]
mod tests;
