//! What would become of each input of an embedding request.

use std::collections::HashSet;

use crate::config::Mode;
use crate::gateway::Gateway;
use crate::gateway::decide::Decision;
use crate::gateway::embed::ByInput;
use crate::request::explanation::Section;
use crate::request::key::CacheKey;

/// Inputs that have a line of their own.
const MOST_SHOWN: usize = 32;

impl Gateway {
    /// Which inputs are known in memory or are being fetched, and how many would be sent. Tiers below
    /// the memory are not asked.
    pub(super) fn explain_inputs(&self, by_input: &ByInput, decision: &Decision, section: &mut Section) {
        let ByInput { asked, keys } = by_input;
        let mut seen = HashSet::with_capacity(keys.len());
        let fates: Vec<Fate> = keys
            .iter()
            .map(|key| if seen.insert(*key) { self.fate(key, decision) } else { Fate::Again })
            .collect();
        let count = |fate: Fate| fates.iter().filter(|one| **one == fate).count();
        section.fact("asked", keys.len()).fact("distinct", seen.len());
        section.fact("known", count(Fate::Known)).fact("being fetched", count(Fate::Fetched));
        section.fact("sent", count(Fate::Sent));
        if decision.plan.batch != Mode::Skip {
            let window = humantime::format_duration(self.config.batch.window).to_string();
            let others = "with other requests' inputs, where enough calls are under way";
            section.because("gathered for", window, others);
        }
        let shown = fates.iter().zip(keys).zip(&asked.inputs).take(MOST_SHOWN).enumerate();
        for (at, ((fate, key), input)) in shown {
            let about = format!("about {} tokens; key {}", input.estimate(), key.hex());
            section.because(format!("input {at}"), fate.name(), about);
        }
        if let Some(more) = keys.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
            section.fact("inputs not shown", more);
        }
    }

    fn fate(&self, key: &CacheKey, decision: &Decision) -> Fate {
        let plan = &decision.plan;
        if self.fresh_vector(key, &plan.cache).is_some() {
            Fate::Known
        } else if plan.coalesce == Mode::Act && self.kept.fetching.has(key) {
            Fate::Fetched
        } else {
            Fate::Sent
        }
    }
}

/// How an input would come by its vector.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Known,
    Fetched,
    Sent,
    /// With an equal one before it.
    Again,
}

impl Fate {
    const fn name(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Fetched => "being fetched",
            Self::Sent => "sent",
            Self::Again => "as an equal one before it",
        }
    }
}
