//! Bursts and what a retrieval would find, in the file.

use std::time::Duration;

use super::{config, problems};
use crate::config::burst::{Burst, Superseded};
use crate::config::conversation::ConversationSource;
use crate::config::relevance::Measure;
use crate::config::rule::State;
use crate::text::{Language, Script};

#[test]
fn every_setting_arrives() {
    let rule = |text: &str| config(&format!("rules: [{{name: r, {text}}}]")).rules[0].clone();
    let files = rule("when: {files: 0, endpoint: vector_store_search}, then: {min_score: 0.3}");
    assert_eq!((files.state, files.then.min_score), (vec![State::Files(0)], Some(0.3)));
    for (key, source) in [
        ("user", ConversationSource::User),
        ("'header:X-C'", ConversationSource::Header(http::HeaderName::from_static("x-c"))),
        ("'pointer:/metadata/c'", ConversationSource::Pointer("/metadata/c".to_owned())),
    ] {
        let burst =
            rule(&format!("when: {{endpoint: chat}}, then: {{burst: {{key: {key}, superseded: empty}}}}"));
        let window = Duration::from_millis(800);
        assert_eq!(burst.then.burst, Some(Burst { window, key: source, superseded: Superseded::Empty }));
    }
}

#[test]
fn what_could_not_be_done_is_said() {
    let burst = |settings: &str| format!("when: {{endpoint: chat}}, then: {{burst: {{{settings}}}}}");
    for (rule, path, words) in [
        (burst("key: user, window: 0s"), "rules[0].then.burst.window", "at most 10s"),
        (burst("key: user, window: 11s"), "rules[0].then.burst.window", "at most 10s"),
        (burst("key: session"), "rules[0].then.burst.key", "names no conversation"),
        (
            "when: {endpoint: embeddings}, then: {burst: {key: user}}".to_owned(),
            "rules[0].then.burst",
            "does not fit",
        ),
        (
            "when: {endpoint: chat}, then: {min_score: 0.3}".to_owned(),
            "rules[0].then.min_score",
            "does not fit",
        ),
        (
            "when: {endpoint: vector_store_search}, then: {min_score: 3}".to_owned(),
            "rules[0].then.min_score",
            "0 to 1",
        ),
        (
            "when: {endpoint: chat, files: 0}, then: {cache: off}".to_owned(),
            "rules[0].when.files",
            "does not fit",
        ),
    ] {
        let text = format!("rules: [{{name: r, {rule}}}]");
        let found = problems(&text);
        let [problem] = found.as_slice() else { panic!("{text}\n{found:#?}") };
        assert!(problem.contains(path) && problem.contains(words), "{text}\n{problem}");
    }
}

#[test]
fn how_relevant_a_question_must_be_arrives() {
    let relevance = |settings: &str, endpoint: &str| {
        let text = format!(
            "rules: [{{name: r, when: {{endpoint: {endpoint}, relevance: {{{settings}}}}}, then: {{tag: a}}}}]"
        );
        let checked = config(&text);
        // What is shown is what can be written.
        let shown = checked.effective()["rules"].to_string();
        assert_eq!(config(&format!("rules: {shown}")).rules, checked.rules);
        let [State::Relevance(relevance)] = checked.rules[0].state.as_slice() else { panic!("{text}") };
        relevance.clone()
    };
    let contracts = relevance("below: 0.3", "vector_store_search");
    assert_eq!(
        (contracts.below, &*contracts.model, contracts.learns()),
        (0.3, "text-embedding-3-small", true)
    );
    assert_eq!((contracts.min_examples, contracts.scripts.as_slice()), (10, &[Script::LATIN][..]));
    let every = relevance(
        "below: -0.1, model: m, examples: [a, b, a], min_examples: 2, by: centroid, scripts: [arabic, latin], languages: ara",
        "[chat, vector_store_search]",
    );
    assert_eq!((every.examples.len(), every.by, every.scripts.len()), (2, Measure::Centroid, 2));
    assert_eq!(every.languages, [Language::coded("ara").unwrap()]);
}

#[test]
fn what_is_wrong_with_relevance_is_said() {
    let when = |endpoint: &str, settings: &str| format!("endpoint: {endpoint}, relevance: {{{settings}}}");
    let search = "vector_store_search";
    for (when, path, words) in [
        (when(search, "model: m"), "relevance.below", "is missing"),
        (when(search, "below: 3"), "relevance.below", "-1 to 1"),
        (when(search, "below: 0.3, model: ''"), "relevance.model", "is empty"),
        (when(search, "below: 0.3, scripts: []"), "relevance.scripts", "names none"),
        (when(search, "below: 0.3, scripts: english"), "relevance.scripts", "is no script"),
        (when(search, "below: 0.3, languages: en"), "relevance.languages", "ISO 639-3"),
        (when(search, "below: 0.3, examples: [a, b]"), "relevance.examples", "min_examples: 2"),
        (
            when(search, "below: 0.3, examples: [' '], min_examples: 1"),
            "relevance.examples[0]",
            "is no sentence",
        ),
        (when(search, "below: 0.3, min_examples: 0"), "relevance.min_examples", "at least 1"),
        (when("chat", "below: 0.3"), "relevance", "without examples"),
        (when("embeddings", "below: 0.3, examples: [a], min_examples: 1"), "relevance", "does not fit"),
        (
            format!("endpoint: {search}, any: [{{relevance: {{below: 0.3}}}}, {{tenant: a}}]"),
            "any[0].relevance",
            "directly under when",
        ),
    ] {
        let text = format!("rules: [{{name: r, when: {{{when}}}, then: {{tag: a}}}}]");
        let found = problems(&text);
        let first = found.first().unwrap_or_else(|| panic!("{text}"));
        assert!(
            first.starts_with(&format!("rules[0].when.{path}: ")) && first.contains(words),
            "{text}\n{found:#?}"
        );
    }
}
