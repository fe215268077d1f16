//! The configuration from outside: text in, values or problems out.

mod defaults;
mod limits;
mod problems;
mod redis;
mod references;
mod reload;
mod retrieval;
mod rules;
mod values;

use super::{Config, Environment};

/// The configuration of a text that is right.
fn config(text: &str) -> Config {
    Config::load(text, &Environment::fixed(&[], &[]))
        .unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"))
}

/// Everything that is wrong with a text, as it is shown.
fn problems(text: &str) -> Vec<String> {
    problems_in(text, &Environment::fixed(&[], &[]))
}

fn problems_in(text: &str, environment: &Environment) -> Vec<String> {
    let problems = Config::load(text, environment).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

/// Asserts that this one thing is wrong with a text, at this place.
fn only_problem(text: &str, path: &str, words: &str, place: (usize, usize)) {
    let problems = Config::load(text, &Environment::fixed(&[], &[])).expect_err(text);
    let [problem] = problems.as_slice() else { panic!("{text}\n{problems:#?}") };
    assert_eq!((problem.path.as_str(), (problem.line, problem.column)), (path, place), "{text}\n{problem}");
    assert!(problem.message.contains(words), "{text}\n{problem}");
}
