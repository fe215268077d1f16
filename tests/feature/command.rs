//! The commands beside running.

use std::io::{BufRead, BufReader};

use tempfile::NamedTempFile;

use crate::harness::Binary;

fn check(yaml: &str) -> (bool, String) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    let output = Binary::run(&["check", file.path().to_str().unwrap()]);
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_accepts_a_good_file() {
    let (accepted, said) = check("max_body: 8MiB\ncache: {share: tenant}");
    assert!(accepted, "{said}");
}

#[test]
fn check_names_every_problem_with_its_place() {
    let (accepted, said) =
        check("max_body: large\ncache:\n  share: nobody\n  exct: {}\nproviders: {p: {}}\n");
    assert!(!accepted);
    for (path, line) in [("max_body", 1), ("cache.share", 3), ("cache.exct", 4), ("providers.p.url", 5)] {
        let problem = said.lines().find(|problem| problem.contains(path));
        let problem = problem.unwrap_or_else(|| panic!("{path} is missing in {said}"));
        assert!(problem.contains(&format!("line {line}, column")), "no line {line} in {problem}");
    }
    assert_eq!(said.lines().count(), 4, "{said}");
}

#[test]
fn check_fails_where_there_is_no_file() {
    assert!(!Binary::run(&["check", "/no/such/file.yaml"]).status.success());
}

#[test]
fn schema_prints_a_json_schema_of_every_section() {
    let output = Binary::run(&["schema"]);
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for section in ["listen", "admin", "providers", "cache", "coalesce", "features", "prices"] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn the_demo_needs_no_key_tells_what_it_saved_and_runs_on_until_interrupted() {
    let mut demo = Binary::spawn(&["demo"]);
    let mut told = String::new();
    for line in BufReader::new(demo.stdout.take().unwrap()).lines() {
        told.push_str(&line.unwrap());
        told.push('\n');
        if told.contains("/config") {
            break;
        }
    }
    let calls = told.lines().find(|line| line.starts_with("provider calls")).expect(&told);
    assert!(calls.ends_with(" %") && !calls.ends_with(" 0 %"), "{told}");
    assert!(told.contains(" 0 failed") && told.contains("/metrics"), "{told}");
    assert!(demo.try_wait().unwrap().is_none(), "it has ended by itself");
    let interrupted = std::process::Command::new("kill").args(["-s", "INT", &demo.id().to_string()]).status();
    assert!(interrupted.unwrap().success() && demo.wait().unwrap().success());
}
