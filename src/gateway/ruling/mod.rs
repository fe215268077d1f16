//! Rules at work: which one decides for a request, and what becomes of it.

mod answer;
mod burst;
mod files;
mod floor;
mod passing;
mod rewrite;

use crate::config::Mode;
use crate::config::rule::{Action, CacheOverride, Rule, State, Verdict};
use crate::exchange::{Exchange, Observed};
use crate::gateway::{Gateway, READ_ASIDE};
use crate::request::ApiRequest;
use crate::request::content::Content;
use crate::rules::{Asked, Case, Rules};
use rewrite::Rewritten;

pub(super) use burst::Bursting;
pub use burst::Waiter;
pub use passing::Refusal;

/// What the rules make of one request. Without a rule that holds, nothing.
#[derive(Default)]
pub(super) struct Ruled {
    /// What takes the provider's place.
    pub(super) verdict: Option<Verdict>,
    /// What of the plan is otherwise than set.
    pub(super) overrides: Overrides,
    /// Results of a search that score less are not shown.
    pub(super) min_score: Option<f64>,
    /// Waits for a later request of the same conversation.
    pub(super) burst: Option<Box<Bursting>>,
    /// The request to go on with, where it is another.
    pub(super) rewritten: Option<Box<Rewritten>>,
}

/// What a rule changes in a request's plan.
#[derive(Clone, Copy, Default)]
pub(super) struct Overrides {
    /// What the cache does.
    pub(super) cache: CacheOverride,
    /// Shares no call.
    pub(super) alone: bool,
}

impl Gateway {
    /// Lets the rules decide about a request, and counts what they did.
    pub(super) async fn rule(
        &self,
        rules: &Rules,
        request: &ApiRequest<'_>,
        exchange: &mut Exchange,
    ) -> Ruled {
        let mode = self.config.features.rules.mode(request.identity.hash());
        if mode == Mode::Skip {
            return Ruled::default();
        }
        let deciding = self.deciding(rules, request).await;
        if let Some(rule) = deciding {
            self.kept
                .telemetry
                .ruled(&rule.name, if mode == Mode::Act { kind(&rule.then) } else { "observed" });
        }
        let Some(rule) = deciding.filter(|_| mode == Mode::Act) else {
            let answers = deciding.is_some_and(|rule| kind(&rule.then) == "answer");
            exchange.observed = answers.then_some(Observed::Rules);
            return Ruled { rewritten: self.rewritten(None, request).await, ..Ruled::default() };
        };
        exchange.rule = Some(rule.name.clone());
        exchange.tags = rule.then.tags.clone();
        self.ruled(rule, request).await
    }

    /// What the rule that decides makes of a request.
    pub(super) async fn ruled(&self, rule: &Rule, request: &ApiRequest<'_>) -> Ruled {
        let then = &rule.then;
        let overrides = Overrides { cache: then.cache, alone: then.alone };
        match &then.verdict {
            // The vector comes from where all vectors come from: only the question is another.
            Some(Verdict::EmbeddingOf(_)) | None => {
                let burst = then.burst.clone();
                let burst = burst.map(|settings| Box::new(Bursting { rule: rule.name.clone(), settings }));
                let rewritten = self.rewritten(Some(then), request).await;
                Ruled { verdict: None, overrides, min_score: then.min_score, burst, rewritten }
            }
            verdict => Ruled { verdict: verdict.clone(), overrides, ..Ruled::default() },
        }
    }

    /// The rule that decides about a request.
    pub(super) async fn deciding<'c>(&self, rules: &'c Rules, request: &ApiRequest<'_>) -> Option<&'c Rule> {
        let case = self.case(rules, request).await;
        for rule in case.holding() {
            if rule.state.is_empty() || self.finds(&rule.state, request).await {
                return Some(rule);
            }
        }
        None
    }

    /// Whether a retrieval is in the state that a rule is for. What cannot be found out does not hold.
    async fn finds(&self, state: &[State], request: &ApiRequest<'_>) -> bool {
        for condition in state {
            let holds = match condition {
                State::Files(most) => Box::pin(self.has_files(request, *most)).await,
            };
            if !holds {
                return false;
            }
        }
        true
    }

    /// Why a retrieval is not known to be in the state that a rule is for; nothing is sent to find out.
    pub(super) async fn unmet(&self, state: &[State], request: &ApiRequest<'_>) -> Option<String> {
        for condition in state {
            let unmet = match condition {
                State::Files(most) => self.too_many_files(request, *most),
            };
            if unmet.is_some() {
                return unmet;
            }
        }
        None
    }

    /// A request under the rules. What is said in a large one is read on a thread of its own.
    pub(super) async fn case<'c, 'r>(&self, rules: &'c Rules, request: &'r ApiRequest<'_>) -> Case<'c, 'r> {
        let head = request.head;
        let case = rules.case(Asked {
            endpoint: Some(request.endpoint),
            method: &head.method,
            path: head.uri.path(),
            headers: &head.headers,
            tenant: &request.identity.tenant,
            model: request.model(),
            stream: request.wants_stream(),
            body: (!request.facts.is_unread()).then_some(&*request.body),
            now: self.io.clock.wall(),
        });
        if request.body.len() <= READ_ASIDE || !rules.read_content(request.endpoint) {
            return case;
        }
        let (endpoint, body) = (request.endpoint, request.body.clone());
        match tokio::task::spawn_blocking(move || Content::read(endpoint, &body)).await {
            Ok(content) => case.having_read(content),
            Err(_) => case,
        }
    }
}

/// What an action does, in one word: a metric's label.
pub(super) fn kind(action: &Action) -> &'static str {
    match action {
        Action { verdict: Some(Verdict::Deny { .. }), .. } => "deny",
        Action { verdict: Some(_), .. } => "answer",
        Action { tags, .. } if *action == Action { tags: tags.clone(), ..Action::default() } => "tag",
        _ => "change",
    }
}
