//! How close a question is to what a rule's examples are about, or to what searches have found.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::config::Share;
use crate::config::relevance::Relevance;
use crate::gateway::Gateway;
use crate::gateway::embed::Caller;
use crate::gateway::head::{Note, Served};
use crate::request::ApiRequest;
use crate::request::endpoint::Endpoint;
use crate::request::plan::CachePlan;
use crate::response::Body;
use crate::response::search;
use crate::rules::Case;
use crate::rules::relevance::{Unscored, score, trusted};
use crate::rules::seen::{MOST_RESULTS, SeenKey};
use crate::text::LONGEST;

/// How long the vectors may take. They are there to save a call that takes about as long.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long nothing is embedded for rules after it took longer than that: a slow provider holds up
/// one moment's questions and not all.
const REST: Duration = Duration::from_secs(5);
/// Questions of one request; a search takes a list of them.
const MOST_QUESTIONS: usize = 8;

/// What is to be measured.
struct Weighing {
    caller: Caller,
    /// The questions, and behind them the examples of the rule.
    texts: Vec<String>,
    questions: usize,
    /// The vectors of what searches have found.
    seen: Vec<Vec<f32>>,
}

impl Gateway {
    /// How relevant what a request asks is; of several questions the most relevant counts.
    ///
    /// # Errors
    /// Why there is no score, or none that may be trusted.
    pub(super) async fn relevance(
        self: &Arc<Self>,
        relevance: &Relevance,
        request: &ApiRequest<'_>,
        case: &Case<'_, '_>,
    ) -> Result<f64, Unscored> {
        let Weighing { caller, texts, questions, seen } = self.weighing(relevance, request, case)?;
        let now = || self.io.clock.now();
        if self.kept.embedding_rests.lock().is_some_and(|until| now() < until) {
            return Err(Unscored::Slow);
        }
        let (gateway, model) = (self.clone(), relevance.model.clone());
        // Goes on by itself when it takes too long: then the next question finds the examples stored.
        let asked = tokio::spawn(async move { gateway.vectors_of(&caller, &model, &texts).await });
        let vectors = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Ok(vectors))) => vectors,
            Ok(_) => return Err(Unscored::Failed),
            Err(_) => {
                *self.kept.embedding_rests.lock() = Some(now() + REST);
                return Err(Unscored::Slow);
            }
        };
        let vectors = vectors.iter().map(|(_, floats)| floats.iter().collect()).collect();
        measured(relevance, vectors, questions, seen)
    }

    /// The same by what is stored; nothing is sent.
    ///
    /// # Errors
    /// As above, or that something is not stored.
    pub(super) fn known_relevance(
        &self,
        relevance: &Relevance,
        request: &ApiRequest,
        case: &Case,
    ) -> Result<f64, Unscored> {
        let Weighing { caller, texts, questions, seen } = self.weighing(relevance, request, case)?;
        let vectors = self.known_vectors(&caller, &relevance.model, &texts).ok_or(Unscored::Unknown)?;
        let vectors = vectors.iter().map(|(_, floats)| floats.iter().collect()).collect();
        measured(relevance, vectors, questions, seen)
    }

    /// What is to be measured, where a score of it can be trusted.
    fn weighing(
        &self,
        relevance: &Relevance,
        request: &ApiRequest,
        case: &Case,
    ) -> Result<Weighing, Unscored> {
        let mut texts = questions(request, case);
        let questions = texts.len();
        if !(1..=MOST_QUESTIONS).contains(&questions) || texts.iter().any(|text| text.len() > LONGEST) {
            return Err(Unscored::NoQuestion);
        }
        texts.iter().try_for_each(|question| trusted(relevance, question))?;
        let seen = if relevance.learns() { self.seen_vectors(relevance, request) } else { Vec::new() };
        let examples = relevance.examples.len() + seen.len();
        if examples < relevance.min_examples {
            return Err(Unscored::Examples(examples));
        }
        texts.extend(relevance.examples.iter().map(|example| example.to_string()));
        Ok(Weighing { caller: self.caller(request), texts, questions, seen })
    }

    /// The vectors of what searches of the request's store have found. One that made room for others in
    /// the store of vectors is missing.
    fn seen_vectors(&self, relevance: &Relevance, request: &ApiRequest) -> Vec<Vec<f32>> {
        let Some(key) = self.seen_key(&relevance.model, request) else { return Vec::new() };
        let now = self.io.clock.now();
        let plan = CachePlan::own(Duration::MAX);
        let found = self.kept.seen.found(&key, now);
        let vectors = found.iter().filter_map(|key| self.fresh_vector(key, &plan));
        vectors.map(|vector| vector.floats.iter().collect()).collect()
    }

    /// Never another tenant's, and another key's of one tenant only where they share answers too.
    fn seen_key(&self, model: &str, request: &ApiRequest) -> Option<SeenKey> {
        let share = self.config.cache.share;
        Some(SeenKey {
            tenant: request.identity.tenant.clone(),
            credential: (share == Share::Credential).then(|| request.credential()),
            account: self.reads_at(request)?.id.clone(),
            store: request.vector_store()?.into(),
            model: model.into(),
        })
    }

    /// Learns by `model` what a store is about from an answer to a search of it, behind the answer.
    pub(in crate::gateway) fn learn(self: &Arc<Self>, model: &str, request: &ApiRequest, served: &Served) {
        let fresh = matches!(served.note, Note::Miss { .. } | Note::NoCache { .. } | Note::Bypass(_));
        let Body::Whole(page) = &served.body else { return };
        if !fresh || !served.status.is_success() {
            return;
        }
        let Some(key) = self.seen_key(model, request) else { return };
        let Some(lesson) = self.kept.seen.learn(&key, self.io.clock.now()) else { return };
        let texts = search::texts(page, MOST_RESULTS);
        if texts.is_empty() {
            return;
        }
        let (gateway, caller) = (self.clone(), self.caller(request));
        tokio::spawn(async move {
            // Without vectors there is nothing to learn; the next answer may bring some.
            if let Ok(vectors) = gateway.vectors_of(&caller, &key.model, &texts).await {
                let keys = vectors.into_iter().map(|(key, _)| key);
                gateway.kept.seen.learned(key, &lesson, keys, gateway.io.clock.now());
            }
        });
    }
}

/// The score of the first `questions` of some vectors against the others and `seen`.
fn measured(
    relevance: &Relevance,
    mut vectors: Vec<Vec<f32>>,
    questions: usize,
    seen: Vec<Vec<f32>>,
) -> Result<f64, Unscored> {
    let mut examples = vectors.split_off(questions.min(vectors.len()));
    examples.extend(seen);
    let scores = vectors.iter().map(|question| score(question, &examples, relevance.by));
    let scores: Option<Vec<f64>> = scores.collect();
    scores.and_then(|scores| scores.into_iter().max_by(f64::total_cmp)).ok_or(Unscored::Failed)
}

#[derive(Deserialize)]
struct Search {
    query: Questions,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Questions {
    One(String),
    List(Vec<String>),
}

/// What a request asks, in words: the questions of a search, or what the user said last.
fn questions(request: &ApiRequest, case: &Case) -> Vec<String> {
    if request.endpoint != Endpoint::VectorStoreSearch {
        return case.question().map(str::to_owned).into_iter().collect();
    }
    match serde_json::from_slice(&request.body) {
        Ok(Search { query: Questions::One(question) }) => vec![question],
        Ok(Search { query: Questions::List(questions) }) => questions,
        Err(_) => Vec::new(),
    }
}
