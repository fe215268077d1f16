//! Why a rule does not hold, in words.

use super::{Case, Unmet};
use crate::config::condition::Extent;
use crate::config::endpoint::Endpoint;
use crate::config::glob::Glob;
use crate::config::rule::Condition;
use crate::text::Class;

impl Case<'_, '_> {
    /// Says what fails and, where it helps, what is there instead. What users said is not repeated.
    pub(super) fn words(&self, unmet: Unmet) -> String {
        match unmet {
            Unmet::Unread => "it looks at what cannot be read in this request".to_owned(),
            Unmet::Condition(condition) => self.failing(condition),
        }
    }

    fn failing(&self, condition: &Condition) -> String {
        let asked = &self.asked;
        let last = self.content().and_then(|content| content.last.as_ref());
        let not_last = "the conversation does not end with a message of the user";
        match condition {
            Condition::Endpoint(names) => {
                let names: Vec<_> = names.iter().map(|name| Endpoint::name(*name)).collect();
                let endpoint = asked.endpoint.map_or("none", |endpoint| endpoint.name());
                format!("endpoint is {endpoint}, not {}", names.join(" or "))
            }
            Condition::Method(methods) => {
                let names: Vec<_> = methods.iter().map(http::Method::as_str).collect();
                format!("method is {}, not {}", asked.method, names.join(" or "))
            }
            Condition::Path(globs) => format!("path is {}, not {}", asked.path, listed(globs)),
            Condition::Model(globs) => {
                format!("model is {}, not {}", asked.model.unwrap_or("none"), listed(globs))
            }
            Condition::Tenant(globs) => format!("tenant is {}, not {}", asked.tenant, listed(globs)),
            Condition::Header(name, globs) => format!("header {name} is not {}", listed(globs)),
            Condition::Stream(true) => "stream is not asked for".to_owned(),
            Condition::Stream(false) => "stream is asked for".to_owned(),
            Condition::Time { .. } => "time is another".to_owned(),
            Condition::Tools(true) => "it has no tools".to_owned(),
            Condition::Tools(false) => "it has tools".to_owned(),
            Condition::Images(true) => "it has no images".to_owned(),
            Condition::Images(false) => "it has images".to_owned(),
            Condition::TemperatureAbove(least) => {
                format!("temperature is {}, not above {least}", self.heat())
            }
            Condition::TemperatureBelow(most) => format!("temperature is {}, not below {most}", self.heat()),
            Condition::LongerThan(extent) => self.extent(*extent, "longer than"),
            Condition::ShorterThan(extent) => self.extent(*extent, "shorter than"),
            Condition::All(conditions) => conditions
                .iter()
                .find(|condition| !self.holds(condition))
                .map_or_else(String::new, |condition| self.failing(condition)),
            Condition::Any(conditions) => {
                let each: Vec<_> = conditions.iter().map(|condition| self.failing(condition)).collect();
                format!("any: {}", each.join("; "))
            }
            Condition::Not(_) => "what is under not holds".to_owned(),
            _ if last.is_none() => not_last.to_owned(),
            Condition::LastShorterThan(_) | Condition::Only(_) | Condition::OneOf(_)
                if last.is_some_and(|last| !last.alone) =>
            {
                "last_message is not text alone".to_owned()
            }
            Condition::LastShorterThan(most) => {
                let characters = last.map_or(0, |last| last.characters);
                format!("last_message has {characters} characters, not fewer than {most}")
            }
            Condition::Only(classes) => {
                let names: Vec<_> = classes.iter().map(|class| Class::name(*class)).collect();
                format!("last_message is not {} only", names.join(" or "))
            }
            Condition::OneOf(texts) => format!("last_message is none of {} texts", texts.folded.len()),
            Condition::Matches(pattern) => format!("last_message does not match {}", pattern.0),
        }
    }

    fn heat(&self) -> f64 {
        self.content().and_then(|content| content.temperature).unwrap_or(1.0)
    }

    fn extent(&self, extent: Extent, than: &str) -> String {
        let (bound, unit) = match extent {
            Extent::Characters(bound) => (bound, "characters"),
            Extent::Messages(bound) => (bound, "messages"),
        };
        let length = self.length(extent).unwrap_or(0);
        format!("conversation has {length} {unit}, not {than} {bound}")
    }
}

fn listed(globs: &[Glob]) -> String {
    globs.iter().map(|glob| &*glob.0).collect::<Vec<_>>().join(" or ")
}
