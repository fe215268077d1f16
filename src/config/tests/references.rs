//! `${NAME}` and `${file:PATH}`, and what they bring is never shown.

use super::{config, problems_in};
use crate::config::{Config, Environment};

fn environment() -> Environment {
    Environment::fixed(
        &[
            ("KEY", "sk-hush"),
            ("HOST", "api.example"),
            ("PORT", "4321"),
            ("SWITCH", "25%"),
            ("WORKERS", "3"),
            ("PRICE", "2.50"),
            ("WRONG", "sk-hush !"),
        ],
        &[("/run/key", "sk-hush-file\n")],
    )
}

#[test]
fn a_reference_may_stand_for_any_value() {
    let text = r#"
listen: "127.0.0.1:${PORT}"
threads: ${WORKERS}
providers:
  p: {url: "https://${HOST}/v1", keys: ["${KEY}", "${file:/run/key}", "a${KEY}b", "$${KEY}"]}
features: {cache: "${SWITCH}"}
prices: {m: {input: "${PRICE}"}}
"#;
    let config = Config::load(text, &environment()).expect("every reference is there");
    assert_eq!(config.listen.port(), 4321);
    assert_eq!(config.threads, 3);
    assert_eq!(config.providers[0].url.authority, "api.example");
    let keys: Vec<&str> = config.providers[0].keys.iter().map(|key| key.expose()).collect();
    assert_eq!(keys, ["sk-hush", "sk-hush-file", "ask-hushb", "${KEY}"]);
    assert_eq!(config.features.cache, crate::config::Switch::Percent(25));
    assert_eq!(config.prices[0].1.input.to_string(), "2.5");
}

#[test]
fn a_reference_to_nothing_is_one_problem_at_its_place() {
    let text = "admin: {token: \"${NONE}\"}\nproviders:\n  p:\n    url: ${URL}\n    keys: [\"${file:/none}\", \"${KEY}\"]\n";
    let found = problems_in(text, &environment());
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(
        found[0],
        "admin.token: needs the environment variable NONE, which is not set; set it (line 1, column 16)"
    );
    assert!(found[1].starts_with("providers.p.url: needs the environment variable URL"), "{}", found[1]);
    assert!(
        found[2].starts_with("providers.p.keys[0]: needs the file /none, which cannot be read"),
        "{}",
        found[2]
    );
}

#[test]
fn a_token_that_cannot_be_read_does_not_pass_for_none() {
    let text = "admin: {listen: '0.0.0.0:1', token: \"${NONE}\"}";
    let found = problems_in(text, &environment());
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("NONE"), "{}", found[0]);
}

#[test]
fn no_problem_shows_what_a_reference_brought_or_a_secret() {
    for setting in [
        "listen: ${WRONG}",
        "threads: ${WRONG}",
        "max_body: ${WRONG}",
        "storage: ${WRONG}",
        "storage: {memory: \"${WRONG}\"}",
        "cache: {share: \"${WRONG}\"}",
        "cache: {exact: {ttl: \"${WRONG}\"}}",
        "cache: ${WRONG}",
        "features: {cache: \"${WRONG}\"}",
        "log: {exchanges: \"${WRONG}\", format: \"${WRONG}\"}",
        "tenants: {identify: [\"${WRONG}\", \"header:${WRONG}\"]}",
        "tenants: {identify: \"${WRONG}\"}",
        "prices: {m: {input: \"${WRONG}\"}}",
        "providers: {p: {url: \"${WRONG}\", keys: [\"${WRONG}\"]}}",
        "providers: {p: {url: \"https://${WRONG}\", dialect: \"${WRONG}\"}}",
        "providers: {p: {url: 'https://a.example', keys: ['sk-hush !', 'sk-hush\n']}}",
        "providers: {p: {url: 'https://sk-hush@a.example'}}",
        "providers: {p: {url: 'https://a.example?k=sk-hush'}}",
        "providers: {p: {url: 'https://a.example', keys: 'sk-hush'}}",
        "admin: {token: 'sk-hush !'}",
        "admin: {token: [sk-hush]}",
        "coalesce: {max_waiters: \"${WRONG}\"}",
    ] {
        let found = problems_in(setting, &environment());
        assert!(!found.is_empty(), "{setting} is wrong");
        for problem in found {
            assert!(!problem.contains("hush"), "{setting}: {problem}");
        }
    }
}

#[test]
fn secrets_are_in_no_other_output() {
    let text = "admin: {token: \"${KEY}\"}\nproviders: {p: {url: 'https://a.example', keys: [sk-hush]}}\n";
    let config = Config::load(text, &environment()).expect("it is right");
    for shown in [format!("{config:?}"), format!("{config:#?}"), config.effective().to_string()] {
        assert!(!shown.contains("hush"), "{shown}");
    }
    assert_eq!(config.effective()["providers"]["p"]["keys"][0], "(hidden)");
    assert_eq!(config.effective()["admin"]["token"], "(hidden)");
}

#[test]
fn a_secret_is_compared_whole() {
    let token = config("admin: {token: t0ken}").admin.token.expect("it is set");
    assert!(token.matches("t0ken"));
    for wrong in ["", "t0ke", "t0kenn", "T0ken"] {
        assert!(!token.matches(wrong), "{wrong}");
    }
}
