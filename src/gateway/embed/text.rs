//! The vectors of texts for pareto's own use, by the same way as a client's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Uri, header};
use serde_json::json;

use super::seats::Unembedded;
use crate::config::{Dialect, Mode};
use crate::embedding::input::Asked;
use crate::embedding::vector::Floats;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::gateway::decide::Decision;
use crate::gateway::ruling::Overrides;
use crate::request::ApiRequest;
use crate::request::cache_control::CacheControl;
use crate::request::endpoint::{Endpoint, Family};
use crate::request::identity::{CREDENTIAL_FIELDS, Identity};
use crate::request::key::CacheKey;
use crate::request::plan::CachePlan;

/// How long vectors are kept where clients' own are not.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// In whose name texts are embedded. Owned: whoever caused it may leave.
pub(in crate::gateway) struct Caller {
    head: Parts,
    identity: Identity,
    family: Family,
    /// The account that the request itself is for, and so its credential.
    account: Option<Box<str>>,
}

impl Gateway {
    /// Whoever sent `request`; of its headers, only the credential.
    pub(in crate::gateway) fn caller(&self, request: &ApiRequest) -> Caller {
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.method = Method::POST;
        head.uri = Uri::from_static("/v1/embeddings");
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for name in &CREDENTIAL_FIELDS {
            for value in request.head.headers.get_all(name) {
                head.headers.append(name, value.clone());
            }
        }
        let family = request.endpoint.family();
        let target = self.router.route(family, request.model()).and_then(|route| route.targets.first());
        let account = target.map(|target| target.account.id.clone());
        Caller { head, identity: request.identity.clone(), family, account }
    }

    /// The vectors of `texts` by `model` of the provider that OpenAI's API would be asked of, in their
    /// order, each with the key it is stored under: found, shared with whoever fetches it, gathered with
    /// others. What rules compare texts by; a caller must do without where it fails.
    ///
    /// # Errors
    /// The provider cannot be reached or asked with the caller's key, refuses, or does not answer with
    /// one vector for each text.
    pub(in crate::gateway) async fn vectors_of(
        self: &Arc<Self>,
        caller: &Caller,
        model: &str,
        texts: &[String],
    ) -> Result<Vec<(CacheKey, Floats)>, ApiError> {
        let asks = self.asking(caller, model, texts);
        let decision = self.decided(caller, &asks)?;
        let asked = Asked::read(Endpoint::Embeddings, &asks.body).ok_or_else(unread)?;
        let keys = self.input_keys(&asks, &decision, &asked).ok_or_else(unread)?;
        match self.vectors(&asks, &decision, &asked, &keys, None).await {
            Ok(found) => {
                let floats = |place: &usize| found.vectors[*place].0.floats.clone();
                Ok(keys.into_iter().zip(found.places.iter().map(floats)).collect())
            }
            Err(Unembedded::Failed(error)) => Err(error),
            Err(Unembedded::AsIs(reply)) => {
                let what = format!("status {} to an embedding", reply.head.status.as_u16());
                Err(ApiError::broken_answer(&reply.head.provider, &what))
            }
        }
    }

    /// The same of those that are stored; `None` where one is not. Nothing is sent.
    pub(in crate::gateway) fn known_vectors(
        &self,
        caller: &Caller,
        model: &str,
        texts: &[String],
    ) -> Option<Vec<(CacheKey, Floats)>> {
        let asks = self.asking(caller, model, texts);
        let decision = self.decided(caller, &asks).ok()?;
        let asked = Asked::read(Endpoint::Embeddings, &asks.body)?;
        let keys = self.input_keys(&asks, &decision, &asked)?;
        let find = |key: CacheKey| {
            let vector = self.fresh_vector(&key, &decision.plan.cache)?;
            Some((key, vector.floats.clone()))
        };
        keys.into_iter().map(find).collect()
    }

    fn asking<'c>(&self, caller: &'c Caller, model: &str, texts: &[String]) -> ApiRequest<'c> {
        let body = json!({"model": model, "input": texts, "encoding_format": "base64"});
        let body = Bytes::from(body.to_string());
        ApiRequest {
            endpoint: Endpoint::Embeddings,
            head: &caller.head,
            facts: self.kept.memo.facts(Endpoint::Embeddings, &body),
            body,
            identity: caller.identity.clone(),
            control: CacheControl::default(),
            retries: 0,
        }
    }

    /// Who is asked, and that what comes back is remembered, whatever clients may find.
    fn decided(&self, caller: &Caller, asks: &ApiRequest) -> Result<Decision, ApiError> {
        let mut decision = self.decide(asks, Overrides::default())?;
        let nobody =
            || ApiError::unavailable("No provider of embeddings can be asked with the caller's key.");
        let account = &decision.route.targets.first().ok_or_else(nobody)?.account;
        // A key for Anthropic's API is not shown to a provider of OpenAI's.
        let meant = caller.family == Family::OpenAi || caller.account.as_ref() == Some(&account.id);
        let has_key = meant || !account.provider.keys.is_empty();
        if account.provider.dialect != Dialect::Openai || !has_key {
            return Err(nobody());
        }
        let ttl = self.config.cache.embeddings_ttl;
        decision.plan.cache = CachePlan::own(if ttl.is_zero() { KEPT } else { ttl });
        decision.plan.coalesce = Mode::Act;
        Ok(decision)
    }
}

fn unread() -> ApiError {
    ApiError::unavailable("Texts could not be written as a request for their embeddings.")
}
