//! `then:` of a rule as written -> what is done.

use std::time::Duration;

use http::StatusCode;

use super::super::Report;
use crate::config::burst::Burst;
use crate::config::file::rules::Then;
use crate::config::pointer::{Pointer, PointerStep};
use crate::config::problem::Path;
use crate::config::route::Route;
use crate::config::rule::{Action, CacheOverride, Tags, Verdict};
use crate::config::scalar::{Scalar, Toggle};
use crate::config::text_or::TextOr;

/// How long a request may be held back for a later one: nobody waits longer for an answer to begin.
const LONGEST_WINDOW: Duration = Duration::from_secs(10);

pub(super) fn action(written: &Then, routes: &[Route], path: &Path, report: &mut Report) -> Action {
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
        route: route(written, routes, &path.key("route"), report),
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
    let rest = Action { verdict: None, tags: None, ..action.clone() };
    if action.verdict.is_some() && rest != Action::default() && !report.doubts(path) {
        report.wrong_key(path, "answers or denies, so no provider is asked and nothing else but tag can be done; leave the rest out");
    }
    action
}

/// The place of the route that is named.
fn route(written: &Then, routes: &[Route], path: &Path, report: &mut Report) -> Option<usize> {
    let name = written.route.as_deref()?;
    let place = routes.iter().position(|route| route.name == name);
    if place.is_none() {
        let known: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
        let known = if known.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        let shown = report.shown(path, name);
        report.wrong(path, format!("{shown} is the name of no route; {known} under routes"));
    }
    place
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

fn tags(written: &[String], path: &Path, report: &mut Report) -> Option<Tags> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    for tag in written {
        if tag.is_empty() || tag.len() > 64 || !tag.chars().all(plain) {
            report.wrong(path, "has what is no tag; write up to 64 letters, digits, - _ . : or /");
        }
    }
    let tags: Tags = written.iter().map(|tag| tag.as_str().into()).collect();
    (!tags.is_empty()).then_some(tags)
}
