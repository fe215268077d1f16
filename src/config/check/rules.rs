//! `rules:` as written -> as meant.

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::Report;
use crate::config::burst::Burst;
use crate::config::condition::{EndpointName, Extent};
use crate::config::file::rules::{LastMessage, Rule as Written, Then, Time, When};
use crate::config::pointer::{Pointer, PointerStep};
use crate::config::problem::Path;
use crate::config::rule::{Action, CacheOverride, Condition, EndpointSet, Rule, State, Texts, Verdict};
use crate::config::scalar::{Scalar, Toggle};
use crate::config::text_or::TextOr;
use crate::text::{Folding, LONGEST};

/// More rules than anybody keeps in order.
const MOST: usize = 20_000;

/// Endpoints that are answered with a text.
const CONVERSATIONS: [EndpointName; 5] = [
    EndpointName::Chat,
    EndpointName::Completions,
    EndpointName::Responses,
    EndpointName::Messages,
    EndpointName::Generate,
];
/// Endpoints whose requests carry a conversation, turn by turn.
const TURNS: [EndpointName; 4] =
    [EndpointName::Chat, EndpointName::Responses, EndpointName::Messages, EndpointName::Generate];
/// How long a request may be held back for a later one: nobody waits longer for an answer to begin.
const LONGEST_WINDOW: Duration = Duration::from_secs(10);
/// Endpoints that are answered with vectors.
const EMBEDDINGS: [EndpointName; 3] =
    [EndpointName::Embeddings, EndpointName::EmbedContent, EndpointName::BatchEmbedContents];

/// Every rule of the file.
pub(super) fn rules(written: &[Written], report: &mut Report) -> Vec<Rule> {
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
        rules.push(rule(written, &path, report));
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

fn rule(written: &Written, path: &Path, report: &mut Report) -> Rule {
    let (when, then) = (path.key("when"), path.key("then"));
    let rule = Rule {
        name: written.name.as_str().into(),
        when: conditions(&written.when, &when, report),
        state: state(&written.when),
        then: action(&written.then, &then, report),
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
            "does nothing; write answer, deny, cache, coalesce, model, set, drop, min_score, burst or tag",
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
        || Action { verdict: None, tags: Vec::new(), ..rule.then.clone() } != Action::default();
    if rule.meets_unread() && changes {
        report.wrong_key(
            &then,
            "can only deny or tag, for by its path and method alone the rule is also for requests that pass unread; add endpoint: to its conditions",
        );
        return;
    }
    let only = |names: &[EndpointName]| names.iter().copied().collect::<EndpointSet>();
    let answer = rule.then.verdict.as_ref().and_then(|verdict| match verdict {
        Verdict::Say(_) => Some((then.key("answer"), only(&CONVERSATIONS), "a text answers")),
        Verdict::NoResults => {
            Some((then.key("answer"), only(&[EndpointName::VectorStoreSearch]), "no_results answers"))
        }
        Verdict::EmbeddingOf(_) => Some((then.key("answer"), only(&EMBEDDINGS), "embedding_of answers")),
        Verdict::Deny { .. } => None,
    });
    let burst = rule.then.burst.as_ref().map(|_| (then.key("burst"), only(&TURNS), "turns are merged at"));
    let searches = only(&[EndpointName::VectorStoreSearch]);
    let floor = rule.then.min_score.map(|_| (then.key("min_score"), searches, "results are scored at"));
    let retrieves = only(&[EndpointName::VectorStoreSearch, EndpointName::Responses]);
    let files =
        rule.state.first().map(|_| (path.key("when").key("files"), retrieves, "vector stores are read at"));
    for (setting, fit, what) in [answer, burst, floor, files].into_iter().flatten() {
        let beyond = rule.endpoints().and(fit.complement());
        if beyond != EndpointSet::NONE {
            let names = |set: EndpointSet| set.iter().map(EndpointName::name).collect::<Vec<_>>().join(", ");
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

fn conditions(written: &When, path: &Path, report: &mut Report) -> Vec<Condition> {
    let mut found = Vec::new();
    let mut list = |condition: Option<Condition>| found.extend(condition);
    let some = |list: &[_], make: fn(Vec<_>) -> Condition| (!list.is_empty()).then(|| make(list.to_vec()));
    list((!written.endpoint.0.is_empty()).then(|| Condition::Endpoint(written.endpoint.0.clone())));
    let methods: Vec<_> = written.method.0.iter().map(|method| method.0.clone()).collect();
    list((!methods.is_empty()).then_some(Condition::Method(methods)));
    list(some(&written.path.0, Condition::Path));
    list(some(&written.model.0, Condition::Model));
    list(some(&written.tenant.0, Condition::Tenant));
    for (name, values) in &written.header.0 {
        let path = path.key("header").key(name);
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if !values.0.is_empty() => list(Some(Condition::Header(name, values.0.clone()))),
            Ok(_) => report.wrong_key(&path, "has no value; write one, or \"*\" for any"),
            Err(_) => report.wrong_key(&path, "is no header's name; write one such as x-team"),
        }
    }
    list(written.stream.map(|Toggle(stream)| Condition::Stream(stream)));
    list(written.time.as_ref().and_then(|time| time_of(time, &path.key("time"), report)));
    if let Some(has) = &written.has {
        let nothing = has.tools.is_none() && has.images.is_none();
        asks_nothing(nothing, &path.key("has"), "tools or images: true or false", report);
        list(has.tools.map(|Toggle(tools)| Condition::Tools(tools)));
        list(has.images.map(|Toggle(images)| Condition::Images(images)));
    }
    if let Some(temperature) = &written.temperature {
        let nothing = temperature.above.is_none() && temperature.below.is_none();
        asks_nothing(nothing, &path.key("temperature"), "above or below", report);
        list(temperature.above.map(|above| Condition::TemperatureAbove(above.0)));
        list(temperature.below.map(|below| Condition::TemperatureBelow(below.0)));
    }
    if let Some(conversation) = &written.conversation {
        let path = path.key("conversation");
        let nothing = conversation.longer_than.is_none() && conversation.shorter_than.is_none();
        asks_nothing(nothing, &path, "longer_than or shorter_than", report);
        if matches!(conversation.shorter_than, Some(Extent::Characters(0) | Extent::Messages(0))) {
            report.wrong(&path.key("shorter_than"), "is 0, and nothing is shorter; write at least 1");
        }
        list(conversation.longer_than.map(Condition::LongerThan));
        list(conversation.shorter_than.map(Condition::ShorterThan));
    }
    if let Some(last) = &written.last_message {
        found.extend(last_message(last, &path.key("last_message"), report));
    }
    found.extend(combined(written, path, report));
    found
}

/// A condition without its settings; what is wrong with one of them may be why.
fn asks_nothing(nothing: bool, path: &Path, settings: &str, report: &mut Report) {
    if nothing && !report.doubts(path) {
        report.wrong_key(path, format!("asks for nothing; write {settings}"));
    }
}

fn combined(written: &When, path: &Path, report: &mut Report) -> Vec<Condition> {
    let mut found = Vec::new();
    let every = |list: &[When], path: &Path, report: &mut Report| {
        let each = list.iter().enumerate().map(|(index, when)| nested(when, &path.index(index), report));
        each.collect::<Vec<_>>()
    };
    found.extend(every(&written.all, &path.key("all"), report));
    let any = every(&written.any, &path.key("any"), report);
    if !any.is_empty() {
        found.push(Condition::Any(any));
    }
    if let Some(not) = &written.not {
        found.push(Condition::Not(Box::new(nested(not, &path.key("not"), report))));
    }
    found
}

/// The conditions of one element of `all`, `any` or `not`, as one.
fn nested(written: &When, path: &Path, report: &mut Report) -> Condition {
    let mut found = conditions(written, path, report);
    if written.files.is_some() {
        report.wrong_key(
            &path.key("files"),
            "is asked last and of somebody else: write it beside all, any and not, directly under when",
        );
    }
    if found.is_empty() && !report.doubts(path) {
        report.wrong_key(path, "has no condition; write one such as endpoint: chat");
    }
    match (found.len(), found.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            found.extend(last);
            Condition::All(found)
        }
    }
}

fn time_of(written: &Time, path: &Path, report: &mut Report) -> Option<Condition> {
    if written.between.is_none() && written.days.0.is_empty() {
        if !report.doubts(path) {
            report.wrong_key(path, "says no time; write between or days");
        }
        return None;
    }
    let (hours, days, zone) = (written.between, written.days.0.clone(), written.zone.0.clone());
    Some(Condition::Time { hours, days, zone })
}

fn last_message(written: &LastMessage, path: &Path, report: &mut Report) -> Vec<Condition> {
    let mut found = Vec::new();
    if let Some(shorter) = written.shorter_than {
        if shorter.0 == 0 {
            report.wrong(&path.key("shorter_than"), "is 0, and nothing is shorter; write at least 1");
        }
        found.push(Condition::LastShorterThan(shorter.0));
    }
    if !written.only.0.is_empty() {
        found.push(Condition::Only(written.only.0.clone()));
    }
    if !written.one_of.0.is_empty() {
        let folding: Folding = written.normalize.iter().copied().collect();
        for (index, text) in written.one_of.0.iter().enumerate() {
            if text.is_empty() || text.len() > LONGEST {
                let list = path.key("one_of");
                let path = if written.one_of.0.len() == 1 { list } else { list.index(index) };
                report.wrong(&path, "is no text to compare with; write 1 B to 64 KiB");
            }
        }
        let texts = written.one_of.0.iter().map(|text| folding.fold(text).into_owned().into_boxed_str());
        let mut folded: Vec<Box<str>> = texts.collect();
        folded.sort_unstable();
        folded.dedup();
        found.push(Condition::OneOf(Texts { folded, folding }));
    }
    found.extend(written.matches.clone().map(Condition::Matches));
    asks_nothing(found.is_empty(), path, "one_of, matches, shorter_than or only", report);
    found
}

fn action(written: &Then, path: &Path, report: &mut Report) -> Action {
    if written.lane.is_some() {
        report
            .wrong(&path.key("lane"), "is not possible yet: there is no queue in this version; leave it out");
    }
    let verdict = verdict(written, path, report);
    let alone = written.coalesce.is_some();
    if written.coalesce == Some(Toggle(true)) {
        report.wrong(&path.key("coalesce"), "is on anyway; write coalesce: off, or leave it out");
    }
    let model = written.model.as_deref().map(Box::from);
    if written.model.as_deref() == Some("") {
        report.wrong(&path.key("model"), "is empty; write the model to ask");
    }
    let tags = tags(&written.tag.0, &path.key("tag"), report);
    let action = Action {
        verdict,
        cache: cache(written, &path.key("cache"), report),
        alone,
        model,
        set: set(written, &path.key("set"), report),
        drop: written.drop.0.clone(),
        min_score: min_score(written, &path.key("min_score"), report),
        burst: burst(written, &path.key("burst"), report),
        tags,
    };
    for (index, pointer) in action.drop.iter().enumerate() {
        let list = path.key("drop");
        let path = if action.drop.len() == 1 { list } else { list.index(index) };
        check_place(pointer, &path, report);
    }
    let rest = Action { verdict: None, tags: Vec::new(), ..action.clone() };
    if action.verdict.is_some() && rest != Action::default() && !report.doubts(path) {
        report.wrong_key(path, "answers or denies, so no provider is asked and nothing else but tag can be done; leave the rest out");
    }
    action
}

fn verdict(written: &Then, path: &Path, report: &mut Report) -> Option<Verdict> {
    if written.answer.is_some() && written.deny.is_some() {
        report.wrong_key(path, "both answers and denies; write one of them");
    }
    let answer = written.answer.as_ref().map(|answer| match answer {
        TextOr::Text(text) if text == "no_results" => Verdict::NoResults,
        TextOr::Text(text) => {
            if text.is_empty() {
                report.wrong(&path.key("answer"), "is empty; write what to answer");
            }
            Verdict::Say(text.as_str().into())
        }
        TextOr::Settings(settings) => {
            let path = path.key("answer").key("embedding_of");
            if settings.embedding_of.is_empty() && !report.doubts(&path) {
                report.wrong_key(&path, "is missing; write the text whose embedding is the answer");
            }
            Verdict::EmbeddingOf(settings.embedding_of.as_str().into())
        }
    });
    let deny = written.deny.as_ref().map(|deny| {
        let settings = match deny {
            TextOr::Text(message) => {
                &crate::config::file::rules::Deny { message: message.clone(), ..Default::default() }
            }
            TextOr::Settings(settings) => settings,
        };
        let given = u16::try_from(settings.status.0).ok().and_then(|code| StatusCode::from_u16(code).ok());
        let status = given.filter(|status| status.is_client_error() || status.is_server_error());
        if status.is_none() {
            report.wrong(&path.key("deny").key("status"), "refuses nothing; write 400 to 599");
        }
        let status = status.unwrap_or(StatusCode::FORBIDDEN);
        Verdict::Deny { status, message: settings.message.as_str().into() }
    });
    answer.or(deny)
}

fn cache(written: &Then, path: &Path, report: &mut Report) -> CacheOverride {
    match &written.cache {
        None => CacheOverride::default(),
        Some(TextOr::Text(text)) => {
            if !Toggle::read(text).is_ok_and(|toggle| toggle == Toggle(false)) {
                report.wrong(path, "is neither off nor settings; write off, or {ttl: 10m}");
            }
            CacheOverride { off: true, ..Default::default() }
        }
        Some(TextOr::Settings(settings)) => {
            if settings.ttl.is_none() && settings.normalize.is_none() && !report.doubts(path) {
                report.wrong_key(path, "changes nothing; write ttl or normalize, or cache: off");
            }
            if settings.ttl.is_some_and(|ttl| ttl.0.is_zero()) {
                report.wrong(&path.key("ttl"), "would keep no answer; write cache: off, or a duration");
            }
            CacheOverride {
                off: false,
                ttl: settings.ttl.map(|ttl| ttl.0),
                normalize: settings.normalize.as_ref().map(|steps| steps.iter().copied().collect()),
            }
        }
    }
}

/// What a retrieval would find.
fn state(written: &When) -> Vec<State> {
    written.files.map(|files| State::Files(files.0.into())).into_iter().collect()
}

fn min_score(written: &Then, path: &Path, report: &mut Report) -> Option<f64> {
    let least = written.min_score?.0;
    if !(0.0..=1.0).contains(&least) {
        report.wrong(path, "is no score; write 0 to 1, such as 0.3");
    }
    Some(least)
}

fn burst(written: &Then, path: &Path, report: &mut Report) -> Option<Burst> {
    let written = written.burst.as_ref()?;
    if written.window.0.is_zero() || written.window.0 > LONGEST_WINDOW {
        report.wrong(&path.key("window"), "is no moment; write more than 0s and at most 10s, such as 800ms");
    }
    let Some(key) = written.key.clone() else {
        if !report.doubts(&path.key("key")) {
            report.wrong_key(
                &path.key("key"),
                "is missing; write what names a conversation, such as header:x-conversation-id",
            );
        }
        return None;
    };
    Some(Burst { window: written.window.0, key, superseded: written.superseded })
}

fn set(written: &Then, path: &Path, report: &mut Report) -> Vec<(Pointer, serde_json::Value)> {
    let mut set = Vec::new();
    for (place, value) in &written.set.0 {
        let path = path.key(place);
        match Pointer::read(place) {
            Ok(pointer) => {
                check_place(&pointer, &path, report);
                set.push((pointer, value.0.clone()));
            }
            Err(wrong) => report.wrong_key(&path, wrong),
        }
    }
    set
}

/// What decides how a client gets its answer is the client's, and the model has an action of its own.
fn check_place(pointer: &Pointer, path: &Path, report: &mut Report) {
    let Some(PointerStep::Name(first)) = pointer.steps.first() else {
        return report
            .wrong_key(path, "is no place in a body, which is an object; begin with a member's name");
    };
    match &**first {
        "stream" | "stream_options" => {
            report.wrong_key(path, "is how the client wants its answer; a rule cannot change it");
        }
        "model" => report.wrong_key(path, "is not changed like this; write model: NAME beside set"),
        _ => {}
    }
}

fn tags(written: &[String], path: &Path, report: &mut Report) -> Vec<Box<str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    for tag in written {
        if tag.is_empty() || tag.len() > 64 || !tag.chars().all(plain) {
            report.wrong(path, "has what is no tag; write up to 64 letters, digits, - _ . : or /");
        }
    }
    written.iter().map(|tag| tag.as_str().into()).collect()
}
