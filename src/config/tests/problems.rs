//! What is wrong with a file is said: all of it, where, and what would be right.

use proptest::prelude::*;

use super::{config, only_problem, problems};
use crate::config::{Config, Environment};

#[test]
fn every_problem_is_reported_at_once_in_the_order_of_the_lines() {
    let text = r#"listen: 127.0.0.1
admin: {listen: 0.0.0.0:9090}
thread: 4
providers:
  openai:
    url: https://api.openai.com/v1
    dialect: opanai
    key: [a]
    keys: [{a: b}, "${NOPE}", "", good]
    timeouts: {connect: 5, idle: soon}
  local:
features: {cache: 200%, similar: on}
tenants:
  identify: [[x], "header:x y", credential, nobody]
storage: {memory: 0}
prices:
  m: {output: cheap}
listen: 1.2.3.4:5
"#;
    let places = [
        ("listen", 1, 9),
        ("admin.listen", 2, 17),
        ("thread", 3, 1),
        ("providers.openai.dialect", 7, 14),
        ("providers.openai.key", 8, 5),
        ("providers.openai.keys[0]", 9, 12),
        ("providers.openai.keys[1]", 9, 20),
        ("providers.openai.keys[2]", 9, 31),
        ("providers.openai.timeouts.connect", 10, 25),
        ("providers.openai.timeouts.idle", 10, 34),
        ("providers.local.url", 11, 3),
        ("features.cache", 12, 19),
        ("features.similar", 12, 25),
        ("tenants.identify[0]", 14, 14),
        ("tenants.identify[1]", 14, 19),
        ("tenants.identify[3]", 14, 45),
        ("storage.memory", 15, 19),
        ("prices.m.input", 17, 3),
        ("prices.m.output", 17, 15),
        ("listen", 18, 1),
    ];
    let found = Config::load(text, &Environment::fixed(&[], &[])).expect_err("it is full of mistakes");
    let found: Vec<(&str, usize, usize)> =
        found.iter().map(|p| (p.path.as_str(), p.line, p.column)).collect();
    assert_eq!(found, places);
}

#[test]
fn a_problem_reads_as_the_contract_says() {
    assert_eq!(
        problems("cache:\n  exact: {ttl: 60}\n"),
        [
            "cache.exact.ttl: \"60\" has no unit; write ms, s, m, h or d after the number, such as 30s (line 2, column 16)"
        ]
    );
}

#[test]
fn a_misspelt_name_is_told_the_right_one_and_all_that_are_allowed() {
    only_problem("cahce: {share: tenant}", "cahce", "did you mean cache? allowed: listen, admin", (1, 1));
    only_problem(
        "cache: {exakt: {ttl: 1h}}",
        "cache.exakt",
        "did you mean exact? allowed: share, exact",
        (1, 9),
    );
    only_problem(
        "cache: {share: tennant}",
        "cache.share",
        "did you mean tenant? allowed: credential, tenant",
        (1, 16),
    );
    let unlike = problems("zzz: 1").remove(0);
    assert!(!unlike.contains("did you mean"), "{unlike}");
}

#[test]
fn a_batch_keeps_to_what_a_call_may_carry() {
    let path = "batch.embeddings.max_inputs";
    let written = |text: &str| format!("batch: {{embeddings: {{{text}}}}}");
    only_problem(&written("max_inputs: 2049"), path, "more than a call may carry", (1, 34));
    only_problem(&written("window: 0s"), "batch.embeddings.window", "no time at all", (1, 30));
    only_problem(&written("parallel: 0"), "batch.embeddings.parallel", "at least 1", (1, 32));
}

#[test]
fn features_that_do_not_exist_are_refused() {
    for feature in ["similar", "queue"] {
        only_problem(
            &format!("features: {{{feature}: on}}"),
            &format!("features.{feature}"),
            "is no setting",
            (1, 12),
        );
    }
    only_problem("queue: []", "queue", "is no setting", (1, 1));
}

#[test]
fn a_value_of_the_wrong_shape_says_the_right_one() {
    for (text, path, words, place) in [
        ("just words", "", "mapping of settings", (1, 1)),
        ("- a\n- b", "", "mapping of settings", (1, 1)),
        ("cache: off", "cache", "features: {cache: off}", (1, 8)),
        ("coalesce: on", "coalesce", "features: {coalesce: off}", (1, 11)),
        ("storage: 4GiB", "storage", "write a mapping of settings", (1, 10)),
        ("storage: [4GiB]", "storage", "is a list; write a mapping of settings", (1, 1)),
        ("providers: https://a.example", "providers", "write a mapping of names", (1, 12)),
        ("providers: {a: https://a.example}", "providers.a", "write a mapping of settings", (1, 16)),
        ("providers: {a: {url: [x]}}", "providers.a.url", "is a list; write a single value", (1, 17)),
        ("tenants: {identify: credential}", "tenants.identify", "write a list", (1, 21)),
        ("listen: {port: 1}", "listen", "is a mapping; write an address", (1, 1)),
        ("cache: {share: {tenant: x}}", "cache.share", "is a mapping; write a single word", (1, 9)),
        ("cache: {share: [tenant]}", "cache.share", "is a list; write a single word", (1, 9)),
        ("tenants: {identify: [~]}", "tenants.identify[0]", "is empty; write header:NAME", (1, 22)),
    ] {
        only_problem(text, path, words, place);
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for (text, path, words, place) in [
        ("threads: 0", "threads", "1 to 1024", (1, 10)),
        ("threads: -1", "threads", "1 to 1024", (1, 10)),
        ("max_body: 10B", "max_body", "at least 1KiB", (1, 11)),
        ("max_body: 9999999999999TiB", "max_body", "too large", (1, 11)),
        ("storage: {memory: 1KiB}", "storage.memory", "at least 1MiB", (1, 19)),
        ("cache: {max_entry: 0}", "cache.max_entry", "at least 1KiB", (1, 20)),
        ("cache: {max_entry: 1GiB}", "cache.max_entry", "at most storage.memory", (1, 20)),
        ("storage: {memory: 4MiB}", "storage.memory", "at most storage.memory", (1, 19)),
        ("cache: {exact: {ttl: 0s}}", "cache.exact.ttl", "features: {cache: off}", (1, 22)),
        ("cache: {exact: {ttl: 100000d}}", "cache.exact.ttl", "at most 3650d", (1, 22)),
        ("cache: {exact: {ttl: 99999999999999999999d}}", "cache.exact.ttl", "is not a duration", (1, 22)),
        ("cache: {exact: {ttl: -1s}}", "cache.exact.ttl", "is not a duration", (1, 22)),
        ("client: {timeouts: {body: 0s}}", "client.timeouts.body", "above 0s", (1, 27)),
        ("coalesce: {max_waiters: 0}", "coalesce.max_waiters", "at least 1", (1, 25)),
        ("metrics: {max_tenants: 0}", "metrics.max_tenants", "at least 1", (1, 24)),
        ("metrics: {max_models: 1.5}", "metrics.max_models", "whole number", (1, 23)),
        ("features: {cache: 101%}", "features.cache", "0% to 100%", (1, 19)),
        ("features: {cache: 2.5%}", "features.cache", "whole percentage", (1, 19)),
        ("prices: {m: {input: -1}}", "prices.m.input", "is not a price", (1, 21)),
        ("prices: {m: {input: 1e3}}", "prices.m.input", "is not a price", (1, 21)),
        ("prices: {m: {input: 0.0000001}}", "prices.m.input", "six decimals", (1, 21)),
        ("prices: {m: }", "prices.m.input", "is missing", (1, 10)),
        ("log: {exchanges: maybe}", "log.exchanges", "write true or false", (1, 18)),
    ] {
        only_problem(text, path, words, place);
    }
}

#[test]
fn providers_must_be_callable() {
    let provider = |settings: &str| format!("providers:\n  p: {{{settings}}}\n");
    for (settings, path, words, column) in [
        ("url: https:///v1", "providers.p.url", "no host name", 12),
        ("url: ftp://a.example", "providers.p.url", "neither http nor https", 12),
        ("url: 'https://u:secret@a.example'", "providers.p.url", "under keys", 12),
        ("url: 'https://a.example?key=secret'", "providers.p.url", "has a query", 12),
        ("dialect: openai", "providers.p.url", "is missing", 3),
        ("url: https://a.example, dialect: azure", "providers.p.dialect", "openai, anthropic, gemini", 40),
        ("url: https://a.example, http2: h3", "providers.p.http2", "auto, off, only", 38),
        ("url: https://a.example, keys: [a, b, a]", "providers.p.keys[2]", "already in the list", 44),
        ("url: https://a.example, timeouts: {total: 0s}", "providers.p.timeouts.total", "above 0s", 49),
    ] {
        only_problem(&provider(settings), path, words, (2, column));
        assert!(!problems(&provider(settings))[0].contains("secret"), "{settings}");
    }
    only_problem("providers: {}", "providers", "has no provider", (1, 1));
    only_problem("providers: {'a b': {url: https://a.example}}", "providers.a b", "letters, digits", (1, 13));
}

#[test]
fn an_admin_listener_others_can_reach_needs_a_token() {
    let open = "admin:\n  listen: 0.0.0.0:9090\n";
    only_problem(open, "admin.listen", "set admin.token, or listen on 127.0.0.1:9090", (2, 11));
    only_problem("admin: {listen: '[::]:9090'}", "admin.listen", "set admin.token", (1, 17));
    only_problem("admin: {listen: '10.0.0.1:9090'}", "admin.listen", "set admin.token", (1, 17));
    only_problem("admin: {listen: '0.0.0.0:9090', token: ''}", "admin.token", "is empty", (1, 40));
    config(&format!("{open}  token: t0ken\n"));
    config("admin: {listen: '[::1]:9090'}");
    config("admin: {listen: 'localhost:9090'}");
    config("admin: {listen: '127.8.8.8:9090'}");
}

#[test]
fn the_two_listeners_cannot_share_a_port() {
    only_problem("admin: {listen: '127.0.0.1:8080'}", "admin.listen", "the same port", (1, 17));
    only_problem("listen: 0.0.0.0:9090", "listen", "the same port", (1, 9));
    config("listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}");
    config("listen: 127.0.0.2:9090");
}

#[test]
fn tenants_are_found_where_it_is_safe_and_unambiguous() {
    let identify = |sources: &str| format!("tenants: {{identify: [{sources}]}}");
    only_problem(&identify("nobody"), "tenants.identify[0]", "header:NAME", (1, 22));
    only_problem(
        "cache: {exact: {normalize: [case, emoji, case]}}",
        "cache.exact.normalize[2]",
        "already in the list",
        (1, 42),
    );
    only_problem(&identify("credential, credential"), "tenants.identify[1]", "already in the list", (1, 34));
    only_problem(&identify("header:X, 'header: x'"), "tenants.identify[1]", "already in the list", (1, 32));
    for name in ["Authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"] {
        only_problem(
            &identify(&format!("header:{name}")),
            "tenants.identify[0]",
            "write credential",
            (1, 22),
        );
    }
    let nobody = "tenants: {identify: []}\ncache: {share: tenant}";
    only_problem(nobody, "cache.share", "tenants.identify is empty", (2, 16));
    config(&identify(""));
}

#[test]
fn broken_yaml_says_where() {
    for (text, words, line) in [
        ("listen: 127.0.0.1:1\ncache: [1, 2\nlog: {}\n", "is not valid YAML", 3),
        ("cache:\n\tshare: tenant\n", "is not valid YAML", 2),
        ("admin: {token: ${TOKEN}}\n", "write references in quotes", 1),
        ("listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", "second document", 2),
        ("listen: !here 127.0.0.1:1\n", "has the tag", 1),
        ("? [a, b]\n: c\n", "has a list or mapping as a name", 1),
    ] {
        let found = Config::load(text, &Environment::fixed(&[], &[])).expect_err(text);
        let said = found.iter().any(|problem| problem.line == line && problem.message.contains(words));
        assert!(said, "{text}\n{found:#?}");
    }
}

#[test]
fn a_name_written_twice_is_refused_wherever_it_is() {
    only_problem("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2", "listen", "written twice", (2, 1));
    let nested = "providers:\n  a: {url: http://a.example}\n  a:\n    url: http://b.example\n";
    only_problem(nested, "providers.a", "written twice", (3, 3));
}

#[test]
fn a_file_that_would_never_end_is_given_up() {
    let deep = |levels| problems(&format!("cache: {}{}", "[".repeat(levels), "]".repeat(levels)));
    assert!(deep(40)[0].contains("nested more than 32 deep"), "{:?}", deep(40));
    assert_eq!(deep(100_000).len(), 1);
    let deep: String = (0..5000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert!(problems(&deep)[0].contains("nested more than 32 deep"), "{:?}", problems(&deep));
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        laughs.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    assert!(
        problems(&laughs).iter().any(|problem| problem.contains("write fewer")),
        "{:?}",
        problems(&laughs)
    );
    let many: String = (0..500).map(|number| format!("unknown{number}: 1\n")).collect();
    let found = problems(&many);
    assert_eq!(found.len(), 101);
    assert!(found[100].contains("400 more"), "{}", found[100]);
}

proptest! {
    /// Whatever a file holds: values or problems, and every problem is at a place that exists.
    #[test]
    fn any_text_is_read_or_refused(text in r#"([a-z]{1,3}: |listen: |cache: |providers:|[{}\[\],&*!|>'"$#%@-]|\n|  |[a-z0-9.é]{1,4}){0,60}"#) {
        if let Err(problems) = Config::load(&text, &Environment::fixed(&[], &[])) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.line >= 1 && problem.line <= text.lines().count() + 1, "{problem}");
                prop_assert!(problem.column >= 1, "{problem}");
            }
        }
    }
}

#[test]
fn counts_must_not_lie_where_answers_make_room_for_each_other() {
    let text = |counts: &str| {
        format!("storage: {{redis: {{url: \"redis://r:1/2\"}}, counts: {{redis: \"{counts}\"}}}}")
    };
    only_problem(&text("redis://r:1/2"), "storage.counts.redis", "another database of it", (1, 58));
    for other in ["redis://r:1/3", "redis://r:2/2", "redis+sentinel://r:1/m/2"] {
        assert!(Config::load(&text(other), &Environment::fixed(&[], &[])).is_ok(), "{other}");
    }
    only_problem("storage: {counts: {prefix: mine}}", "storage.counts", "not where", (1, 11));
    only_problem(
        "storage: {counts: {redis: \"redis://r\", lease: 60ms}}",
        "storage.counts.lease",
        "four times the timeout",
        (1, 47),
    );
}
