//! Limits and budgets, as an app and an operator see them.

mod alerts;
mod allowances;
mod attempts;
mod budgets;
mod embeddings;
mod explaining;
mod payers;
mod providers;
mod refusals;
mod restarts;
mod settling;
mod subjects;
mod waiting;

use http::Method;
use serde_json::Value;

use crate::harness::{Ask, Pareto};

/// A request of a tenant that shares its answer with nobody.
fn ask(pareto: &Pareto, tenant: &str, text: &str) -> Ask {
    pareto.chat(text).with("x-tenant-id", tenant).cache_control("no-store")
}

/// How one count of a tenant stands.
async fn count(pareto: &Pareto, tenant: &str, measure: &str) -> Value {
    let shown = pareto.admin(Method::GET, "/limits").await.json();
    let counts = shown["counts"].as_array().unwrap().clone();
    let of = |count: &&Value| {
        count["measure"] == measure && count["subject"]["tenant"].as_str().unwrap_or("") == tenant
    };
    counts.iter().find(of).cloned().unwrap_or(Value::Null)
}

/// Waits until a count has settled: nothing is reserved of it any more.
async fn settled(pareto: &Pareto, tenant: &str, measure: &str) -> Value {
    let waits = async {
        loop {
            let count = count(pareto, tenant, measure).await;
            if count["reserved"] == 0 || count["reserved"] == "0" {
                return count;
            }
            tokio::task::yield_now().await;
        }
    };
    crate::harness::within(&format!("{tenant}'s {measure} to settle"), waits).await
}
