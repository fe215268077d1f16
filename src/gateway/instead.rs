//! What a request gets that its budget has no room for: what is stored, another model, or a refusal.

use std::sync::Arc;

use super::Gateway;
use super::admission::Turned;
use super::decide::Decision;
use super::head::Served;
use crate::cache::Found;
use crate::config::rule::Action;
use crate::error::ApiError;
use crate::exchange::{Exchange, Outcome};
use crate::request::ApiRequest;

impl Gateway {
    /// Serves a request that a limit turned away as that limit says.
    pub(super) async fn instead(
        self: &Arc<Self>,
        request: &ApiRequest<'_>,
        decision: &Decision,
        turned: Turned,
        exchange: &mut Exchange,
    ) -> Result<Served, ApiError> {
        match turned {
            Turned::Away(error) => Err(error),
            Turned::ToCache(error) => self.whatever_is_stored(request, decision, exchange).ok_or(error),
            Turned::ToModel(model, error) => {
                if decision.instead || request.model() == Some(&*model) {
                    return Err(error);
                }
                let action = Action { model: Some((&*model).into()), ..Action::default() };
                let rewritten = self.rewritten(Some(&action), request).await.ok_or(error)?;
                let asked = rewritten.of(request);
                let decision = Decision { instead: true, ..self.decide(&asked, decision.overrides.clone())? };
                Box::pin(self.respond(&asked, &decision, exchange)).await
            }
        }
    }

    /// The stored answer, however old; `None` where there is none.
    fn whatever_is_stored(
        &self,
        request: &ApiRequest,
        decision: &Decision,
        exchange: &mut Exchange,
    ) -> Option<Served> {
        let key = decision.plan.key.filter(|_| decision.plan.cache.lookup)?;
        let Found { entry, tier } = self.kept.cache.find(&key)?;
        let body = entry.body(self.view(request)).ok()?;
        self.note_replay(exchange, &entry, Outcome::Stale);
        Some(self.replayed(request, &entry, body, self.io.clock.now(), tier))
    }
}
