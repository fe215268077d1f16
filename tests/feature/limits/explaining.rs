//! What `explain` says of limits: which are for a request, what it would reserve, whether it would pass.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::ask;
use crate::harness::{Pareto, chat};

const FILE: &str = "limits: [{name: daily, per: tenant, requests: 2/day, tokens: 10k/day}, {name: nights, when: {endpoint: embeddings}, requests: 1/day}]";

async fn limits(pareto: &Pareto, most: u64) -> Value {
    let mut body = chat("hello world");
    body["max_tokens"] = most.into();
    let said = pareto.explain(json!({"headers": {"x-tenant-id": "acme"}, "body": body})).await.json();
    assert!(said["limits"].is_object(), "{said:#}");
    said["limits"].clone()
}

#[tokio::test]
async fn a_running_pareto_tells_how_its_counts_stand_and_changes_none() {
    let pareto = Pareto::start(FILE).await;
    assert_eq!(ask(&pareto, "acme", "a").set("max_tokens", 100).await.status, 200);
    let used = super::settled(&pareto, "acme", "tokens").await["used"].as_u64().unwrap();
    for _ in 0..3 {
        let said = limits(&pareto, 1000).await;
        assert_eq!(said["daily"]["value"], true);
        assert_eq!(said["daily"]["why"], "for tenant acme");
        assert_eq!(said["nights"]["value"], false);
        // Two words, a line's end, 4 for the message and 3 for the answer.
        assert_eq!(said["input tokens"]["value"], 10);
        assert_eq!(said["daily tokens"]["value"], "1010");
        let why = format!("of 10000; {used} used, 0 reserved, {} left", 10_000 - used);
        assert_eq!(said["daily tokens"]["why"], why.as_str());
        assert_eq!(said["daily requests"]["why"], "of 2; 1 used, 0 reserved, 1 left");
        assert_eq!(said["passes"]["value"], true);
    }
    let short = limits(&pareto, 9990).await;
    assert_eq!(short["passes"]["value"], false);
    assert!(short["passes"]["why"].as_str().unwrap().starts_with("`daily` has 9"), "{short}");
    let never = limits(&pareto, 20_000).await;
    assert!(never["passes"]["why"].as_str().unwrap().contains("never has 20010 tokens at once"), "{never}");
    assert_eq!(super::settled(&pareto, "acme", "requests").await["used"], 1);
    let unpriced = Pareto::start("limits: [{usd: 1/day}]").await;
    let said = unpriced.explain(json!({"body": {"model": "nobody-knows", "messages": []}})).await.json();
    assert!(said["limits"]["passes"]["why"].as_str().unwrap().contains("no price is known"), "{said}");
}

#[tokio::test]
async fn an_image_counts_by_its_providers_published_formula() {
    let pareto = Pareto::start(FILE).await;
    let input = async |images: usize| {
        // The header of a PNG of 1024 × 1024 pixels, which is all that is looked at.
        let header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x04\0\0\0\x04\0\x08\x02\0\0\0\0";
        let url = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(header));
        let image = json!({"type": "image_url", "image_url": {"url": url}});
        let mut body = chat("hello world");
        let mut parts = vec![json!({"type": "text", "text": "hello world"})];
        parts.extend(std::iter::repeat_n(image, images));
        body["messages"][0]["content"] = parts.into();
        let said = pareto.explain(json!({"headers": {"x-tenant-id": "acme"}, "body": body})).await.json();
        said["limits"]["input tokens"]["value"].as_u64().unwrap()
    };
    let (none, one, two) = (input(0).await, input(1).await, input(2).await);
    // OpenAI's own example: four tiles of 170 and the base of 85.
    assert_eq!((one - none, two - one), (765, 765));
}

#[tokio::test]
async fn switches_are_told_and_without_limits_there_is_little_to_say() {
    let off = Pareto::start(&format!("{FILE}\nfeatures: {{limits: off}}")).await;
    let said = limits(&off, 1).await;
    assert_eq!(said["policy"], json!({"value": "off", "why": "features.limits is off"}));
    assert!(said["daily"].is_null());
    let observing = Pareto::start(&format!("{FILE}\nfeatures: {{limits: observe}}")).await;
    let said = limits(&observing, 1).await;
    assert_eq!((&said["policy"]["value"], &said["daily"]["value"]), (&"observe".into(), &true.into()));
    let none = Pareto::start("").await;
    assert_eq!(limits(&none, 1).await["policy"]["why"], "no limits are set");
}
