//! The operators' listener: health, metrics, configuration, purge.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use serde_json::{Value, json};

use super::{Reloader, Shared, body, counts, explain, providers};
use crate::cache::Purge;
use crate::config::Problem;
use crate::limits::ledger::Lost;
use crate::telemetry::readings::Readings;

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bytes that a described request may have beside its body.
const MORE_THAN_BODY: u64 = 64 * 1024;

/// Answers operators.
pub struct Admin {
    shared: Arc<Shared>,
    reloader: Arc<Reloader>,
}

/// An answer before it is framed.
struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: String,
}

impl Admin {
    /// Answers for `shared`; `POST /reload` goes to `reloader`.
    pub fn new(shared: Arc<Shared>, reloader: Arc<Reloader>) -> Self {
        Self { shared, reloader }
    }

    async fn answer(&self, head: &Parts) -> Answer {
        let path = head.uri.path();
        let open = matches!(path, "/healthz" | "/readyz");
        if !open && let Some(refusal) = self.refusal(head) {
            return refusal;
        }
        let query = head.uri.query().unwrap_or_default();
        match (&head.method, path) {
            (&Method::GET | &Method::HEAD, "/healthz") => Answer::text(StatusCode::OK, "ok\n"),
            (&Method::GET | &Method::HEAD, "/readyz") if self.shared.is_draining() => {
                Answer::text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            (&Method::GET | &Method::HEAD, "/readyz") => Answer::text(StatusCode::OK, "ready\n"),
            (&Method::GET | &Method::HEAD, "/metrics") => self.metrics(),
            (&Method::GET | &Method::HEAD, "/config") => self.config(),
            (&Method::GET | &Method::HEAD, "/") => Answer::text(
                StatusCode::OK,
                "pareto\n\nGET /metrics\nGET /healthz\nGET /readyz\nGET /config\nGET /providers\nGET /limits?name=\nDELETE /limits/{name}?tenant=\nPOST /reload\nPOST /explain\nDELETE /cache?tenant=&model=&key=&tag=\n",
            ),
            (&Method::GET | &Method::HEAD, "/limits") => self.limits(query).await,
            (&Method::DELETE, _) if path.starts_with("/limits/") => {
                self.reset(&path["/limits/".len()..], query).await
            }
            (&Method::GET | &Method::HEAD, "/providers") => self.providers(),
            (&Method::POST, "/reload") => self.reload().await,
            (&Method::DELETE, "/cache") => self.purge(query),
            (
                _,
                "/" | "/healthz" | "/readyz" | "/metrics" | "/config" | "/providers" | "/limits" | "/reload"
                | "/explain" | "/cache",
            ) => Answer::problem(StatusCode::METHOD_NOT_ALLOWED, "This path has another method; see GET /."),
            _ => Answer::problem(
                StatusCode::NOT_FOUND,
                "There is no such path; see GET / for those there are.",
            ),
        }
    }

    /// Why this caller may not, where it may not. With a token, whoever has it may. Without one the
    /// listener is on loopback, and then a web page in the operator's own browser must not get
    /// through: neither by a name that points here (its `Host` is a name) nor by a form (it has an
    /// `Origin`).
    fn refusal(&self, head: &Parts) -> Option<Answer> {
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(token) = &self.shared.gateway.load().config.admin.token {
            let given = header(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
            let known = given.is_some_and(|given| token.matches(given));
            return (!known).then(|| {
                Answer::problem(
                    StatusCode::UNAUTHORIZED,
                    "Send `Authorization: Bearer` with the token of `admin.token`.",
                )
            });
        }
        let local = header(HOST).is_none_or(is_address_or_localhost);
        let from_page = header(ORIGIN).is_some() && head.method != Method::GET;
        (!local || from_page).then(|| {
            Answer::problem(
                StatusCode::FORBIDDEN,
                "Without `admin.token`, only direct calls by address are answered.",
            )
        })
    }

    fn metrics(&self) -> Answer {
        let gateway = self.shared.gateway.load();
        let kept = gateway.kept();
        let lower = kept.tiers.lower().unwrap_or_default();
        let readings = Readings {
            cache_entries: kept.cache.entries() + kept.vectors.entries(),
            cache_bytes: kept.cache.bytes(),
            tiers: lower.tiers,
            refused: lower.refused,
            skipped: lower.skipped,
            locks: kept
                .shared
                .as_ref()
                .map(|shared| (shared.attempts(), shared.failures()))
                .unwrap_or_default(),
            breakers: gateway.router().breakers(tokio::time::Instant::now()),
            breakers_shared: gateway
                .kept()
                .healths
                .shared()
                .map(|shared| shared.counted().into())
                .unwrap_or_default(),
            limit_waiters: kept.limits.waiting(),
            ledger: kept
                .limits
                .sharing()
                .map_or((0, 0, 0), |sharing| (sharing.sidecars, sharing.alone, sharing.errors)),
            budgets: kept.limits.budgets(),
            vector_bytes: kept.vectors.bytes(),
            cache_evictions: kept.cache.evictions() + kept.vectors.evictions(),
            batch_waiting: gateway.gathering(),
            flight_waiters: kept.waiters(),
            burst_waiters: kept.bursts.waiting(),
            connections: self.shared.connections.active_by_provider(),
            connections_opened: self.shared.connections.opened_total(),
            connections_reused: self.shared.connections.reused_total(),
        };
        let metrics = &kept.telemetry.metrics;
        metrics.active.set(i64::try_from(self.shared.active()).unwrap_or(i64::MAX));
        match metrics.text(&readings) {
            Ok(body) => Answer { status: StatusCode::OK, kind: METRICS_TYPE, body },
            Err(error) => Answer::problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    fn providers(&self) -> Answer {
        let gateway = self.shared.gateway.load();
        Answer::json(StatusCode::OK, &providers::shown(&gateway, tokio::time::Instant::now()))
    }

    fn config(&self) -> Answer {
        let effective = self.shared.gateway.load().config.effective();
        let rejected = self.shared.rejected.load();
        Answer::json(
            StatusCode::OK,
            &json!({"config": effective, "rejected": rejected.as_ref().as_ref().map(|found| listed(found))}),
        )
    }

    async fn reload(&self) -> Answer {
        let reloader = self.reloader.clone();
        match tokio::task::spawn_blocking(move || reloader.reload()).await {
            Ok(Ok(restart)) => {
                Answer::json(StatusCode::OK, &json!({"result": "applied", "needs_restart": restart}))
            }
            Ok(Err(problems)) => Answer::json(
                StatusCode::UNPROCESSABLE_ENTITY,
                &json!({"result": "rejected", "problems": listed(&problems)}),
            ),
            Err(_) => Answer::problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The reload broke off; the old configuration is in force.",
            ),
        }
    }

    /// Says what would happen to the request that the body describes, as text for who asks for that.
    async fn explain(&self, session: &mut ServerSession) -> Answer {
        let head = session.req_header();
        if let Some(refusal) = self.refusal(head) {
            return refusal;
        }
        let accept = head.headers.get(ACCEPT).map(http::HeaderValue::as_bytes);
        let text = accept.is_some_and(|accept| accept.starts_with(b"text/plain"));
        let gateway = self.shared.gateway.load_full();
        // What is described is about as large as what may be sent.
        let most = gateway.config.max_body.saturating_add(MORE_THAN_BODY);
        let body = match body::read(session, most, gateway.config.client.body).await {
            Ok(body::Body::Whole(body)) => body,
            Ok(body::Body::Refused(error)) => return Answer::problem(error.status, &error.message),
            Err(error) => return Answer::problem(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        let explained = match explain::described(&body) {
            Ok(described) => gateway.explain(described).await,
            Err(wrong) => Err(wrong),
        };
        match explained {
            Ok(said) if text => Answer::text(StatusCode::OK, &said.to_string()),
            Ok(said) => Answer::json(StatusCode::OK, &said.json()),
            Err(wrong) => Answer::problem(StatusCode::BAD_REQUEST, &wrong),
        }
    }

    async fn limits(&self, query: &str) -> Answer {
        let gateway = self.shared.gateway.load_full();
        Answer::json(StatusCode::OK, &counts::shown(&gateway, parameter(query, "name").as_deref()).await)
    }

    /// Forgets what was used of a limit, by all or by one tenant.
    async fn reset(&self, name: &str, query: &str) -> Answer {
        let name = percent_decoded(name);
        let tenant = parameter(query, "tenant");
        let kept = self.shared.gateway.load().kept().clone();
        match kept.limits.reset(&name, tenant.as_deref()).await {
            Ok(Some(count)) => {
                tracing::info!(limit = name, tenant, count, "limit reset");
                Answer::json(StatusCode::OK, &json!({"reset": count}))
            }
            Err(Lost) => Answer::problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "What limits count cannot be reached now; nothing was reset.",
            ),
            Ok(None) => {
                Answer::problem(StatusCode::NOT_FOUND, "There is no limit of this name; see GET /limits.")
            }
        }
    }

    fn purge(&self, query: &str) -> Answer {
        let mut purge = Purge::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let field = match &*name {
                "tenant" => &mut purge.tenant,
                "model" => &mut purge.model,
                "key" => &mut purge.key,
                "tag" => &mut purge.tag,
                _ => {
                    let detail = format!(
                        "`{name}` is not something to purge by; there are tenant, model, key and tag."
                    );
                    return Answer::problem(StatusCode::BAD_REQUEST, &detail);
                }
            };
            // `?tenant=` without a value is a mistake in a script, not a wish to purge everything.
            if value.is_empty() {
                return Answer::problem(
                    StatusCode::BAD_REQUEST,
                    &format!("`{name}` has no value; leave it out to purge whatever its {name}."),
                );
            }
            *field = Some(value.into_owned());
        }
        let described = format!("{purge:?}");
        let removed = self.shared.gateway.load().kept().purge(purge);
        tracing::info!(removed, purge = described, "cache purged");
        Answer::json(StatusCode::OK, &json!({"removed": removed}))
    }
}

impl Answer {
    fn text(status: StatusCode, body: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.to_owned() }
    }

    fn json(status: StatusCode, body: &Value) -> Self {
        Self { status, kind: "application/json", body: format!("{body:#}\n") }
    }

    /// RFC 9457.
    fn problem(status: StatusCode, detail: &str) -> Self {
        let title = status.canonical_reason().unwrap_or_default();
        let body = json!({"title": title, "status": status.as_u16(), "detail": detail});
        Self { status, kind: "application/problem+json", body: format!("{body}\n") }
    }
}

/// The value of a query's parameter.
fn parameter(query: &str, name: &str) -> Option<String> {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(given, _)| given == name);
    found.map(|(_, value)| value.into_owned())
}

/// A part of a path as it is meant: names of limits may have a colon, which some clients escape.
fn percent_decoded(part: &str) -> String {
    let plus = part.replace('+', "%2B");
    form_urlencoded::parse(plus.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

fn listed(problems: &[Problem]) -> Value {
    problems.iter().map(ToString::to_string).collect()
}

/// Whether a `Host` names this machine in a way that no foreign name server can.
fn is_address_or_localhost(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let answer = if head.method == Method::POST && head.uri.path() == "/explain" {
            self.explain(session).await
        } else {
            self.answer(head).await
        };
        let body = answer.body.into_bytes();
        let mut response = Response::builder()
            .status(answer.status)
            .header(CONTENT_TYPE, answer.kind)
            .header(CONTENT_LENGTH, body.len())
            .header("cache-control", "no-store");
        if answer.status == StatusCode::UNAUTHORIZED {
            response = response.header(WWW_AUTHENTICATE, "Bearer");
        }
        response.body(body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_that_no_name_server_answers_for_is_local() {
        for host in ["127.0.0.1:9090", "localhost:9090", "[::1]:9090", "10.0.0.1", "LOCALHOST"] {
            assert!(is_address_or_localhost(host), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:9090", "localhost.evil.example", ""] {
            assert!(!is_address_or_localhost(host), "{host}");
        }
    }
}
