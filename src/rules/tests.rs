//! The engine from outside: which rule decides, and why the others do not.

use http::{HeaderMap, Method};

use super::{Asked, Rules};
use crate::config::{Config, Environment};
use crate::request::endpoint::Endpoint;

fn rules(yaml: &str) -> Rules {
    let config =
        Config::load(yaml, &Environment::fixed(&[], &[])).unwrap_or_else(|found| panic!("{found:#?}"));
    Rules::new(&config.rules).unwrap()
}

struct Question {
    endpoint: Option<Endpoint>,
    headers: HeaderMap,
    tenant: &'static str,
    model: &'static str,
    body: String,
    unix: u64,
}

fn chat(text: &str) -> Question {
    Question {
        endpoint: Some(Endpoint::Chat),
        headers: HeaderMap::new(),
        tenant: "acme",
        model: "gpt-4o",
        body: serde_json::json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})
            .to_string(),
        unix: 0,
    }
}

impl Question {
    fn asked(&self) -> Asked<'_> {
        Asked {
            endpoint: self.endpoint,
            method: &Method::POST,
            path: if self.endpoint.is_some() { "/v1/chat/completions" } else { "/v1/files" },
            headers: &self.headers,
            tenant: self.tenant,
            model: Some(self.model),
            stream: false,
            body: self.endpoint.map(|_| self.body.as_bytes()),
            now: std::time::UNIX_EPOCH + std::time::Duration::from_secs(self.unix),
        }
    }

    fn rule(&self, rules: &Rules) -> Option<String> {
        let case = rules.case(self.asked());
        case.holding().next().map(|rule| rule.name.to_string())
    }

    fn why(&self, rules: &Rules) -> Vec<Option<String>> {
        rules.case(self.asked()).verdicts().map(|(_, why)| why).collect()
    }
}

#[test]
fn the_first_rule_that_holds_decides_whatever_finds_it() {
    let rules = rules(
        r#"
rules:
  - {name: image, when: {has: {images: true}}, then: {tag: a}}
  - {name: text, when: {last_message: {one_of: [hi]}, tenant: [acme, other]}, then: {tag: a}}
  - {name: pattern, when: {last_message: {matches: "(?i)hi"}}, then: {tag: a}}
  - {name: tenant, when: {tenant: acme, model: "gpt-*"}, then: {tag: a}}
  - {name: model, when: {model: [gpt-4o, o1]}, then: {tag: a}}
  - {name: rest, when: {endpoint: chat}, then: {tag: a}}
"#,
    );
    let rule = |question: Question| question.rule(&rules).unwrap();
    assert_eq!(rule(chat("Hi!")), "text");
    assert_eq!(rule(chat("hit")), "pattern");
    assert_eq!(rule(chat("bye")), "tenant");
    assert_eq!(rule(Question { tenant: "b", ..chat("hi") }), "pattern");
    assert_eq!(rule(Question { tenant: "b", ..chat("bye") }), "model");
    assert_eq!(rule(Question { tenant: "b", model: "GPT-4o", ..chat("bye") }), "model");
    assert_eq!(rule(Question { tenant: "b", model: "gpt-4", ..chat("bye") }), "rest");
}

#[test]
fn arabic_greetings_are_told_however_they_are_spelled() {
    let rules = rules(
        r#"rules: [{name: greeting, when: {endpoint: chat, last_message: {one_of: [hi, "السلام عليكم", "شكرا"]}}, then: {answer: "أهلا"}}]"#,
    );
    for text in ["hi", " HI!! 👋", "السَّلامُ عَلَيْكُم", "السلام عليكم.", "شكراً 🙏", "شُكْرًا!", "شـــكرا"]
    {
        assert_eq!(chat(text).rule(&rules).as_deref(), Some("greeting"), "{text}");
    }
    for text in ["hi there", "شكرا على الطلب", "", "👋"] {
        assert_eq!(chat(text).rule(&rules), None, "{text}");
    }
}

#[test]
fn what_a_rule_looks_at_and_is_not_there_does_not_hold_and_neither_does_its_opposite() {
    let rules = rules("rules: [{name: a, when: {not: {last_message: {matches: x}}}, then: {tag: a}}]");
    assert_eq!(chat("y").rule(&rules).as_deref(), Some("a"));
    let unread = Question { endpoint: None, ..chat("y") };
    assert_eq!(unread.rule(&rules), None);
}

#[test]
fn rules_for_what_passes_unread_need_a_path_or_method() {
    let rules = rules(
        "rules:
  - {name: tenant, when: {tenant: acme}, then: {deny: no}}
  - {name: files, when: {path: /v1/files*, method: [POST, DELETE]}, then: {deny: no}}",
    );
    assert!(rules.meet_unread());
    assert_eq!(Question { endpoint: None, ..chat("") }.rule(&rules).as_deref(), Some("files"));
    assert_eq!(chat("").rule(&rules).as_deref(), Some("tenant"));
}

#[test]
fn times_are_those_of_a_place() {
    let rules = rules(
        "rules: [{name: night, when: {time: {between: '22:00-06:00', days: [thu, fri], zone: Asia/Riyadh}}, then: {tag: a}}]",
    );
    let at = |unix| Question { unix, ..chat("") }.rule(&rules).is_some();
    // 1970-01-01 was a Thursday; Riyadh is three hours ahead.
    assert!(!at(18 * 3600 + 3599) && at(19 * 3600));
    assert!(at(21 * 3600) && at(27 * 3600 - 1) && !at(27 * 3600));
    assert!(at((24 + 19) * 3600) && !at((48 + 19) * 3600));
}

#[test]
fn each_rule_says_why_it_does_not_hold() {
    let rules = rules(
        r#"
rules:
  - {name: a, when: {endpoint: [responses, messages]}, then: {tag: a}}
  - {name: b, when: {model: "o*"}, then: {tag: a}}
  - {name: c, when: {last_message: {one_of: [hi, hello]}}, then: {tag: a}}
  - {name: d, when: {conversation: {longer_than: 2 messages}}, then: {tag: a}}
  - {name: e, when: {temperature: {above: 1.5}}, then: {tag: a}}
  - {name: f, when: {any: [{tenant: x}, {all: [{model: gpt-4o}, {stream: true}]}]}, then: {tag: a}}
  - {name: g, when: {not: {endpoint: chat}}, then: {tag: a}}
  - {name: h, when: {last_message: {shorter_than: 3}}, then: {tag: a}}
  - {name: i, when: {model: gpt-4o}, then: {tag: a}}
"#,
    );
    let why = chat("what?").why(&rules);
    let why: Vec<&str> = why.iter().map(|why| why.as_deref().unwrap_or("it holds")).collect();
    assert_eq!(
        why,
        [
            "endpoint is chat, not responses or messages",
            "model is gpt-4o, not o*",
            "last_message is none of 2 texts",
            "conversation has 1 messages, not longer than 2",
            "temperature is 1, not above 1.5",
            "any: tenant is acme, not x; stream is not asked for",
            "what is under not holds",
            "last_message has 5 characters, not fewer than 3",
            "it holds",
        ]
    );
}

/// A thousand and ten thousand rules of one kind, none of which is for the request: how many are asked.
fn asked_of(when: impl Fn(usize) -> String, question: &Question) -> [usize; 2] {
    [1_000, 10_000].map(|count| {
        let mut yaml = "rules:\n".to_owned();
        for number in 0..count {
            yaml += &format!("  - {{name: r{number}, when: {{{}}}, then: {{tag: a}}}}\n", when(number));
        }
        let rules = rules(&yaml);
        let case = rules.case(question.asked());
        assert_eq!(case.holding().count(), 0, "{}", when(0));
        rules.index.candidates(&case).count()
    })
}

#[test]
fn of_ten_thousand_rules_a_few_are_asked_whatever_they_are_told_apart_by() {
    let mut question = chat("where is my order?");
    question.headers.insert("x-team", "shop-7".parse().unwrap());
    for when in [
        |n: usize| format!("last_message: {{one_of: [text {n}]}}"),
        |n: usize| format!("tenant: 'tenant-{n}-*'"),
        |n: usize| format!("model: ['model-{n}*', '*-of-{n}']"),
        |n: usize| format!("header: {{x-team: 'team-{n}-*'}}"),
        |n: usize| format!("header: {{x-team-{n}: '*'}}"),
        |n: usize| format!("path: '/v1/files/{n}/*', endpoint: chat"),
        |n: usize| format!("conversation: {{longer_than: {n}}}, tenant: '*-{n}'"),
    ] {
        assert_eq!(asked_of(when, &question), [0, 0], "{}", when(0));
    }
    // What nothing tells apart is asked, each once.
    assert_eq!(
        asked_of(|n| format!("conversation: {{longer_than: {}}}", 100 + n), &question),
        [1_000, 10_000]
    );
}

#[test]
fn a_thousand_patterns_are_found_in_a_few_passes_over_a_text() {
    let words = |n: usize| format!("last_message: {{matches: '(?i)^word{n} .* end$'}}");
    let yaml: String = (0..1_000)
        .map(|n| format!("  - {{name: r{n}, when: {{{}}}, then: {{tag: a}}}}\n", words(n)))
        .collect();
    let rules = rules(&format!("rules:\n{yaml}"));
    assert!(rules.patterns.passes() <= 8, "{}", rules.patterns.passes());
    assert_eq!(chat("Word77 and so to the END").rule(&rules).as_deref(), Some("r77"));
}
