//! Rules for requests that pass unread: they are refused, or go on as they came.

use http::request::Parts;

use crate::config::Mode;
use crate::config::rule::Verdict;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::request::identity::Identity;
use crate::rules::Asked;

/// A refusal of a request that would have passed unread, and the rule that refuses.
pub struct Refusal {
    /// What the client is told.
    pub error: ApiError,
    /// The rule's name.
    pub rule: std::sync::Arc<str>,
}

impl Gateway {
    /// Whether a rule refuses a request that is not read.
    pub fn refuses(&self, head: &Parts) -> Option<Refusal> {
        let rules = self.rules.as_ref().filter(|rules| rules.meet_unread())?;
        let identity = Identity::of(head, &self.config.tenants.identify, &self.kept.secret.load());
        let mode = self.config.features.rules.mode(identity.hash());
        if mode == Mode::Skip {
            return None;
        }
        let case = rules.case(Asked {
            endpoint: None,
            method: &head.method,
            path: head.uri.path(),
            headers: &head.headers,
            tenant: &identity.tenant,
            model: None,
            stream: false,
            body: None,
            now: self.io.clock.wall(),
        });
        let rule = case.holding().next()?;
        self.kept
            .telemetry
            .ruled(&rule.name, if mode == Mode::Act { super::kind(&rule.then) } else { "observed" });
        match &rule.then.verdict {
            Some(Verdict::Deny { status, message }) if mode == Mode::Act => {
                Some(Refusal { error: ApiError::denied(*status, message.clone()), rule: rule.name.clone() })
            }
            _ => None,
        }
    }
}
