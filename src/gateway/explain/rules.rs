//! Each rule, and why it does or does not match.

use std::sync::Arc;

use super::{Gateway, mode_name, switched};
use crate::config::Mode;
use crate::config::rule::{Action, CacheOverride};
use crate::gateway::ruling::{self, Ruled};
use crate::request::ApiRequest;
use crate::request::explanation::Section;
use crate::rules::Rules;

impl Gateway {
    /// What the rules make of a request, and a line for each of them. For those behind the one that
    /// decides nothing is found out about retrieval.
    pub(super) async fn explain_rules(
        &self,
        rules: &Arc<Rules>,
        request: &ApiRequest<'_>,
    ) -> (Ruled, Option<Section>) {
        let mode = self.config.features.rules.mode(request.identity.hash());
        let mut section = Section::new("rules");
        if mode != Mode::Act {
            section.because("policy", mode_name(mode), switched(self.config.features.rules, "rules"));
        }
        let case = self.case(rules, request).await;
        let mut verdicts = case.verdicts();
        let deciding = verdicts.find(|(rule, why)| {
            let known = match why {
                Some(why) => Err(why.clone()),
                None => self.known_state(rule, request, &case),
            };
            let matches = known.is_ok();
            let why = match known {
                Ok(None) => does(&rule.then),
                Ok(Some(by)) => format!("{}: {by}", does(&rule.then)),
                Err(why) => why,
            };
            section.because(&*rule.name, matches, why);
            matches
        });
        let Some((deciding, _)) = deciding else { return (Ruled::default(), Some(section)) };
        for (rule, why) in verdicts {
            let why = why.unwrap_or_else(|| format!("{} decides before it", deciding.name));
            section.because(&*rule.name, false, why);
        }
        let ruled = if mode == Mode::Act { self.ruled(deciding, request).await } else { Ruled::default() };
        (ruled, Some(section))
    }
}

/// What an action does: of one that changes the request's way, the settings it is written with.
fn does(action: &Action) -> String {
    let kind = ruling::kind(action);
    if kind != "change" {
        return kind.to_owned();
    }
    let Action { verdict: _, cache, alone, model, route, set, drop, min_score, burst, tags } = action;
    let settings = [
        ("cache", *cache != CacheOverride::default()),
        ("coalesce", *alone),
        ("model", model.is_some()),
        ("route", route.is_some()),
        ("set", !set.is_empty()),
        ("drop", !drop.is_empty()),
        ("min_score", min_score.is_some()),
        ("burst", burst.is_some()),
        ("tag", tags.is_some()),
    ];
    let given: Vec<&str> = settings.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    format!("{kind} of {}", given.join(", "))
}
