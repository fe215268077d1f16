//! What a rule says in a provider's place.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use crate::config::rule::Verdict;
use crate::error::ApiError;
use crate::exchange::{Exchange, Outcome};
use crate::gateway::Gateway;
use crate::gateway::head::{Note, Served};
use crate::request::ApiRequest;
use crate::response::Body;
use crate::response::headers::{EVENT_STREAM, JSON};
use crate::rules::answer::{self, Envelope};

/// What an id of our own begins with behind the API's own prefix. What follows `_` behind its number
/// is the response that the answered request went on from.
pub(super) const OWN: &str = "pareto_";

impl Gateway {
    /// Answers or refuses as a rule says.
    ///
    /// # Errors
    /// The refusal.
    pub(in crate::gateway) fn pronounce(
        &self,
        verdict: &Verdict,
        request: &ApiRequest,
        exchange: &mut Exchange,
    ) -> Result<Served, ApiError> {
        exchange.outcome = Outcome::Rule;
        let body = match verdict {
            Verdict::Deny { status, message } => return Err(ApiError::denied(*status, message.clone())),
            Verdict::NoResults => Some(answer::no_results(&request.body)),
            Verdict::Say(text) => self.saying(text, request),
            Verdict::EmbeddingOf(_) => None,
        };
        let broken = || ApiError::unavailable("A rule has no answer of this API's form.");
        let body = Bytes::from(body.ok_or_else(broken)?.to_string());
        let view = self.view(request);
        let (kind, body) = match view.stream {
            true => (EVENT_STREAM, view.unfolded(&body).map_err(|_| broken())?),
            false => (JSON, body),
        };
        Ok(Served {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, kind)]),
            body: Body::Whole(body),
            note: Note::Rule,
            age: None,
            model: None,
            attempts: 0,
        })
    }

    fn saying(&self, text: &str, request: &ApiRequest) -> Option<serde_json::Value> {
        let number = self.kept.telemetry.request_id();
        let number = number.to_str().unwrap_or_default().trim_start_matches("req_pareto_");
        let continued = super::rewrite::continued(request).map(|id| format!("_{id}")).unwrap_or_default();
        let envelope = Envelope {
            id: &format!("{OWN}{number}{continued}"),
            created: self.io.clock.unix().as_secs(),
            model: request.model().unwrap_or_default(),
            choices: request.facts.choices,
            asked: &request.body,
        };
        answer::saying(request.endpoint, text, &envelope)
    }
}
