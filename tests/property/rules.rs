//! The index finds the rule that asking every rule in turn would find.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method};
use pareto::config::{Config, Environment};
use pareto::request::endpoint::Endpoint;
use pareto::rules::{Asked, Rules};
use proptest::prelude::*;
use serde_json::json;

/// One condition, as the file has it. Few values, so that rules meet requests often.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "(chat|messages|embeddings)".prop_map(|name| format!("endpoint: {name}")),
        "(gpt-4o|gpt-\\*|o1)".prop_map(|name| format!("model: '{name}'")),
        "(a|b|\\*)".prop_map(|name| format!("tenant: '{name}'")),
        "(x|y)".prop_map(|value| format!("header: {{x-team: {value}}}")),
        any::<bool>().prop_map(|stream| format!("stream: {stream}")),
        "(hi|bye|شكرا|سلام)".prop_map(|text| format!("last_message: {{one_of: [{text}, else]}}")),
        "(hi|bye)".prop_map(|text| format!("last_message: {{one_of: {text}, normalize: []}}")),
        "(h|b|hi\\.\\*|\\^bye\\$)".prop_map(|pattern| format!("last_message: {{matches: '{pattern}'}}")),
        (1_u32..5).prop_map(|most| format!("last_message: {{shorter_than: {most}}}")),
        Just("last_message: {only: [emoji, punctuation]}".to_owned()),
        (0_u32..4).prop_map(|bound| format!("conversation: {{longer_than: {bound} messages}}")),
        any::<bool>().prop_map(|tools| format!("has: {{tools: {tools}}}")),
        Just("temperature: {above: 0.9}".to_owned()),
        Just("path: /v1/*".to_owned()),
        Just("time: {between: 08:00-20:00}".to_owned()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..3)
            .prop_map(|all| all.iter().map(|one| format!("{{{one}}}")).collect::<Vec<_>>().join(", "));
        prop_oneof![
            list.clone().prop_map(|all| format!("all: [{all}]")),
            list.prop_map(|any| format!("any: [{any}]")),
            inner.prop_map(|not| format!("not: {{{not}}}")),
        ]
    })
}

/// Some rules, each with one or two conditions.
fn rules() -> impl Strategy<Value = String> {
    let when = prop::collection::vec(condition(), 1..3)
        .prop_map(|all| all.iter().map(|one| format!("{{{one}}}")).collect::<Vec<_>>().join(", "));
    prop::collection::vec(when, 1..24).prop_map(|all| {
        let rule = |(at, when): (usize, &String)| {
            format!("  - {{name: r{at}, when: {{all: [{when}]}}, then: {{tag: t}}}}\n")
        };
        format!("rules:\n{}", all.iter().enumerate().map(rule).collect::<String>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_first_rule_that_holds_is_the_one_that_is_found(
        yaml in rules(),
        text in "(hi|HI!|bye|شُكراً|👍|hi there|)",
        model in "(gpt-4o|gpt-4.1|o1)",
        tenant in "(a|b|c)",
        team in "(x|y|z)",
        endpoint in prop::sample::select(vec![None, Some(Endpoint::Chat), Some(Endpoint::Messages), Some(Endpoint::Embeddings)]),
        stream: bool,
        read: bool,
        hour in 0_u64..24,
    ) {
        let config = Config::load(&yaml, &Environment::fixed(&[], &[])).unwrap_or_else(|found| panic!("{yaml}\n{found:#?}"));
        let rules = Rules::new(&config.rules).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-team", HeaderValue::from_str(&team).unwrap());
        let body = match endpoint {
            Some(Endpoint::Embeddings) => json!({"model": model, "input": text}),
            _ => json!({"model": model, "messages": [{"role": "user", "content": text}]}),
        }
        .to_string();
        let case = rules.case(Asked {
            endpoint,
            method: &Method::POST,
            path: "/v1/x",
            headers: &headers,
            tenant: &tenant,
            model: endpoint.map(|_| &*model),
            stream,
            body: endpoint.filter(|_| read).map(|_| body.as_bytes()),
            now: UNIX_EPOCH + Duration::from_secs(hour * 3600),
        });
        let one_by_one: Vec<_> =
            case.verdicts().filter(|(_, why)| why.is_none()).map(|(rule, _)| rule.name.clone()).collect();
        let found: Vec<_> = case.holding().map(|rule| rule.name.clone()).collect();
        prop_assert_eq!(found, one_by_one, "{}", yaml);
    }
}
