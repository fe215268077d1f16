//! The defaults, the file that documents them, and the schema agree.

use std::collections::BTreeSet;

use serde_json::Value;

use super::config;
use crate::config::{Config, Environment, schema};

/// Every setting, commented.
const DOCUMENTED: &str = include_str!("../../../conf/pareto.yaml");

/// The file with its settings uncommented: those lines whose `#` is not followed by one space.
fn uncommented() -> String {
    let settings = DOCUMENTED.lines().map(|line| match line.strip_prefix('#') {
        Some(prose) if prose.starts_with(' ') && !prose.starts_with("  ") => "",
        Some(setting) => setting,
        None => line,
    });
    settings.collect::<Vec<_>>().join("\n")
}

#[test]
fn without_a_file_the_defaults_hold() {
    assert_eq!(config(""), Config::default());
    assert_eq!(config("# nothing\n"), Config::default());
    assert_eq!(config("---\n"), Config::default());
    let built_in = Config::default();
    assert_eq!(built_in.default_provider().map(|provider| provider.name.as_str()), Some("openai"));
    assert_eq!(built_in.providers.len(), 1);
    assert_eq!(built_in.providers[0].url.to_string(), "https://api.openai.com/v1");
    assert!(built_in.threads >= 1);
}

#[test]
fn the_documented_file_is_all_comment() {
    assert!(DOCUMENTED.lines().all(|line| line.is_empty() || line.starts_with('#')));
    assert_eq!(config(DOCUMENTED), Config::default());
}

#[test]
fn the_documented_file_holds_the_defaults() {
    let documented = uncommented();
    assert!(documented.contains("\n  share: credential\n"), "the settings are uncommented");
    assert_eq!(config(&documented).effective(), Config::default().effective());
    assert_eq!(config(&documented), Config::default());
}

#[test]
fn the_documented_file_holds_every_setting_of_the_schema() {
    let schema: Value = serde_json::from_str(&schema()).expect("it is JSON");
    let mut settings = BTreeSet::new();
    settings_of(&schema, &schema, "", &mut settings);
    assert!(settings.contains("providers.*.timeouts.first_byte") && settings.len() > 50, "{settings:?}");
    let tree: serde_yaml::Value = serde_yaml::from_str(&uncommented()).expect("it is YAML");
    let mut documented = BTreeSet::new();
    settings_in(&tree, "", &mut documented);
    let missing: Vec<&String> = settings.difference(&documented).collect();
    // There is no price to show by default; the example of one shows all that a price has.
    let in_example = |setting: &String| {
        let name = setting.strip_prefix("prices.*");
        let example = DOCUMENTED.lines().find(|line| line.starts_with("# Example: gpt-4o: {"));
        name.zip(example)
            .is_some_and(|(name, example)| name.is_empty() || example.contains(&format!("{}: ", &name[1..])))
    };
    let forgotten: Vec<&&String> = missing.iter().filter(|setting| !in_example(setting)).collect();
    assert!(forgotten.is_empty(), "not documented: {forgotten:?}");
    let unknown: Vec<&String> = documented.difference(&settings).collect();
    assert!(unknown.is_empty(), "not in the schema: {unknown:?}");
}

/// The path of every setting below a part of the schema; `*` for a name of the user's choice.
fn settings_of(root: &Value, part: &Value, path: &str, settings: &mut BTreeSet<String>) {
    let part =
        match part["$ref"].as_str().and_then(|reference| root.pointer(reference.trim_start_matches('#'))) {
            Some(referred) => referred,
            None => part,
        };
    if !path.is_empty() {
        settings.insert(path.to_owned());
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, property) in part["properties"].as_object().into_iter().flatten() {
        settings_of(root, property, &below(name), settings);
    }
    if part["additionalProperties"].is_object() {
        settings_of(root, &part["additionalProperties"], &below("*"), settings);
    }
}

/// The path of every setting in a file.
fn settings_in(tree: &serde_yaml::Value, path: &str, settings: &mut BTreeSet<String>) {
    if !path.is_empty() {
        settings.insert(path.to_owned());
    }
    for (name, value) in tree.as_mapping().into_iter().flatten() {
        let name = name.as_str().expect("names are words");
        let name = if path == "providers" { "*" } else { name };
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        settings_in(value, &below, settings);
    }
}

#[test]
fn the_schema_says_what_every_setting_means_and_allows_no_other() {
    let schema: Value = serde_json::from_str(&schema()).expect("it is JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let parts = schema["$defs"].as_object().expect("it has parts").values().chain([&schema]);
    let mut checked = 0;
    for part in parts.filter(|part| part["properties"].is_object()) {
        assert_eq!(part["additionalProperties"], false, "{part}");
        for (name, property) in part["properties"].as_object().into_iter().flatten() {
            let description = property["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{name} says what it means");
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
    assert_eq!(schema["$defs"]["Provider"]["required"], serde_json::json!(["url"]));
    assert_eq!(schema["$defs"]["Provider"]["properties"]["url"]["default"], Value::Null);
}

#[test]
fn the_first_lines_of_the_contract_hold() {
    let text = r#"
listen: 127.0.0.1:8080            # the app's base URL becomes http://127.0.0.1:8080/v1
admin: {listen: 127.0.0.1:9090}
storage:
  memory: 256MiB
providers:
  openai:    {url: https://api.openai.com/v1}
  anthropic: {url: https://api.anthropic.com, dialect: anthropic, keys: ["${ANTHROPIC_API_KEY}"]}
  gemini:    {url: https://generativelanguage.googleapis.com, dialect: gemini, keys: ["${GEMINI_API_KEY}"]}
tenants: {identify: ["header:x-tenant-id", credential]}
cache:
  share: credential
  exact:      {ttl: 1h}
  stale:      {while_revalidate: 0s, if_error: 24h}
coalesce: {}
features: {coalesce: 25%}
prices: {gpt-4o: {input: 2.50, cached_input: 1.25, output: 10.00}}
"#;
    let environment = Environment::fixed(&[("ANTHROPIC_API_KEY", "a"), ("GEMINI_API_KEY", "g")], &[]);
    let config = Config::load(text, &environment).expect("the contract is right");
    let names: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["openai", "anthropic", "gemini"]);
}
