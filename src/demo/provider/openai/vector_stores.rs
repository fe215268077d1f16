//! Vector stores: the object and the search; source: openai.md section 8.
//!
//! A store whose id ends in `empty` has no files, and finds nothing.

use serde_json::{Value, json};

use super::refusal::{Refusal, missing, number};
use crate::demo::chance::Chance;
use crate::demo::provider::api::Ask;
use crate::demo::provider::hash::of_text;
use crate::demo::provider::reply::Reply;
use crate::demo::provider::vocabulary::ENGLISH;

/// `GET /v1/vector_stores/{id}`.
pub fn object(id: &str) -> Reply {
    let files = if is_empty(id) { 0 } else { 3 };
    Reply::json(
        200,
        &json!({
            "id": id,
            "object": "vector_store",
            "created_at": 1_790_000_000,
            "name": "Shop",
            "usage_bytes": files * 4096,
            "file_counts": {"in_progress": 0, "completed": files, "failed": 0, "cancelled": 0, "total": files},
            "status": "completed",
            "expires_after": null,
            "expires_at": null,
            "last_active_at": 1_790_000_000,
            "metadata": {},
        }),
    )
}

/// `POST /v1/vector_stores/{id}/search`.
pub fn search(ask: &Ask<'_>, id: &str) -> Result<Reply, Refusal> {
    let queries = match &ask.body["query"] {
        Value::Null => return Err(missing("query")),
        Value::Array(queries) => queries.clone(),
        one => vec![one.clone()],
    };
    let limit = number(ask, "max_num_results", 1.0, 50.0, 10.0)? as u64;
    let threshold = ask.body["ranking_options"]["score_threshold"].as_f64().unwrap_or(0.0);
    let found = if is_empty(id) { 0 } else { limit.min(3) };
    let mut chance = Chance::new(ask.seed ^ of_text(0, id));
    let hits = (0..found).map(|rank| {
        let words: Vec<_> = (0..12).map(|_| *chance.pick(&ENGLISH)).collect();
        json!({
            "file_id": format!("file-{id}-{rank}"),
            "filename": format!("faq-{rank}.md"),
            "score": (chance.unit() / 10.0 + 0.9) - rank as f64 / 10.0,
            "attributes": {},
            "content": [{"type": "text", "text": words.join(" ")}],
        })
    });
    let data: Vec<_> = hits.filter(|hit| hit["score"].as_f64() >= Some(threshold)).collect();
    Ok(Reply::json(
        200,
        &json!({
            "object": "vector_store.search_results.page",
            "search_query": queries,
            "data": data,
            "has_more": false,
            "next_page": null,
        }),
    ))
}

fn is_empty(id: &str) -> bool {
    id.ends_with("empty")
}
