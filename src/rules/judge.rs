//! Whether a rule holds, and if not, which condition is the first that fails.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Case;
use crate::config::condition::{Extent, Hours, Weekday};
use crate::config::glob::Glob;
use crate::config::rule::{Condition, Reach, Rule};
use crate::request::content::LastMessage;

/// Why a rule does not hold.
#[derive(Clone, Copy, Debug)]
pub enum Unmet<'c> {
    /// It looks at what pareto did not read.
    Unread,
    /// This condition fails.
    Condition(&'c Condition),
}

impl Case<'_, '_> {
    /// Whether a rule holds.
    ///
    /// # Errors
    /// The first of its conditions that fails.
    pub(super) fn judge<'c>(&self, rule: &'c Rule) -> Result<(), Unmet<'c>> {
        // Nothing can be said of a body that was not read, nor that something is not in it.
        let read = match rule.reach() {
            Reach::Head => self.asked.endpoint.is_some() || rule.meets_unread(),
            Reach::Facts => self.asked.endpoint.is_some(),
            Reach::Content => self.asked.endpoint.is_some() && self.asked.body.is_some(),
        };
        if !read {
            return Err(Unmet::Unread);
        }
        let failing = rule.when.iter().find(|condition| !self.holds(condition));
        failing.map_or(Ok(()), |condition| Err(Unmet::Condition(condition)))
    }

    pub(super) fn holds(&self, condition: &Condition) -> bool {
        let asked = &self.asked;
        match condition {
            Condition::Endpoint(names) => asked.endpoint.is_some_and(|endpoint| names.contains(&endpoint)),
            Condition::Method(methods) => methods.contains(asked.method),
            Condition::Path(globs) => any(globs, asked.path),
            Condition::Model(globs) => {
                asked.model.is_some_and(|model| globs.iter().any(|glob| glob.matches_any_case(model)))
            }
            Condition::Tenant(globs) => any(globs, asked.tenant),
            Condition::Header(name, globs) => {
                let mut values = asked.headers.get_all(name).iter();
                values.any(|value| std::str::from_utf8(value.as_bytes()).is_ok_and(|value| any(globs, value)))
            }
            Condition::Stream(stream) => asked.stream == *stream,
            Condition::Time { hours, days, zone } => self.is_time(*hours, days, zone),
            Condition::All(conditions) => conditions.iter().all(|condition| self.holds(condition)),
            Condition::Any(conditions) => conditions.iter().any(|condition| self.holds(condition)),
            Condition::Not(condition) => !self.holds(condition),
            _ => self.says(condition),
        }
    }

    /// The conditions on what is said.
    fn says(&self, condition: &Condition) -> bool {
        let Some(content) = self.content() else { return false };
        // What describes a message as a whole cannot describe one that an image came with.
        let last = |tell: &dyn Fn(&LastMessage) -> bool| content.last.as_ref().is_some_and(tell);
        // The default of every API that has one.
        let temperature = content.temperature.unwrap_or(1.0);
        match condition {
            Condition::Tools(tools) => content.tools == *tools,
            Condition::Images(images) => content.images == *images,
            Condition::TemperatureAbove(least) => temperature > *least,
            Condition::TemperatureBelow(most) => temperature < *most,
            Condition::LongerThan(extent) => self.length(*extent) > Some(bound(*extent)),
            Condition::ShorterThan(extent) => self.length(*extent) < Some(bound(*extent)),
            Condition::LastShorterThan(most) => last(&|last| last.alone && last.characters < *most as usize),
            Condition::Only(classes) => last(&|last| last.alone && self.consists_of(&last.text, classes)),
            Condition::OneOf(texts) => {
                let alone = last(&|last| last.alone);
                let way = self.rules.foldings.iter().position(|folding| *folding == texts.folding);
                let folded = way.filter(|_| alone).and_then(|way| self.folded(way));
                folded.is_some_and(|text| texts.folded.binary_search_by(|one| (**one).cmp(text)).is_ok())
            }
            Condition::Matches(pattern) => {
                let number = self.rules.patterns.number(pattern);
                number.zip(self.found()).is_some_and(|(number, found)| found.has(number))
            }
            _ => false,
        }
    }

    /// How long the conversation is, in the unit of `extent`.
    pub(super) fn length(&self, extent: Extent) -> Option<usize> {
        let content = self.content()?;
        Some(match extent {
            Extent::Characters(_) => content.characters,
            Extent::Messages(_) => content.messages,
        })
    }

    fn is_time(&self, hours: Option<Hours>, days: &[Weekday], zone: &TimeZone) -> bool {
        let Ok(now) = Timestamp::try_from(self.asked.now) else { return false };
        let local = zone.to_datetime(now);
        let today = local.weekday().to_monday_zero_offset();
        (days.is_empty() || days.iter().any(|day| *day as i8 == today))
            && hours.is_none_or(|hours| hours.contains(local.time()))
    }
}

fn bound(extent: Extent) -> usize {
    match extent {
        Extent::Characters(bound) | Extent::Messages(bound) => bound as usize,
    }
}

fn any(globs: &[Glob], name: &str) -> bool {
    globs.iter().any(|glob| glob.matches(name))
}
