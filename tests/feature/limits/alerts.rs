//! Who owns a budget hears of it before it is spent.

use hmac_check::verify;

use super::ask;
use crate::harness::{Fault, Hold, Pareto, Provider, provider, within};

/// Checks a signature as the README tells a receiver to.
mod hmac_check {
    use ring::hmac;

    pub fn verify(secret: &str, header: &str, body: &[u8]) -> bool {
        let (time, digest) = header.split_once(",v1=").unwrap();
        let message = [time.strip_prefix("t=").unwrap().as_bytes(), b".", body].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let digest: Vec<u8> = (0..digest.len() / 2)
            .map(|at| u8::from_str_radix(&digest[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        hmac::verify(&key, &message, &digest).is_ok()
    }
}

/// The calls of the webhook, which is the provider's echo.
fn posted(pareto: &Pareto) -> Vec<pareto::demo::provider::Call> {
    pareto.provider.calls().into_iter().filter(|call| call.target == "/v1/echo").collect()
}

/// A budget of one request a day for each tenant, whose end is posted to `hook`.
async fn alerting(hook: &Provider) -> Pareto {
    Pareto::start(&format!(
        "limits: [{{per: tenant, requests: 1/day, alert: {{at: [100%], forecast: false, webhook: '{}/echo'}}}}]",
        hook.url()
    ))
    .await
}

async fn told(pareto: &Pareto, result: &str, times: f64) {
    pareto.counts("limit_alerts_total", &[("result", result)], times).await;
}

#[tokio::test]
async fn a_share_of_a_budget_is_posted_signed_and_once() {
    let pareto = Pareto::start(
        "limits: [{name: daily, per: tenant, requests: 4/day, alert: {at: [50%, 100%], forecast: false, webhook: '{origin}/v1/echo', secret: s3cret}}]",
    )
    .await;
    for number in 0..3 {
        assert_eq!(ask(&pareto, "acme", &format!("{number}")).await.status, 200);
    }
    told(&pareto, "delivered", 1.0).await;
    let call = posted(&pareto).remove(0);
    let signature = &call.headers.iter().find(|(name, _)| name == "x-pareto-signature").unwrap().1;
    assert!(verify("s3cret", signature, &call.body) && !verify("other", signature, &call.body));
    let told_of = call.json();
    assert_eq!(told_of["type"], "budget.share");
    assert_eq!((&told_of["share"], &told_of["used"], &told_of["quota"]), (&50.into(), &2.into(), &4.into()));
    assert_eq!(told_of["subject"], serde_json::json!({"tenant": "acme"}));
    assert!(told_of["window"]["until"].as_str().unwrap().ends_with("T00:00:00Z"), "{told_of}");
    assert_eq!(ask(&pareto, "acme", "4").await.status, 200);
    assert_eq!(ask(&pareto, "acme", "5").await.status, 429);
    told(&pareto, "delivered", 2.0).await;
    assert_eq!(posted(&pareto)[1].json()["share"], 100);
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_again_and_keeps_nobody_waiting() {
    let hook = provider().await;
    hook.next_times(Fault::Status(503), 2);
    hook.hold(Hold::BeforeHead);
    let pareto = alerting(&hook).await;
    assert_eq!(ask(&pareto, "acme", "1").await.status, 200);
    within("the webhook", hook.received(1)).await;
    assert_eq!(ask(&pareto, "acme", "2").await.status, 429, "while the webhook hangs");
    assert_eq!(ask(&pareto, "other", "1").await.status, 200);
    hook.release();
    // One alert for each of the two tenants, and two tries that failed.
    within("four tries", hook.received(4)).await;
    told(&pareto, "delivered", 2.0).await;
    assert!(
        hook.calls().iter().all(|call| call.headers.iter().all(|(name, _)| name != "x-pareto-signature"))
    );
}

#[tokio::test]
async fn a_webhook_that_hangs_keeps_nobody_from_being_told() {
    let hook = provider().await;
    hook.hold(Hold::BeforeHead);
    let pareto = alerting(&hook).await;
    for tenant in 0..20 {
        assert_eq!(ask(&pareto, &format!("t{tenant}"), "hello").await.status, 200);
    }
    told(&pareto, "logged", 20.0).await;
    assert!(hook.total() < 20, "not all at the same time");
    hook.release();
    told(&pareto, "delivered", 20.0).await;
}

/// A zone in which it is between ten and eleven in the morning: a budget of its day has lasted long enough
/// to tell, and will last long enough to be spent.
fn morning() -> String {
    let hour = jiff::Timestamp::now().as_second() / 3600 % 24;
    // POSIX's sign: Etc/GMT-3 is three hours ahead of UTC.
    match 10 - hour {
        ahead @ 1.. => format!("Etc/GMT-{ahead}"),
        0 => "UTC".to_owned(),
        behind if behind >= -12 => format!("Etc/GMT+{}", -behind),
        behind => format!("Etc/GMT-{}", 24 + behind),
    }
}

#[tokio::test]
async fn a_budget_that_will_not_last_is_told_ahead_and_once() {
    let pareto = Pareto::start(&format!(
        "limits: [{{name: daily, per: tenant, requests: 10/day, zone: {}, alert: {{at: [100%], webhook: '{{origin}}/v1/echo'}}}}]",
        morning()
    ))
    .await;
    // Eight of ten by eleven at the latest: at this pace the rest is used by 13:45.
    for number in 0..8 {
        assert_eq!(ask(&pareto, "acme", &format!("{number}")).await.status, 200);
    }
    told(&pareto, "delivered", 1.0).await;
    let told_of = posted(&pareto).remove(0).json();
    assert_eq!(told_of["type"], "budget.forecast", "{told_of}");
    let exhausted: jiff::Timestamp = told_of["exhausted_at"].as_str().unwrap().parse().unwrap();
    let end: jiff::Timestamp = told_of["window"]["until"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now() < exhausted && exhausted < end, "{told_of}");
    let shown = super::count(&pareto, "acme", "requests").await;
    let shown: jiff::Timestamp = shown["exhausted_at"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now() < shown && shown < end);
}
