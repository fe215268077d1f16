//! Bursts and what a retrieval would find, in the file.

use std::time::Duration;

use super::{config, problems};
use crate::config::burst::{Burst, Superseded};
use crate::config::conversation::ConversationSource;
use crate::config::rule::State;

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
