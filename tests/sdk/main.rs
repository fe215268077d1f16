//! Real SDKs, real sockets: what an application sees must not depend on who stands in between.
//!
//! Each test runs one client library's scenarios (`python/`, `node/`) against the simulated provider, then
//! against every other base URL it is given, and compares all the application could see. `install` puts
//! the libraries in place; without them these tests fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod compare;
mod frameworks;
mod library;
mod resumed;
mod ruled;
mod translated;

use pareto::config::{Config, Environment};
use pareto::demo::provider::{Behaviour, Provider};
use pareto::server::{Listeners, Source};
use pareto::sidecar::Sidecar;

use compare::{differences, surprises};
use library::Library;

/// Runs a library directly, then twice through pareto, where its first answers are fetched and its
/// second ones replayed. It must see the same each time, and what the names of the scenarios promise.
async fn sees_the_same(library: Library) {
    let provider = Provider::start(Behaviour::default()).await.unwrap();
    let direct = library.run(&provider.url()).await;
    assert_eq!(surprises(&direct), Vec::<String>::new(), "{} against the provider", library.name);
    let asked = provider.total();
    let pareto = before(&provider);
    let url = format!("http://{}/v1", pareto.running.address);
    for label in ["through pareto, fetched", "through pareto, replayed"] {
        let seen = library.run(&url).await;
        assert_eq!(differences(&direct, &seen), Vec::<String>::new(), "{} {label}", library.name);
    }
    let through = provider.total() - asked;
    assert!(through < asked * 2, "{}: {through} calls for two runs, {asked} for one", library.name);
}

/// A sidecar with its built-in defaults before a provider of all three families.
fn before(provider: &Provider) -> Sidecar {
    let (url, origin) = (provider.url(), provider.origin());
    sidecar(&format!(
        "providers:\n  openai: {{url: \"{url}\"}}\n  \
         anthropic: {{url: \"{origin}\", dialect: anthropic}}\n  gemini: {{url: \"{origin}\", dialect: gemini}}\n"
    ))
}

/// A sidecar with these settings beside its addresses.
fn sidecar(sections: &str) -> Sidecar {
    let file = format!("listen: 127.0.0.1:0\nadmin: {{listen: \"127.0.0.1:0\"}}\n{sections}");
    let environment = Environment::process();
    let config = Config::load(&file, &environment).unwrap();
    let listeners = Listeners::bind(config.listen, config.admin.listen).unwrap();
    let source = Source::Fixed(Box::new(config.clone()));
    Sidecar::start(config, source, environment, listeners, None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_python_2() {
    sees_the_same(Library::python("openai-2", None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_python_3_anthropic_and_google() {
    sees_the_same(Library::python("openai-3", Some("--all"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_node_6() {
    sees_the_same(Library::node("openai-6", None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_node_7_anthropic_and_google() {
    sees_the_same(Library::node("openai-7", Some("--all"))).await;
}
