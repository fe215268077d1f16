//! Rules at work: which one decides for a request, and what becomes of it.

mod answer;
mod burst;
mod files;
mod floor;
mod passing;
mod relevance;
mod rewrite;

use std::sync::Arc;

use crate::config::Mode;
use crate::config::rule::{Action, CacheOverride, Rule, State, Tags, Verdict};
use crate::exchange::{Exchange, Observed};
use crate::gateway::{Gateway, READ_ASIDE};
use crate::request::ApiRequest;
use crate::rules::relevance::Unscored;
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
    /// What a search finds is learned, by this embedding model.
    pub(super) learns: Option<Box<str>>,
}

/// The rule that decides, and what was found out on the way to it.
#[derive(Default)]
struct Deciding<'c> {
    rule: Option<&'c Rule>,
    learns: Option<&'c str>,
}

/// What a rule changes in a request's plan.
#[derive(Clone, Default)]
pub(super) struct Overrides {
    /// What the cache does.
    pub(super) cache: CacheOverride,
    /// Shares no call.
    pub(super) alone: bool,
    /// Takes this route of the file, by its place.
    pub(super) route: Option<usize>,
    /// Marks on the answer that is stored.
    pub(super) tags: Option<Tags>,
}

impl Gateway {
    /// Lets the rules decide about a request, and counts what they did.
    pub(super) async fn rule(
        self: &Arc<Self>,
        rules: &Arc<Rules>,
        request: &ApiRequest<'_>,
        exchange: &mut Exchange,
    ) -> Ruled {
        let mode = self.config.features.rules.mode(request.identity.hash());
        if mode == Mode::Skip {
            return Ruled::default();
        }
        let Deciding { rule: deciding, learns } = self.deciding(rules, request).await;
        let learns = learns.map(Box::from);
        if let Some(rule) = deciding {
            self.kept
                .telemetry
                .ruled(&rule.name, if mode == Mode::Act { kind(&rule.then) } else { "observed" });
        }
        let Some(rule) = deciding.filter(|_| mode == Mode::Act) else {
            let answers = deciding.is_some_and(|rule| kind(&rule.then) == "answer");
            exchange.observed = answers.then_some(Observed::Rules);
            return Ruled { rewritten: self.rewritten(None, request).await, learns, ..Ruled::default() };
        };
        exchange.rule = Some(rule.name.clone());
        exchange.tags.clone_from(&rule.then.tags);
        Ruled { learns, ..self.ruled(rule, request).await }
    }

    /// What the rule that decides makes of a request.
    pub(super) async fn ruled(&self, rule: &Rule, request: &ApiRequest<'_>) -> Ruled {
        let then = &rule.then;
        let overrides =
            Overrides { cache: then.cache, alone: then.alone, route: then.route, tags: then.tags.clone() };
        match &then.verdict {
            // The vector comes from where all vectors come from: only the question is another.
            Some(Verdict::EmbeddingOf(_)) | None => {
                let burst = then.burst.clone();
                let burst = burst.map(|settings| Box::new(Bursting { rule: rule.name.clone(), settings }));
                let rewritten = self.rewritten(Some(then), request).await;
                Ruled { overrides, min_score: then.min_score, burst, rewritten, ..Ruled::default() }
            }
            verdict => Ruled { verdict: verdict.clone(), overrides, ..Ruled::default() },
        }
    }

    /// The rule that decides about a request.
    async fn deciding<'c>(self: &Arc<Self>, rules: &'c Arc<Rules>, request: &ApiRequest<'_>) -> Deciding<'c> {
        let case = self.case(rules, request).await;
        let mut learns = None;
        for rule in case.holding() {
            if rule.state.is_empty() {
                return Deciding { rule: Some(rule), learns };
            }
            learns = rule.state.iter().find_map(State::learns).or(learns);
            if Box::pin(self.finds(rule, request, &case)).await {
                return Deciding { rule: Some(rule), learns };
            }
        }
        Deciding { rule: None, learns }
    }

    /// Whether a retrieval is in the state that a rule is for. What cannot be found out does not hold.
    async fn finds(self: &Arc<Self>, rule: &Rule, request: &ApiRequest<'_>, case: &Case<'_, '_>) -> bool {
        for condition in &rule.state {
            let holds = match condition {
                State::Files(most) => self.has_files(request, *most).await,
                State::Relevance(relevance) => {
                    let score = self.relevance(relevance, request, case).await;
                    self.kept.telemetry.scored(&rule.name, score.map_err(Unscored::name));
                    score.is_ok_and(|score| score < relevance.below)
                }
            };
            if !holds {
                return false;
            }
        }
        true
    }

    /// By what a retrieval is known to be in the state that a rule is for; nothing is sent to find out.
    ///
    /// # Errors
    /// Why it is not known to be.
    pub(super) fn known_state(
        &self,
        rule: &Rule,
        request: &ApiRequest,
        case: &Case,
    ) -> Result<Option<String>, String> {
        let mut by = None;
        for condition in &rule.state {
            match condition {
                State::Files(most) => self.too_many_files(request, *most).map_or(Ok(()), Err)?,
                State::Relevance(relevance) => {
                    let score = self.known_relevance(relevance, request, case);
                    let score = score.map_err(|unscored| unscored.words(relevance))?;
                    let below = relevance.below;
                    if score >= below {
                        return Err(format!("relevance is {score:.2}, not below {below}"));
                    }
                    by = Some(format!("relevance is {score:.2}, below {below}"));
                }
            }
        }
        Ok(by)
    }

    /// A request under the rules. What is said in a large one is read on a thread of its own.
    pub(super) async fn case<'c, 'r>(
        &self,
        rules: &'c Arc<Rules>,
        request: &'r ApiRequest<'_>,
    ) -> Case<'c, 'r> {
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
        let (endpoint, body, reader) = (request.endpoint, request.body.clone(), rules.clone());
        match tokio::task::spawn_blocking(move || reader.read(endpoint, &body)).await {
            Ok(reading) => case.having_read(reading),
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
