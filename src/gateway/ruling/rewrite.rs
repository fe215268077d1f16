//! A request as a rule wants it to be.

use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use http::request::Parts;

use super::answer::OWN;
use crate::config::rule::{Action, Verdict};
use crate::gateway::Gateway;
use crate::json::{member_span, with_member, without_member};
use crate::request::ApiRequest;
use crate::request::endpoint::{Endpoint, Family, gemini_model};
use crate::request::facts::Facts;
use crate::rules::{edit, stand_in};

/// What differs in a request that goes on changed. Its facts are those of the new body, so that its
/// key is that of what is sent.
pub(in crate::gateway) struct Rewritten {
    head: Option<Parts>,
    body: Bytes,
    facts: Arc<Facts>,
}

impl Rewritten {
    /// The request changed.
    pub(in crate::gateway) fn of<'h>(&'h self, request: &ApiRequest<'h>) -> ApiRequest<'h> {
        ApiRequest {
            head: self.head.as_ref().unwrap_or(request.head),
            body: self.body.clone(),
            facts: self.facts.clone(),
            endpoint: request.endpoint,
            identity: request.identity.clone(),
            control: request.control,
            retries: request.retries,
        }
    }
}

impl Gateway {
    /// The request to go on with; `None` where it is the one that came.
    pub(in crate::gateway) async fn rewritten(
        &self,
        action: Option<&Action>,
        request: &ApiRequest<'_>,
    ) -> Option<Box<Rewritten>> {
        let mut body = None;
        let mut head = None;
        if let Some(action) = action.filter(|_| !request.facts.is_unread()) {
            let in_body = request.endpoint.family() != Family::Gemini;
            body = edit::edited(action, &request.body, in_body);
            if let Some(model) = action.model.as_deref().filter(|_| !in_body) {
                head = at_model(request.head, model);
                let now = body.as_deref().unwrap_or(&request.body);
                body = edit::model_of_gemini(now, model).or(body);
            }
            if let Some(Verdict::EmbeddingOf(text)) = &action.verdict {
                body = stand_in::asking_for(request.endpoint, &request.body, text);
            }
        }
        if request.endpoint == Endpoint::Responses {
            body = from_the_providers_own(body.as_deref().unwrap_or(&request.body)).or(body);
        }
        if body.is_none() && head.is_none() {
            return None;
        }
        let body = body.map_or_else(|| request.body.clone(), Bytes::from);
        let facts = self.facts(request.endpoint, &body).await;
        Some(Box::new(Rewritten { head, body, facts }))
    }
}

/// A Gemini request's head with another model in its path.
fn at_model(head: &Parts, model: &str) -> Option<Parts> {
    let path = head.uri.path();
    let (old, method) = gemini_model(path)?;
    let before = path.strip_suffix(&format!("{old}:{method}"))?;
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut changed = head.clone();
    changed.uri = format!("{before}{model}:{method}{query}").parse::<Uri>().ok()?;
    Some(changed)
}

/// The response that a request goes on from, as the provider knows it.
pub(super) fn continued(request: &ApiRequest) -> Option<String> {
    let previous = previous(&request.body).filter(|_| request.endpoint == Endpoint::Responses)?;
    match previous.strip_prefix("resp_").and_then(|id| id.strip_prefix(OWN)) {
        Some(own) => own.split_once('_').map(|(_, before)| before.to_owned()),
        None => Some(previous),
    }
}

/// A request that goes on from an answer of a rule's, which the provider has never heard of: it goes on
/// from what came before that.
fn from_the_providers_own(body: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(body, b"resp_pareto_")?;
    let previous = previous(body)?;
    let own = previous.strip_prefix("resp_")?.strip_prefix(OWN)?;
    match own.split_once('_') {
        Some((_, before)) => with_member(body, "previous_response_id", &serde_json::to_vec(before).ok()?),
        None => without_member(body, "previous_response_id"),
    }
}

fn previous(body: &[u8]) -> Option<String> {
    let span = member_span(body, "previous_response_id")?;
    serde_json::from_slice(&body[span.value]).ok()
}
