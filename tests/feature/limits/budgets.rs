//! Budgets: what becomes of a request when one is spent, and what an operator sees and does.

use http::Method;

use super::{ask, count, settled};
use crate::harness::Pareto;

/// A tenth of a cent a day: gpt-4o's 100 tokens of output and a little input fit once.
const TINY: &str = "usd: 0.0012/day";

/// A request that may cost 0.00100 USD and a little for its input.
fn dear(pareto: &Pareto, text: &str) -> crate::harness::Ask {
    ask(pareto, "acme", text).set("max_tokens", 100)
}

#[tokio::test]
async fn a_spent_budget_is_an_insufficient_quota_until_its_window_ends() {
    let pareto = Pareto::start(&format!("limits: [{{per: tenant, {TINY}}}]")).await;
    assert_eq!(dear(&pareto, "sim:words=60").await.status, 200);
    let refused = dear(&pareto, "sim:words=60 more").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
    assert_eq!(refused.json()["error"]["type"], "insufficient_quota");
    assert_eq!(refused.header("x-should-retry"), "false");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 86_400);
    pareto.becomes("limit_rejections_total", &[("limit", "tenant-usd")], 1.0).await;
    assert!(pareto.metric("budget_used_ratio", &[("limit", "tenant-usd")]).await > 0.1);
}

#[tokio::test]
async fn a_model_without_a_price_does_not_pass_a_budget_of_money() {
    let pareto = Pareto::start("limits: [{usd: 5/day}]").await;
    let refused = ask(&pareto, "a", "a").set("model", "nobody-knows").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("`prices`"));
    let priced = "limits: [{usd: 5/day}]\nprices: {nobody-knows: {input: 0, output: 0}}";
    let pareto = Pareto::start(priced).await;
    assert_eq!(ask(&pareto, "a", "a").set("model", "nobody-knows").await.status, 200);
}

#[tokio::test]
async fn a_spent_budget_may_send_to_a_cheaper_model() {
    let pareto = Pareto::start(&format!(
        "limits: [{{per: [tenant, model], {TINY}, on_exhausted: {{model: gpt-4o-mini}}}}]"
    ))
    .await;
    assert_eq!(dear(&pareto, "sim:words=60").await.header("x-pareto-model"), "gpt-4o");
    let cheaper = dear(&pareto, "sim:words=60 more").await;
    assert_eq!((cheaper.status, cheaper.header("x-pareto-model")), (200, "gpt-4o-mini"));
    assert_eq!(pareto.provider.calls()[1].json()["model"], "gpt-4o-mini");
}

#[tokio::test]
async fn a_spent_budget_may_leave_what_is_stored() {
    let pareto = Pareto::start(&format!(
        "limits: [{{per: tenant, {TINY}, on_exhausted: cache_only}}]\ncache: {{exact: {{ttl: 1ms}}}}"
    ))
    .await;
    let stored = || pareto.chat("sim:words=60").with("x-tenant-id", "acme").set("max_tokens", 100);
    let first = stored().await;
    assert_eq!(first.status, 200);
    let old = stored().await;
    assert_eq!((old.status, old.said()), (200, first.said()));
    assert_eq!(dear(&pareto, "never asked").await.code(), "insufficient_quota");
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn an_operator_sees_every_count_and_resets_one() {
    let pareto =
        Pareto::start("limits: [{name: daily, per: tenant, requests: 1/day, zone: Asia/Riyadh}]").await;
    for tenant in ["a", "b"] {
        assert_eq!(ask(&pareto, tenant, "x").await.status, 200);
    }
    let shown = count(&pareto, "a", "requests").await;
    assert_eq!((&shown["quota"], &shown["used"], &shown["left"]), (&1.into(), &1.into(), &0.into()));
    assert!(shown["window"]["from"].as_str().unwrap().ends_with("T21:00:00Z"), "midnight in Riyadh: {shown}");
    assert!(shown["reset_seconds"].as_u64().unwrap() <= 86_400);
    let reset = pareto.admin(Method::DELETE, "/limits/daily?tenant=a").await;
    assert_eq!(reset.json()["reset"], 1);
    assert_eq!(ask(&pareto, "a", "y").await.status, 200);
    assert_eq!(ask(&pareto, "b", "y").await.status, 429);
    assert_eq!(pareto.admin(Method::DELETE, "/limits/none").await.status, 404);
}

#[tokio::test]
async fn a_reload_keeps_what_was_counted() {
    let pareto = Pareto::start("limits: [{name: n, per: tenant, requests: 2/day}]").await;
    assert_eq!(ask(&pareto, "a", "1").await.status, 200);
    pareto.write("limits: [{name: n, per: tenant, requests: 2/day}, {name: other, requests: 50/day}]");
    assert_eq!(pareto.admin(Method::POST, "/reload").await.status, 200);
    assert_eq!(ask(&pareto, "a", "2").await.status, 200);
    assert_eq!(ask(&pareto, "a", "3").await.status, 429);
    assert_eq!(settled(&pareto, "a", "requests").await["used"], 2);
}
