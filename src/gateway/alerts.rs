//! What is told of budgets: to the log, the metrics and a webhook, behind the back of every request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;

use super::Gateway;
use crate::config::limit::{Alert, Limit, Measure};
use crate::config::quota::Dimension;
use crate::config::{Dialect, Http2, Provider, ProviderTimeouts, Secret};
use crate::io::upstream::Call;
use crate::limits::alert::{Alarm, Cause};
use crate::limits::ledger::Subject;
use crate::response::headers::{self, JSON};
use crate::response::price::Cost;

/// Says who sent it: `t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY`.
const SIGNATURE: HeaderName = HeaderName::from_static("x-pareto-signature");
/// Posts under way at the same time; one that will be tried again later is not.
const AT_ONCE: usize = 16;
/// Alerts on their way to a webhook, those that wait for another try included; what comes beyond is only
/// logged and counted as failed.
const MOST: usize = 1000;
/// How often one is tried, and how long after the first time; doubled each time.
const TRIES: u32 = 6;
const BACKOFF: Duration = Duration::from_secs(1);
/// For one try.
const TIMEOUTS: ProviderTimeouts = ProviderTimeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    total: Duration::from_secs(20),
};

/// Tells what comes on `alarms`, by the settings of the generation that `current` gives; ends when
/// nothing can come any more. `current` must not keep that generation: the counts it holds are what
/// alarms come from.
pub async fn tell(mut alarms: Receiver<Alarm>, current: impl Fn() -> Option<Arc<Gateway>>) {
    let (room, lines) = (Arc::new(Semaphore::new(MOST)), Arc::new(Semaphore::new(AT_ONCE)));
    while let Some(alarm) = alarms.recv().await {
        let Some(gateway) = current() else { return };
        let limit = gateway.config.limits.iter().find(|limit| *limit.name == *alarm.limit);
        let Some((limit, alert)) = limit.and_then(|limit| Some((limit, limit.alert.clone()?))) else {
            continue;
        };
        let told = Told::new(&alarm, limit, &gateway);
        tracing::warn!(limit = &*alarm.limit, subject = %told.subject, alert = told.kind, "{}", told.message);
        let count = |gateway: &Gateway, limit: &str, result| {
            gateway.kept.telemetry.metrics.limit_alerts.with_label_values(&[limit, result]).inc();
        };
        count(&gateway, &alarm.limit, "logged");
        let Some(hook) = hook(&alert) else { continue };
        // Whoever is told next must not wait for a webhook that hangs.
        let Ok(place) = room.clone().try_acquire_owned() else {
            tracing::error!(webhook = %hook.url, "an alert was not posted: too many are on their way");
            count(&gateway, &alarm.limit, "failed");
            continue;
        };
        let lines = lines.clone();
        tokio::spawn(async move {
            let result = gateway.post(&hook, alert.secret.as_ref(), &told.body, &lines).await;
            count(&gateway, &alarm.limit, result);
            drop(place);
        });
    }
}

/// An alarm in words and as JSON.
struct Told {
    kind: &'static str,
    subject: Value,
    message: String,
    body: Bytes,
}

impl Told {
    fn new(alarm: &Alarm, limit: &Limit, gateway: &Gateway) -> Self {
        let amount = |amount: u64| match alarm.measure {
            Measure::Usd => Value::from(Cost::from_pico_usd(amount).to_string()),
            _ => amount.into(),
        };
        let subject = subject_of(limit, &alarm.subject);
        let unit = alarm.measure.name();
        let (kind, share, exhausted, message) = match alarm.cause {
            Cause::Share(share) => {
                let message = format!("{share}% of the budget `{}` is used ({unit})", limit.name);
                ("budget.share", Some(share), None, message)
            }
            Cause::Forecast(at) => {
                let at = time(at);
                let message = format!("at this pace the budget `{}` is used up by {at} ({unit})", limit.name);
                ("budget.forecast", None, Some(at), message)
            }
        };
        let body = json!({
            "type": kind,
            "limit": &*alarm.limit,
            "subject": subject,
            "measure": unit,
            "share": share,
            "exhausted_at": exhausted,
            "used": amount(alarm.used),
            "quota": amount(alarm.quota),
            "window": {"from": time(alarm.window.start), "until": time(alarm.window.end)},
            "message": message,
            "sent_at": time(gateway.unix()),
        });
        Self { kind, subject, message, body: body.to_string().into() }
    }
}

/// The values of a limit's dimensions by their names.
pub fn subject_of(limit: &Limit, name: &str) -> Value {
    let names = limit.per.iter().map(Dimension::name);
    let values = name.split(Subject::BETWEEN).map(Value::from);
    Value::Object(names.zip(values).collect::<Map<_, _>>())
}

/// A time in seconds since 1970 as RFC 3339 has it, in UTC.
pub fn time(unix: i64) -> String {
    Timestamp::from_second(unix).map_or_else(|_| String::new(), |time| time.to_string())
}

/// Where an alert is posted to.
fn hook(alert: &Alert) -> Option<Arc<Provider>> {
    Some(Arc::new(Provider {
        name: "webhook".to_owned(),
        url: alert.webhook.clone()?,
        dialect: Dialect::Openai,
        keys: Vec::new(),
        responses: true,
        translate: false,
        http2: Http2::Auto,
        timeouts: TIMEOUTS,
    }))
}

impl Gateway {
    /// Seconds since 1970 UTC.
    fn unix(&self) -> i64 {
        i64::try_from(self.io.clock.unix().as_secs()).unwrap_or(i64::MAX)
    }

    /// Posts until it is taken, refused, or tried often enough: `delivered`, `refused` or `failed`.
    /// Each try takes one of `lines`.
    async fn post(
        &self,
        hook: &Arc<Provider>,
        secret: Option<&Secret>,
        body: &Bytes,
        lines: &Semaphore,
    ) -> &'static str {
        let mut pause = BACKOFF;
        for attempt in 1..=TRIES {
            let line = lines.acquire().await;
            let mut fields = HeaderMap::with_capacity(2);
            fields.insert(CONTENT_TYPE, JSON);
            if let Some(value) = secret.and_then(|secret| headers::text(signature(secret, self.unix(), body)))
            {
                fields.insert(SIGNATURE, value);
            }
            let call = Call {
                target: if hook.url.base_path.is_empty() {
                    "/".to_owned()
                } else {
                    hook.url.base_path.clone()
                },
                provider: hook.clone(),
                method: Method::POST,
                headers: fields,
                body: body.clone(),
            };
            let answered = tokio::time::timeout(TIMEOUTS.total, self.io.upstream.call(&call)).await;
            let problem = match answered {
                Ok(Ok(reply)) if reply.head.status.is_success() => return "delivered",
                Ok(Ok(reply)) if !is_passing(reply.head.status) => {
                    tracing::error!(webhook = %hook.url, status = reply.head.status.as_u16(), "an alert was refused");
                    return "refused";
                }
                Ok(Ok(reply)) => reply.head.status.to_string(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            drop(line);
            tracing::warn!(webhook = %hook.url, attempt, problem, "an alert was not taken");
            if attempt < TRIES {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        "failed"
    }
}

/// Whether another try may help.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

fn signature(secret: &Secret, unix: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(unix.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let digest: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={unix},v1={digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_time_and_body() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
        let secret = crate::config::Config::load(
            "admin: {token: secret}",
            &crate::config::Environment::fixed(&[], &[]),
        )
        .unwrap()
        .admin
        .token
        .unwrap();
        assert_eq!(
            signature(&secret, 1_700_000_000, b"{}"),
            "t=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
        );
    }
}
