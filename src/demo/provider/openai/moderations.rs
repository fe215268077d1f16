//! `POST /v1/moderations`.

use serde_json::{Map, Value, json};

use super::refusal::{Refusal, missing};
use crate::demo::chance::Chance;
use crate::demo::provider::api::Ask;
use crate::demo::provider::hash::of_text;
use crate::demo::provider::reply::Reply;

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// Answers a moderation request: what speaks of killing is violence, all else is harmless.
pub fn answer(ask: &Ask<'_>) -> Result<Reply, Refusal> {
    let results: Vec<_> = match &ask.body["input"] {
        Value::Null => return Err(missing("input")),
        // An array of parts is one input (openai.md section 7).
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(|item| result(item.as_str().unwrap_or_default())).collect()
        }
        Value::Array(parts) => {
            let text: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            vec![result(&text.join(" "))]
        }
        one => vec![result(one.as_str().unwrap_or_default())],
    };
    let model = ask.body["model"].as_str().unwrap_or("omni-moderation-latest");
    Ok(Reply::json(200, &json!({"id": ask.id("modr-"), "model": model, "results": results})))
}

fn result(text: &str) -> Value {
    let violent = text.contains("kill");
    let mut chance = Chance::new(of_text(0, text));
    let mut members = [Map::new(), Map::new(), Map::new()];
    for name in CATEGORIES {
        let flagged = violent && name == "violence";
        let score = if flagged { 0.9 } else { chance.unit() / 1000.0 };
        members[0].insert(name.to_owned(), json!(flagged));
        members[1].insert(name.to_owned(), json!(score));
        members[2].insert(name.to_owned(), json!(["text"]));
    }
    let [categories, scores, applied] = members;
    json!({
        "flagged": violent,
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": applied,
    })
}
