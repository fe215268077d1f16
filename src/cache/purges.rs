//! What was purged and when: tiers outside the memory are not searched, their entries are judged when
//! they are read.
//!
//! Every purge has a generation, a number that only grows: with Redis the number it gives the entry of a
//! stream (milliseconds since 1970 and a count within the millisecond), else one more each time. An entry carries the latest generation known when its call
//! began; a later purge that describes it covers it. To purge is O(1) whatever is stored.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::stored::{Marks, Stored};

/// Tags whose purges are remembered; beyond, the older half is forgotten and what has a tag and is
/// older than that counts as purged.
const TAGS: usize = 1 << 16;
/// Other purges that are remembered; beyond, all that is older than the forgotten counts as purged.
const OTHERS: usize = 1024;
/// Generations within a millisecond.
const PER_MILLISECOND: u32 = 20;

/// What a purge removes; every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purge {
    /// Fetched for this tenant.
    pub tenant: Option<String>,
    /// Asked of this model.
    pub model: Option<String>,
    /// Stored under this key, in full or its first digits.
    pub key: Option<String>,
    /// Marked with this tag: `vector_store:vs_1` for searches of a store, or one of a rule's.
    pub tag: Option<String>,
}

/// All purges that still matter.
#[derive(Debug, Default)]
pub struct Purges {
    latest: u64,
    /// The last purge of everything.
    all: u64,
    tags: HashMap<Box<str>, u64>,
    /// The latest of the tags' purges that were forgotten.
    forgotten_tags: u64,
    others: VecDeque<(u64, Purge)>,
}

/// The generation of an entry of a Redis stream: `1526919030474-55`.
pub fn generation_of(id: &str) -> Option<u64> {
    let (milliseconds, count) = id.split_once('-')?;
    let (milliseconds, count) = (milliseconds.parse::<u64>().ok()?, count.parse::<u64>().ok()?);
    let most = (1 << PER_MILLISECOND) - 1;
    Some((milliseconds << PER_MILLISECOND) | count.min(most))
}

impl Purges {
    /// The latest generation: what a call notes when it begins.
    pub fn latest(&self) -> u64 {
        self.latest
    }

    /// The generation of a purge made here. The next one and no more, whatever this machine's clock
    /// says: a purge of another sidecar, which Redis numbers, must still come after it.
    pub fn next(&self) -> u64 {
        self.latest + 1
    }

    /// Takes a purge in, made here or elsewhere.
    pub fn add(&mut self, generation: u64, purge: Purge) {
        self.latest = self.latest.max(generation);
        match purge {
            Purge { tenant: None, model: None, key: None, tag: None } => self.all(generation),
            Purge { tenant: None, model: None, key: None, tag: Some(tag) } => {
                let known = self.tags.entry(tag.into_boxed_str()).or_default();
                *known = generation.max(*known);
                self.bound_tags();
            }
            other => {
                self.others.push_back((generation, other));
                if self.others.len() > OTHERS
                    && let Some((forgotten, _)) = self.others.pop_front()
                {
                    self.all = self.all.max(forgotten);
                }
            }
        }
    }

    fn all(&mut self, generation: u64) {
        self.all = self.all.max(generation);
        self.tags.retain(|_, purged| *purged > generation);
        self.others.retain(|(purged, _)| *purged > generation);
    }

    fn bound_tags(&mut self) {
        if self.tags.len() <= TAGS {
            return;
        }
        let mut generations: Vec<u64> = self.tags.values().copied().collect();
        let (_, middle, _) = generations.select_nth_unstable(TAGS / 2);
        let middle = *middle;
        self.forgotten_tags = self.forgotten_tags.max(middle);
        self.tags.retain(|_, generation| *generation > middle);
    }

    /// Whether a purge since its call began removes what is `stored`.
    pub fn covers(&self, stored: &dyn Stored) -> bool {
        let Marks { generation: begun, tags, .. } = stored.marks();
        let tagged = tags.iter().any(|tag| {
            begun < self.forgotten_tags || self.tags.get(tag).is_some_and(|purged| begun < *purged)
        });
        tagged
            || begun < self.all
            || self.others.iter().any(|(generation, purge)| begun < *generation && purge.covers(stored))
    }
}

/// What tags of searches of a vector store begin with; its id follows.
const STORE: &str = "vector_store:";

impl Purge {
    /// What follows from a write to this vector store, or to a file that may be in any (`None`): answers to
    /// searches of the one, and whatever else is remembered of it or of all.
    pub fn of_store(store: Option<&str>) -> Self {
        Self { tag: Some(Self::store_tag(store.unwrap_or_default())), ..Self::default() }
    }

    /// What answers to searches of a vector store are marked with.
    pub fn store_tag(store: &str) -> String {
        format!("{STORE}{store}")
    }

    /// The vector store it is about, or all of them (`Some(None)`); `None` where it is about none.
    pub fn store(&self) -> Option<Option<&str>> {
        if *self == Self::default() {
            return Some(None);
        }
        let store = self.tag.as_deref()?.strip_prefix(STORE)?;
        Some((!store.is_empty()).then_some(store))
    }

    /// Whether it only tells that a file was written: no answer is marked with that.
    pub(super) fn is_of_any_store(&self) -> bool {
        self.tag.as_deref() == Some(STORE)
    }

    /// Whether it describes what is `stored`.
    pub fn covers(&self, stored: &dyn Stored) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == found);
        let Marks { tenant, model, tags, .. } = stored.marks();
        is(&self.tenant, Some(tenant))
            && is(&self.model, model)
            && self.tag.as_deref().is_none_or(|wanted| tags.iter().any(|tag| **tag == *wanted))
            && self.key.as_deref().is_none_or(|digits| stored.key().hex().starts_with(digits))
    }
}
