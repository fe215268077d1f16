//! An embedding request, input by input: what is stored is found, what is being fetched is shared,
//! and only the rest is asked of the provider.

mod answer;
mod call;
mod gather;
mod order;
mod packing;
mod seats;
mod stored;
mod text;
mod toll;

use std::sync::Arc;

use super::Gateway;
use super::decide::Decision;
use super::head::Served;
use crate::config::Mode;
use crate::embedding::input::Asked;
use crate::embedding::key::Keys;
use crate::embedding::pending::Pending;
use crate::embedding::stored::Vector;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::request::ApiRequest;
use crate::request::key::CacheKey;

pub use call::Reply;
pub use gather::Groups;
pub use stored::Looking;
pub(super) use text::Caller;
pub(super) use toll::Tolls;

/// What became of an input.
#[derive(Clone)]
pub enum Outcome {
    /// Its vector came with this reply.
    Vector(Arc<Vector>, Arc<Reply>),
    /// The provider said no, or something that holds no vectors: the caller hears it as it is.
    AsIs(Arc<Reply>),
    /// The call failed.
    Failed(ApiError),
}

/// An embedding request taken apart, and the key of each of its inputs.
pub(super) struct ByInput<'b> {
    pub(super) asked: Asked<'b>,
    pub(super) keys: Vec<CacheKey>,
}

/// The inputs being fetched.
pub type Fetching = Arc<Pending<Outcome>>;

impl Gateway {
    /// Serves an embedding request input by input. `None` where it is not one, or is of a form that is
    /// better sent as it is.
    pub(super) async fn embed(
        self: &Arc<Self>,
        request: &ApiRequest<'_>,
        decision: &Decision,
        exchange: &mut Exchange,
    ) -> Option<Result<Served, ApiError>> {
        let ByInput { asked, keys } = self.by_input(request, decision)?;
        exchange.provider = Some(decision.route.embedder(request.endpoint).account.name.clone());
        exchange.key = keys.first().copied();
        Some(match self.vectors(request, decision, &asked, &keys, Some(exchange)).await {
            Ok(found) => self.answer(&asked, decision, found, exchange).await,
            Err(seats::Unembedded::AsIs(reply)) => Ok(self.as_is(decision, &reply, exchange)),
            Err(seats::Unembedded::Failed(error)) => Err(error),
        })
    }

    /// A request taken apart that is served input by input; `None` where it is served whole.
    pub(super) fn by_input<'b>(
        &self,
        request: &'b ApiRequest<'_>,
        decision: &Decision,
    ) -> Option<ByInput<'b>> {
        let plan = &decision.plan;
        let acts = [plan.cache.mode, plan.coalesce, plan.batch].iter().any(|mode| *mode != Mode::Skip);
        if !request.endpoint.embeds() || !acts || plan.bypass.is_some() {
            return None;
        }
        let asked = Asked::read(request.endpoint, &request.body)?;
        let keys = self.input_keys(request, decision, &asked)?;
        Some(ByInput { asked, keys })
    }

    /// The key of each input; `None` where one is not JSON as we know it.
    fn input_keys(&self, request: &ApiRequest, decision: &Decision, asked: &Asked) -> Option<Vec<CacheKey>> {
        let target = decision.route.embedder(request.endpoint);
        let asks = (&*target.account.id, target.asked(request.model()));
        let keys = Keys::new(request, asked, asks, self.config.cache.share, &self.kept.secret.load());
        asked.inputs.iter().map(|input| keys.of(input)).collect()
    }
}
