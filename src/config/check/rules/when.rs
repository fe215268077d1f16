//! `when:` of a rule as written -> its conditions.

use http::HeaderName;

use super::super::Report;
use crate::config::condition::Extent;
use crate::config::file::rules::{LastMessage, Time, When};
use crate::config::problem::Path;
use crate::config::rule::{Condition, State, Texts};
use crate::config::scalar::Toggle;
use crate::text::{Folding, LONGEST};

pub(in crate::config::check) fn conditions(
    written: &When,
    path: &Path,
    report: &mut Report,
) -> Vec<Condition> {
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
    for setting in asked_last(written) {
        report.wrong_key(
            &path.key(setting),
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

/// The conditions among these that are told by somebody else.
pub(in crate::config::check) fn asked_last(written: &When) -> impl Iterator<Item = &'static str> {
    let given = [("files", written.files.is_some()), ("relevance", written.relevance.is_some())];
    given.into_iter().filter(|(_, given)| *given).map(|(setting, _)| setting)
}

/// What a retrieval would find.
pub(super) fn state(written: &When, path: &Path, report: &mut Report) -> Vec<State> {
    let files = written.files.map(|files| State::Files(files.0.into()));
    let relevance = written.relevance.as_ref();
    let relevance =
        relevance.map(|written| super::relevance::relevance(written, &path.key("relevance"), report));
    files.into_iter().chain(relevance.map(State::Relevance)).collect()
}
