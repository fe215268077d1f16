//! Limits and budgets in the file.

use super::{config, problems};
use crate::config::limit::{Measure, OnExhausted, Window};
use crate::config::quota::Dimension;

#[test]
fn the_limits_of_the_contract_hold() {
    let text = "limits:
  - {per: tenant, requests: 60/min, tokens: 200k/min, concurrent: 10, wait: 5s}
  - {per: tenant, usd: 5/day, alert: {at: [50%, 80%, 100%], webhook: 'https://hooks.example/a'}}
";
    let limits = config(text).limits;
    assert_eq!(limits[0].name, "tenant-requests-tokens-concurrent");
    assert_eq!(limits[0].per, [Dimension::Tenant]);
    assert_eq!(limits[0].wait.as_secs(), 5);
    let counted: Vec<_> = limits[0].quotas.iter().map(|quota| (quota.measure, quota.amount)).collect();
    assert_eq!(counted, [(Measure::Requests, 60), (Measure::Tokens, 200_000), (Measure::Concurrent, 10)]);
    assert!(matches!(limits[0].quotas[0].window, Window::Rate { burst: 60, .. }));
    assert_eq!(limits[1].quotas[0].amount, 5_000_000_000_000);
    assert!(matches!(limits[1].quotas[0].window, Window::Calendar { .. }));
    assert_eq!(limits[1].alert.as_ref().unwrap().at, [50, 80, 100]);
}

#[test]
fn a_limit_may_be_per_a_list_and_end_with_another_model() {
    let text = "limits: [{per: [tenant, 'header:X-Team'], tokens: 1M/month, zone: Asia/Riyadh, on_exhausted: {model: gpt-4o-mini}}]";
    let checked = config(text);
    let limit = &checked.limits[0];
    assert_eq!(limit.name, "tenant-header:x-team-tokens");
    assert_eq!(limit.on_exhausted, OnExhausted::Model("gpt-4o-mini".to_owned()));
    let shown = checked.effective()["limits"][0].clone();
    assert_eq!(shown["per"], serde_json::json!(["tenant", "header:x-team"]));
    assert_eq!(shown["zone"], "Asia/Riyadh");
    assert_eq!(shown["on_exhausted"], serde_json::json!({"model": "gpt-4o-mini"}));
}

#[test]
fn what_is_wrong_with_a_limit_is_said_at_its_place() {
    for (text, path, message) in [
        ("limits: [{per: tenant}]", "limits[0]", "limits nothing"),
        ("limits: [{requests: 60}]", "limits[0].requests", "is no amount"),
        ("limits: [{usd: 5/s}]", "limits[0].usd", "is a budget for a second"),
        ("limits: [{per: nobody, requests: 1/s}]", "limits[0].per", "tells no requests apart"),
        ("limits: [{per: [tenant, tenant], requests: 1/s}]", "limits[0].per[1]", "already in the list"),
        ("limits: [{concurrent: 0}]", "limits[0].concurrent", "is 0"),
        ("limits: [{requests: 1/s}, {requests: 2/s}]", "limits[1]", "is a second limit called `requests`"),
        ("limits: [{requests: 1/s, on_exhausted: cache_only}]", "limits[0].on_exhausted", "is for budgets"),
        ("limits: [{requests: 1/s, zone: Nowhere}]", "limits[0].zone", "is no time zone"),
        ("limits: [{usd: 1/day, alert: {secret: s}}]", "limits[0].alert.secret", "there is no webhook"),
        ("limits: [{usd: 1/day, alert: {webhook: nonsense}}]", "limits[0].alert.webhook", "\"nonsense\""),
        ("limits: [{usd: 1/day, on_exhausted: stop}]", "limits[0].on_exhausted", "cache_only"),
        ("limits: [{usd: 1/day, when: {files: 0}}]", "limits[0].when.files", "by the request alone"),
        (
            "limits: [{usd: 1/day, when: {any: [{files: 0, model: m}]}}]",
            "limits[0].when.any[0].files",
            "under when",
        ),
        ("limits: [{usd: 1/day, when: {temperature: {}}}]", "limits[0].when.temperature", "above or below"),
    ] {
        let said = problems(text);
        let [problem] = said.as_slice() else { panic!("{text}\n{said:#?}") };
        assert!(problem.starts_with(&format!("{path}: ")) && problem.contains(message), "{problem}");
    }
}
