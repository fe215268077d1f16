//! The log says why a stream that broke off did not go on at another target.

use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Binary, Fault, Provider, provider};

const TEXT: &str = "one two three four five six seven eight nine ten eleven twelve";
/// Where an answer could go on.
const ABLE: &str = "fallbacks: [{provider: other, model: llama, takes: {prefill: true}}]";

/// A sidecar before `sim`, whose answers break off, and `other`; a route for each of these names.
struct Stage {
    pareto: Binary,
    sim: Provider,
    other: Provider,
}

impl Stage {
    async fn new(routes: &[(&str, String)], sections: &str) -> Self {
        let (sim, other) = (provider().await, provider().await);
        let routes = routes.iter().map(|(name, route)| {
            format!("{{models: [\"{name}\"], targets: [{{provider: sim, model: gpt-4o}}], {route}}}")
        });
        let file = format!(
            "providers: {{sim: {{url: \"{}\", keys: [k]}}, other: {{url: \"{}\", keys: [k]}}}}\nroutes: [{}]\n{sections}",
            sim.url(),
            other.url(),
            routes.collect::<Vec<_>>().join(", ")
        );
        Self { pareto: Binary::start(&file).await, sim, other }
    }

    fn say(&self, model: &str) -> Ask {
        self.pareto.chat(&format!("sim:say={TEXT}")).set("model", model).stream()
    }

    /// What the log says of an answer that breaks off so and does not go on.
    async fn why(&mut self, fault: Fault, ask: Ask) -> String {
        self.sim.next(fault);
        broken_off(&ask.await);
        let line = self.pareto.logs("exchange").await;
        let (_, why) = line.split_once(" unresumed=\"").unwrap_or_else(|| panic!("{line}"));
        why.split('"').next().unwrap().to_owned()
    }
}

fn broken_off(answer: &Answer) {
    assert!(answer.status == 200 && !answer.whole, "{}", answer.text());
}

#[tokio::test]
async fn the_log_says_what_of_the_route_kept_an_answer_from_going_on() {
    let routes = [
        ("off", ABLE.to_owned()),
        ("no_attempt_left", format!("{ABLE}, resume: true, retries: {{attempts: 1}}")),
        ("no_target", "fallbacks: [{provider: other}], resume: true".to_owned()),
        ("none_ready", format!("{ABLE}, resume: true")),
        ("deadline", format!("{ABLE}, resume: true, timeouts: {{total: 500ms, idle: 1m}}")),
    ];
    let mut stage = Stage::new(&routes, "").await;
    for (route, _) in &routes {
        if *route == "none_ready" {
            stage.other.next(Fault::Status(400));
        }
        let fault = if *route == "deadline" { Fault::HangMidStream } else { Fault::ResetMidStream };
        let ask = stage.say(route);
        assert_eq!(stage.why(fault, ask).await, *route);
    }
    assert_eq!(stage.other.total(), 1, "the one that refused the rest");
}

#[tokio::test]
async fn the_log_says_what_of_an_answer_or_its_request_kept_it_from_going_on() {
    let mut stage = Stage::new(&[("gpt", format!("{ABLE}, resume: true"))], "").await;
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}}]);
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    for (member, value, why) in [
        ("tools", tools, "tool_call"),
        ("n", json!(2), "beyond_text"),
        ("response_format", format, "request"),
        ("logprobs", json!(true), "beyond_text"),
    ] {
        let ask = stage.say("gpt").set(member, value);
        assert_eq!(stage.why(Fault::ResetMidStream, ask).await, why, "{member}");
    }
    let url = format!("http://{}/v1/completions", stage.pareto.address);
    let body: Value = json!({"model": "gpt", "prompt": format!("sim:say={TEXT}")});
    let completion = Ask::new(reqwest::Client::new().post(url), body).stream();
    assert_eq!(stage.why(Fault::ResetMidStream, completion).await, "endpoint");
    assert_eq!(stage.other.total(), 0);
}

#[tokio::test]
async fn the_log_says_that_failover_is_off_or_observed() {
    for (mode, why) in [("off", "off"), ("observe", "observed")] {
        let routes = [("gpt", format!("{ABLE}, resume: true"))];
        let mut stage = Stage::new(&routes, &format!("features: {{failover: {mode}}}\n")).await;
        let ask = stage.say("gpt");
        assert_eq!(stage.why(Fault::ResetMidStream, ask).await, why);
        assert_eq!(stage.other.total(), 0);
    }
}

#[tokio::test]
async fn the_log_says_nothing_of_it_where_a_stream_went_on_or_never_broke() {
    let mut stage = Stage::new(&[("gpt", format!("{ABLE}, resume: true"))], "").await;
    for fault in [None, Some(Fault::ResetMidStream)] {
        fault.into_iter().for_each(|fault| stage.sim.next(fault));
        assert!(stage.say("gpt").cache_control("no-store").await.whole);
        let line = stage.pareto.logs("exchange").await;
        assert_eq!(
            (line.contains("unresumed"), line.contains(" resumed=1")),
            (false, fault.is_some()),
            "{line}"
        );
    }
}
