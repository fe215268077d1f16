//! Every condition of a rule, by a request that it is for and one that it is not for.

use http::Method;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Pareto};

/// What is done to a plain question to make another of it.
type Change = fn(Ask) -> Ask;

fn plain(ask: Ask) -> Ask {
    ask
}

fn says(ask: Ask, content: impl Into<Value>) -> Ask {
    ask.set("messages", json!([{"role": "user", "content": content.into()}]))
}

/// A rule's conditions, a question that they hold for, and one that they do not hold for.
const CONDITIONS: [(&str, Change, Change); 19] = [
    ("model: ['gpt-4o*', o1]", plain, |ask| ask.set("model", "gpt-4.1")),
    ("tenant: 'shop-*'", |ask| ask.with("x-tenant-id", "shop-7"), plain),
    (
        "header: {x-team: [ops, 'dev-*']}",
        |ask| ask.with("x-team", "dev-2"),
        |ask| ask.with("x-team", "sales"),
    ),
    ("stream: true", Ask::stream, plain),
    (
        "has: {tools: true}",
        |ask| ask.set("tools", json!([{"type": "function", "function": {"name": "f"}}])),
        plain,
    ),
    (
        "has: {images: true}",
        |ask| says(ask, json!([{"type": "image_url", "image_url": {"url": "https://a.example/a.png"}}])),
        plain,
    ),
    ("temperature: {above: 1.0}", |ask| ask.set("temperature", 1.2), plain),
    ("temperature: {below: 0.5}", |ask| ask.set("temperature", 0), plain),
    ("conversation: {longer_than: 100}", |ask| says(ask, "long ".repeat(30)), plain),
    ("conversation: {shorter_than: 2 messages}", plain, |ask| {
        ask.set("messages", json!([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]))
    }),
    ("last_message: {one_of: [hi, شكرا]}", |ask| says(ask, "شُكراً!! 🙏"), plain),
    ("last_message: {one_of: hi, normalize: []}", |ask| says(ask, "hi"), |ask| says(ask, "Hi")),
    ("last_message: {matches: '(?i)^where.*[?]$'}", plain, |ask| says(ask, "somewhere?")),
    ("last_message: {shorter_than: 5}", |ask| says(ask, "أين؟"), plain),
    ("last_message: {only: emoji}", |ask| says(ask, "👍🏽👨‍👩‍👧"), |ask| says(ask, "👍!")),
    ("last_message: {only: [punctuation, whitespace]}", |ask| says(ask, "؟ ... !"), |ask| says(ask, "?1")),
    ("last_message: {only: digits}", |ask| says(ask, "12٣"), |ask| says(ask, "12a")),
    ("any: [{tenant: a}, {tenant: b}], not: {stream: true}", |ask| ask.with("x-tenant-id", "b"), plain),
    (
        "all: [{tenant: a}, {header: {x-team: ops}}]",
        |ask| ask.with("x-tenant-id", "a").with("x-team", "ops"),
        |ask| ask.with("x-tenant-id", "a"),
    ),
];

#[tokio::test]
async fn a_rule_is_for_the_requests_that_its_conditions_say() {
    for (when, held, not) in CONDITIONS {
        let pareto =
            Pareto::start(&format!("rules: [{{name: r, when: {{{when}}}, then: {{deny: no}}}}]")).await;
        let denied = held(pareto.chat("Where is it?")).await;
        assert_eq!((denied.status, denied.header("x-pareto-rule")), (403, "r"), "{when}");
        let passed = not(pareto.chat("Where is it?")).await;
        assert_eq!((passed.status, passed.header("x-pareto-rule")), (200, ""), "{when}");
    }
}

#[tokio::test]
async fn a_rule_for_some_hours_is_not_for_others() {
    let hour = |hours: i64| {
        let then = Timestamp::now().checked_add(Span::new().hours(hours)).unwrap();
        format!("{:02}:00", TimeZone::get("Asia/Riyadh").unwrap().to_datetime(then).hour())
    };
    for (from, to, status) in [(-6, 6, 403), (6, 12, 200)] {
        let pareto = Pareto::start(&format!(
            "rules: [{{name: hours, when: {{endpoint: chat, time: {{between: '{}-{}', zone: Asia/Riyadh}}}}, then: {{deny: no}}}}]",
            hour(from),
            hour(to)
        ))
        .await;
        assert_eq!(pareto.chat("a").await.status, status, "{from} to {to}");
    }
}

#[tokio::test]
async fn of_two_rules_that_hold_the_first_decides() {
    let pareto = Pareto::start(
        "rules:
  - {name: first, when: {endpoint: chat}, then: {tag: first}}
  - {name: second, when: {endpoint: chat}, then: {deny: no}}",
    )
    .await;
    let answer = pareto.chat("a").await;
    assert_eq!((answer.status, answer.header("x-pareto-rule")), (200, "first"));
    let listed = pareto.request(Method::GET, "/v1/models").bearer_auth("sk-alice").send().await.unwrap();
    assert_eq!(Answer::of(listed).await.header("x-pareto-rule"), "", "no rule is for what is not asked");
}
