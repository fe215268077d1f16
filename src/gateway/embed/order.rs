//! What one request sends for: everything a call needs, owned, since whoever asked may leave.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use super::Outcome;
use super::toll::Toll;
use crate::config::Share;
use crate::embedding::batch::Load;
use crate::embedding::input::{Api, Asked, Input};
use crate::embedding::pending::{Duty, Interest};
use crate::gateway::decide::Decision;
use crate::request::cache_control::CacheControl;
use crate::request::endpoint::Endpoint;
use crate::request::facts::Facts;
use crate::request::identity::{Identity, Secret};
use crate::request::key::CacheKey;
use crate::request::{ApiRequest, key};

/// One request as far as its calls need it.
pub(super) struct Order {
    pub(super) decision: Decision,
    pub(super) api: Api,
    pub(super) endpoint: Endpoint,
    pub(super) interest: Arc<Interest>,
    /// What it holds of its limits.
    pub(super) toll: Option<Arc<Toll>>,
    /// Where the purges of vectors stood when it came.
    pub(super) begun: u64,
    /// The body of a call up to its first input.
    pub(super) opening: Vec<u8>,
    /// The body as the client sent it.
    pub(super) body: Bytes,
    head: Parts,
    facts: Arc<Facts>,
    identity: Identity,
    retries: u32,
}

/// An input to be fetched.
pub(super) struct Piece {
    pub(super) key: CacheKey,
    pub(super) json: Vec<u8>,
    /// Its estimated tokens.
    pub(super) weight: u64,
    pub(super) duty: Duty<Outcome>,
}

/// The inputs that one request adds to one call.
pub(super) struct Leg {
    pub(super) order: Arc<Order>,
    pub(super) pieces: Vec<Piece>,
    /// They are all that the request asks, in its order: by itself it is sent as the client wrote it.
    pub(super) whole: bool,
}

impl Order {
    /// For `request`, decided so.
    pub(super) fn new(
        request: &ApiRequest,
        decision: &Decision,
        asked: &Asked,
        interest: Arc<Interest>,
        toll: Option<Arc<Toll>>,
        begun: u64,
    ) -> Self {
        let mut decision = decision.clone();
        // What comes back is stored by the input and not as an answer.
        decision.plan.key = None;
        Self {
            decision,
            api: asked.api,
            endpoint: request.endpoint,
            interest,
            toll,
            begun,
            opening: opening(asked),
            body: request.body.clone(),
            head: request.head.clone(),
            facts: request.facts.clone(),
            identity: request.identity.clone(),
            retries: request.retries,
        }
    }

    /// The request as the pipeline knows it, with the body of a call.
    pub(super) fn request(&self, body: Bytes) -> ApiRequest<'_> {
        ApiRequest {
            endpoint: self.endpoint,
            head: &self.head,
            body,
            facts: self.facts.clone(),
            identity: self.identity.clone(),
            control: CacheControl::default(),
            retries: self.retries,
        }
    }

    /// For whom it is.
    pub(super) fn tenant(&self) -> &str {
        &self.identity.tenant
    }

    /// What tells requests apart whose inputs may not go in one call: who asks, with which credential,
    /// of whom, and every member but the inputs.
    pub(super) fn group(&self, secret: &Secret) -> [u8; 32] {
        let request = self.request(Bytes::new());
        let mut parts = key::Parts::new(b"pareto batch 1");
        parts.whose(&request, &self.decision.route.id, Share::Credential);
        parts.part(self.identity.tenant.as_bytes());
        parts.part(self.head.uri.path().as_bytes());
        parts.part(&self.opening);
        parts.digest(secret)
    }
}

/// The body of a request for these inputs alone.
pub(super) fn body_for<'i>(asked: &Asked, inputs: impl Iterator<Item = &'i Input<'i>>) -> Bytes {
    let mut body = opening(asked);
    for (at, input) in inputs.enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend(input.json());
    }
    body.extend_from_slice(b"]}");
    body.into()
}

/// `{"model":…,"input":[`: all members but the inputs, and then those to come.
fn opening(asked: &Asked) -> Vec<u8> {
    let mut opening = vec![b'{'];
    for (name, value) in &asked.others {
        // A text has a JSON form.
        opening.extend(serde_json::to_vec(name).unwrap_or_default());
        opening.push(b':');
        opening.extend_from_slice(value.as_bytes());
        opening.push(b',');
    }
    opening.extend_from_slice(match asked.api {
        Api::OpenAi => br#""input":["#,
        Api::GeminiOne | Api::GeminiBatch => br#""requests":["#,
    });
    opening
}

impl Piece {
    /// To fetch `input`.
    pub(super) fn new(key: CacheKey, input: &Input, duty: Duty<Outcome>) -> Self {
        Self { key, json: input.json(), weight: input.estimate(), duty }
    }
}

impl Load for Leg {
    fn inputs(&self) -> usize {
        self.pieces.len()
    }

    fn tokens(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.weight).sum()
    }
}

/// The body of a call with these legs.
pub(super) fn body(legs: &[Leg]) -> Bytes {
    if let [only] = legs
        && only.whole
    {
        return only.order.body.clone();
    }
    let Some(first) = legs.first() else { return Bytes::new() };
    let mut body = first.order.opening.clone();
    let pieces = legs.iter().flat_map(|leg| &leg.pieces);
    for (at, piece) in pieces.enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&piece.json);
    }
    body.extend_from_slice(b"]}");
    body.into()
}
