//! The vector of one text for pareto's own use, by the same way as a client's.

use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use serde_json::json;

use super::seats::Unembedded;
use crate::embedding::input::Asked;
use crate::embedding::vector::Floats;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::gateway::decide::Decision;
use crate::gateway::ruling::Overrides;
use crate::request::ApiRequest;
use crate::request::cache_control::CacheControl;
use crate::request::endpoint::Endpoint;

impl Gateway {
    /// The vector of `text` by `model` of the first provider that speaks OpenAI's API, asked with the
    /// credential of `request`: found among the stored ones, shared with whoever fetches it, gathered
    /// with others. What rules and similarity compare texts by; a caller must do without where it
    /// fails.
    ///
    /// # Errors
    /// The provider cannot be reached, refuses, or answers with something else than one vector.
    pub async fn vector_of(
        self: &Arc<Self>,
        request: &ApiRequest<'_>,
        model: &str,
        text: &str,
    ) -> Result<Floats, ApiError> {
        let body =
            Bytes::from(json!({"model": model, "input": text, "encoding_format": "base64"}).to_string());
        let mut head = request.head.clone();
        head.uri = Uri::from_static("/v1/embeddings");
        let asks = ApiRequest {
            endpoint: Endpoint::Embeddings,
            head: &head,
            facts: self.kept.memo.facts(Endpoint::Embeddings, &body),
            body: body.clone(),
            identity: request.identity.clone(),
            control: CacheControl::default(),
            retries: 0,
        };
        let decision: Decision = self.decide(&asks, Overrides::default())?;
        let unread = || ApiError::unavailable("A text could not be written as a request for its embedding.");
        let asked = Asked::read(Endpoint::Embeddings, &body).ok_or_else(unread)?;
        let keys = self.input_keys(&asks, &decision, &asked).ok_or_else(unread)?;
        match self.vectors(&asks, &decision, &asked, &keys, None).await {
            Ok(found) => found.vectors.first().map(|(vector, _)| vector.floats.clone()).ok_or_else(unread),
            Err(Unembedded::Failed(error)) => Err(error),
            Err(Unembedded::AsIs(reply)) => {
                let what = format!("status {} to an embedding", reply.head.status.as_u16());
                Err(ApiError::broken_answer(&reply.head.provider, &what))
            }
        }
    }
}
