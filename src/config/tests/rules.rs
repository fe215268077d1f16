//! Rules in the file.

use super::{config, problems};
use crate::config::condition::Extent;
use crate::config::endpoint::Endpoint;
use crate::config::rule::{CacheOverride, Condition, Rule, Verdict};

fn rule(text: &str) -> Rule {
    config(&format!("rules: [{text}]")).rules[0].clone()
}

#[test]
fn the_rules_of_the_contract_hold() {
    let text = r#"
rules:                            # in order; the first that matches decides
  - name: greeting
    when: {endpoint: chat, last_message: {one_of: [hi, hello, thanks, "السلام عليكم", "شكرا"]}}
    then: {answer: "أهلا! كيف أساعدك؟"}
  - name: no-sampling-cache
    when: {endpoint: chat, temperature: {above: 1.0}}
    then: {cache: off}
features: {rules: observe}
"#;
    let checked = config(text);
    let [greeting, sampling] = checked.rules.as_slice() else { panic!("two rules") };
    assert_eq!(
        (&*greeting.name, &greeting.when[0]),
        ("greeting", &Condition::Endpoint(vec![Endpoint::Chat]))
    );
    let Condition::OneOf(texts) = &greeting.when[1] else { panic!("{:?}", greeting.when) };
    assert_eq!(texts.folded.len(), 5);
    assert_eq!(greeting.then.verdict, Some(Verdict::Say("أهلا! كيف أساعدك؟".into())));
    assert_eq!(sampling.when[1], Condition::TemperatureAbove(1.0));
    assert_eq!(sampling.then.cache, CacheOverride { off: true, ..CacheOverride::default() });
    // What is shown is what can be written.
    let shown = checked.effective()["rules"].to_string();
    assert_eq!(config(&format!("rules: {shown}")).rules, checked.rules);
}

#[test]
fn every_condition_and_action_arrives() {
    let every = rule(
        r#"{name: all, when: {endpoint: [chat, messages], model: "gpt-*", tenant: [a, b], header: {X-Team: "*"}, method: post,
   path: /v1/*, last_message: {matches: "^a$", shorter_than: 9, only: [emoji, digits], one_of: Hi, normalize: [case]},
   conversation: {longer_than: 8000, shorter_than: 20 messages}, temperature: {above: 0.5, below: 1},
   has: {tools: true, images: false}, stream: false, time: {between: 22:00-06:00, days: [fri, sat], zone: Asia/Riyadh},
   all: [{tenant: a}], any: [{tenant: a}, {tenant: b}], not: {tenant: c}},
   then: {cache: {ttl: 5m, normalize: [case]}, coalesce: off, model: small, set: {/a/b: [1, x], /c: 0.5}, drop: /d, tag: [e, f]}}"#,
    );
    assert_eq!(every.when.len(), 21);
    assert!(every.when.contains(&Condition::ShorterThan(Extent::Messages(20))));
    let then = &every.then;
    assert_eq!(
        (then.alone, then.model.as_deref(), then.tags.as_ref().map_or(0, |tags| tags.len()), then.drop.len()),
        (true, Some("small"), 2, 1)
    );
    assert_eq!((&then.set[0].1, &then.set[1].1), (&serde_json::json!([1, "x"]), &serde_json::json!(0.5)));
}

#[test]
fn what_is_wrong_with_a_rule_is_said_at_its_place() {
    let when = |when: &str, then: &str| format!("rules: [{{name: r, when: {{{when}}}, then: {{{then}}}}}]");
    for (text, path, message) in [
        ("rules: [{when: {stream: true}, then: {tag: a}}]".to_owned(), "rules[0].name", "is missing"),
        ("rules: [{name: a b, when: {stream: true}, then: {tag: a}}]".to_owned(), "rules[0].name", "is no name"),
        (
            "rules: [{name: a, when: {stream: true}, then: {tag: a}}, {name: a, when: {stream: true}, then: {tag: a}}]".to_owned(),
            "rules[1].name",
            "is the name of rules[0]",
        ),
        ("rules: [{name: a, then: {tag: a}}]".to_owned(), "rules[0].when", "has no condition"),
        (when("stream: true", ""), "rules[0].then", "does nothing"),
        (when("endpoint: chats", "tag: a"), "rules[0].when.endpoint", "did you mean chat?"),
        (when("modle: x", "tag: a"), "rules[0].when.modle", "did you mean model?"),
        (when("last_message: {}", "tag: a"), "rules[0].when.last_message", "asks for nothing"),
        (when("last_message: {matches: '('}", "tag: a"), "rules[0].when.last_message.matches", "is no regular expression"),
        (
            when("last_message: {matches: '((a{1,1000}){1,1000}){1,1000}'}", "tag: a"),
            "rules[0].when.last_message.matches",
            "takes more than 1MiB",
        ),
        (when("last_message: {only: letters}", "tag: a"), "rules[0].when.last_message.only", "emoji, punctuation"),
        (when("conversation: {longer_than: long}", "tag: a"), "rules[0].when.conversation.longer_than", "is no length"),
        (when("time: {days: [friday]}", "tag: a"), "rules[0].when.time.days[0]", "did you mean fri?"),
        (when("time: {zone: UTC}", "tag: a"), "rules[0].when.time", "says no time"),
        (when("any: [{}]", "tag: a"), "rules[0].when.any[0]", "has no condition"),
        (when("header: {'x y': a}", "tag: a"), "rules[0].when.header.x y", "is no header's name"),
        (when("endpoint: chat", "route: cheap"), "rules[0].then.route", "there is none under routes"),
        (
            format!("routes: [{{name: dear, models: [a], targets: [{{provider: openai}}]}}]\n{}", when("endpoint: chat", "route: cheap")),
            "rules[0].then.route",
            "there are dear",
        ),
        (
            format!("routes: [{{name: cheap, targets: [{{provider: openai}}]}}]\n{}", when("endpoint: chat", "tag: a")),
            "routes[0].models",
            "has nothing in it",
        ),
        (when("endpoint: chat", "lane: async"), "rules[0].then.lane", "there is no queue"),
        (when("endpoint: chat", "answer: no_results"), "rules[0].then.answer", "vector_store_search only"),
        (when("stream: true", "answer: Hello"), "rules[0].then.answer", "does not fit embeddings, moderations"),
        (when("endpoint: chat", "answer: {embedding_of: a}"), "rules[0].then.answer", "embeddings, embed_content"),
        (when("endpoint: chat", "answer: a, cache: off"), "rules[0].then", "nothing else but tag"),
        (when("endpoint: chat", "answer: a, deny: b"), "rules[0].then", "write one of them"),
        (when("endpoint: chat", "deny: {status: 200}"), "rules[0].then.deny.status", "400 to 599"),
        (when("endpoint: chat", "cache: on"), "rules[0].then.cache", "write off"),
        (when("endpoint: chat", "coalesce: on"), "rules[0].then.coalesce", "write coalesce: off"),
        (when("endpoint: chat", "drop: user"), "rules[0].then.drop", "is no place in a body"),
        (when("endpoint: chat", "drop: /stream"), "rules[0].then.drop", "a rule cannot change it"),
        (when("endpoint: chat", "set: {/model: x}"), "rules[0].then.set./model", "write model: NAME"),
        (when("path: /v1/files", "cache: off"), "rules[0].then", "can only deny or tag"),
        (when("method: GET", "answer: a"), "rules[0].then", "add endpoint:"),
    ] {
        let said = problems(&text);
        let [problem] = said.as_slice() else { panic!("{text}\n{said:#?}") };
        assert!(problem.starts_with(&format!("{path}: ")) && problem.contains(message), "{text}\n{problem}");
    }
}

#[test]
fn ten_thousand_rules_are_read_and_the_last_mistake_is_found() {
    let mut text = "rules:\n".to_owned();
    for number in 0..10_000 {
        text += &format!(
            "  - {{name: r{number}, when: {{endpoint: chat, last_message: {{one_of: [a{number}, b{number}]}}}}, then: {{answer: c}}}}\n"
        );
    }
    text += "  - {name: r1, when: {endpoint: chat}, then: {tag: a}}\n";
    let said = problems(&text);
    let [problem] = said.as_slice() else { panic!("{said:#?}") };
    assert!(problem.starts_with("rules[10000].name: is the name of rules[1];"), "{problem}");
}
