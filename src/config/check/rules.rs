//! `rules:` as written -> as meant.

mod relevance;
mod then;
pub(super) mod when;

use std::collections::HashMap;

use super::Report;
use crate::config::endpoint::Endpoint;
use crate::config::file::rules::Rule as Written;
use crate::config::problem::Path;
use crate::config::route::Route;
use crate::config::rule::{Action, EndpointSet, Rule, State, Verdict};

/// More rules than anybody keeps in order.
const MOST: usize = 20_000;

/// Endpoints that are answered with a text.
const CONVERSATIONS: [Endpoint; 5] =
    [Endpoint::Chat, Endpoint::Completions, Endpoint::Responses, Endpoint::Messages, Endpoint::Generate];
/// Endpoints whose requests carry a conversation, turn by turn.
const TURNS: [Endpoint; 4] = [Endpoint::Chat, Endpoint::Responses, Endpoint::Messages, Endpoint::Generate];
/// Endpoints that are answered with vectors.
const EMBEDDINGS: [Endpoint; 3] =
    [Endpoint::Embeddings, Endpoint::EmbedContent, Endpoint::BatchEmbedContents];

/// Every rule of the file.
pub(super) fn rules(written: &[Written], routes: &[Route], report: &mut Report) -> Vec<Rule> {
    let section = Path::from("rules");
    if written.len() > MOST {
        report.wrong_key(&section, format!("has more than {MOST} rules; write fewer"));
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut rules = Vec::with_capacity(written.len());
    for (index, written) in written.iter().enumerate() {
        let path = section.index(index);
        name(&written.name, &path, report);
        if let Some(first) = seen.insert(&written.name, index).filter(|_| !written.name.is_empty()) {
            report.wrong(&path.key("name"), format!("is the name of rules[{first}]; give each its own"));
        }
        rules.push(rule(written, routes, &path, report));
    }
    rules
}

/// It goes into a header, metric labels and the log.
fn name(name: &str, path: &Path, report: &mut Report) {
    let path = path.key("name");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    if name.is_empty() {
        if !report.doubts(&path) {
            report.wrong_key(&path, "is missing; name the rule, such as greeting");
        }
    } else if name.len() > 64 || !name.chars().all(plain) {
        report.wrong(&path, "is no name for a rule; write up to 64 letters, digits, - _ . : or /");
    }
}

fn rule(written: &Written, routes: &[Route], path: &Path, report: &mut Report) -> Rule {
    let (when, then) = (path.key("when"), path.key("then"));
    let rule = Rule {
        name: written.name.as_str().into(),
        when: when::conditions(&written.when, &when, report),
        state: when::state(&written.when, &when, report),
        then: then::action(&written.then, routes, &then, report),
    };
    if rule.when.is_empty() && rule.state.is_empty() && !report.doubts(&when) {
        report.wrong_key(
            &when,
            "has no condition and would hold for everything; write one such as endpoint: chat",
        );
    }
    if rule.then == Action::default() && !report.doubts(&then) {
        report.wrong_key(
            &then,
            "does nothing; write answer, deny, cache, coalesce, model, route, set, drop, min_score, burst or tag",
        );
    }
    if !report.doubts(path) {
        check_reach(&rule, path, report);
    }
    rule
}

/// Whether what is done can be done where the conditions hold.
fn check_reach(rule: &Rule, path: &Path, report: &mut Report) {
    let then = path.key("then");
    let changes = rule.then.verdict.as_ref().is_some_and(|verdict| !matches!(verdict, Verdict::Deny { .. }))
        || Action { verdict: None, tags: None, ..rule.then.clone() } != Action::default();
    if rule.meets_unread() && changes {
        report.wrong_key(
            &then,
            "can only deny or tag, for by its path and method alone the rule is also for requests that pass unread; add endpoint: to its conditions",
        );
        return;
    }
    let only = |names: &[Endpoint]| names.iter().copied().collect::<EndpointSet>();
    let answer = rule.then.verdict.as_ref().and_then(|verdict| match verdict {
        Verdict::Say(_) => Some((then.key("answer"), only(&CONVERSATIONS), "a text answers")),
        Verdict::NoResults => {
            Some((then.key("answer"), only(&[Endpoint::VectorStoreSearch]), "no_results answers"))
        }
        Verdict::EmbeddingOf(_) => Some((then.key("answer"), only(&EMBEDDINGS), "embedding_of answers")),
        Verdict::Deny { .. } => None,
    });
    let burst = rule.then.burst.as_ref().map(|_| (then.key("burst"), only(&TURNS), "turns are merged at"));
    let searches = only(&[Endpoint::VectorStoreSearch]);
    let floor = rule.then.min_score.map(|_| (then.key("min_score"), searches, "results are scored at"));
    let when = path.key("when");
    let state = rule.state.iter().map(|state| match state {
        State::Files(_) => {
            let retrieves = only(&[Endpoint::VectorStoreSearch, Endpoint::Responses]);
            (when.key("files"), retrieves, "vector stores are read at")
        }
        State::Relevance(relevance) if relevance.learns() => {
            (when.key("relevance"), searches, "without examples, results are seen at")
        }
        State::Relevance(_) => {
            (when.key("relevance"), only(&CONVERSATIONS).or(searches), "something is asked at")
        }
    });
    for (setting, fit, what) in [answer, burst, floor].into_iter().flatten().chain(state) {
        let beyond = rule.endpoints().and(fit.complement());
        if beyond != EndpointSet::NONE {
            let names = |set: EndpointSet| set.iter().map(Endpoint::name).collect::<Vec<_>>().join(", ");
            report.wrong_key(
                &setting,
                format!(
                    "does not fit {}: {what} {} only; name those under when.endpoint",
                    names(beyond),
                    names(fit)
                ),
            );
        }
    }
}
