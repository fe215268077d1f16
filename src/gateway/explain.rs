//! What would happen to a request, and why. Nothing is sent, nothing is counted.

mod inputs;
mod route;
mod rules;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};

use super::Gateway;
use super::decide::Decision;
use crate::cache::stored::{Freshness, Stored};
use crate::config::{Mode, Share, Switch};
use crate::request::ApiRequest;
use crate::request::endpoint::Endpoint;
use crate::request::explanation::{Explanation, Section};
use crate::route::family;
use crate::text::Step;

/// Why something is otherwise than the file's other sections say.
const RULED: &str = "the rule that decides says so";

/// A request as somebody describes it who wants it explained.
#[derive(Debug, Default)]
pub struct Described {
    /// The endpoint's name (`chat`), or the path of a POST (`/v1/vector_stores/vs_1/search`).
    pub endpoint: String,
    /// Its headers, by name and value.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
    /// Whether this process serves requests, so that what it has counted says something.
    pub live: bool,
}

impl Described {
    /// The request's head.
    ///
    /// # Errors
    /// What is no endpoint, or no header.
    fn head(&self) -> Result<Parts, String> {
        let path = if self.endpoint.starts_with('/') { &self.endpoint } else { path_of(&self.endpoint)? };
        let mut request = http::Request::builder().method(Method::POST).uri(path);
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.trim().as_bytes())
                .map_err(|_| format!("`{name}` is no header's name"))?;
            let value = HeaderValue::from_str(value.trim())
                .map_err(|_| format!("the value of `{name}` is none for a header"))?;
            request = request.header(name, value);
        }
        let request = request.body(()).map_err(|error| format!("`{}`: {error}", self.endpoint))?;
        Ok(request.into_parts().0)
    }
}

/// The path of an endpoint that has only one.
fn path_of(name: &str) -> Result<&'static str, String> {
    match Endpoint::ALL.into_iter().find(|endpoint| endpoint.name() == name) {
        Some(Endpoint::Chat) => Ok("/v1/chat/completions"),
        Some(Endpoint::Completions) => Ok("/v1/completions"),
        Some(Endpoint::Responses) => Ok("/v1/responses"),
        Some(Endpoint::Embeddings) => Ok("/v1/embeddings"),
        Some(Endpoint::Moderations) => Ok("/v1/moderations"),
        Some(Endpoint::Messages) => Ok("/v1/messages"),
        Some(Endpoint::VectorStoreSearch) => {
            Err("which store is in the path; write it, such as /v1/vector_stores/vs_1/search".to_owned())
        }
        Some(Endpoint::Generate | Endpoint::EmbedContent | Endpoint::BatchEmbedContents) => {
            Err("the model is in the path; write it, such as /v1beta/models/gemini-2.5-flash:generateContent"
                .to_owned())
        }
        None => {
            let names: Vec<_> = Endpoint::ALL.iter().map(|endpoint| endpoint.name()).collect();
            Err(format!("`{name}` is no endpoint; there are {}, or write a path", names.join(", ")))
        }
    }
}

impl Gateway {
    /// Says what would happen to a request.
    ///
    /// # Errors
    /// What is wrong with the description.
    pub async fn explain(&self, described: Described) -> Result<Explanation, String> {
        let head = described.head()?;
        let mut said = Explanation::default();
        let Some(endpoint) = self.understands(&head) else {
            said.section("request").because(
                "endpoint",
                None::<String>,
                "not one that is understood; it passes through as it is",
            );
            if let Some(account) = self.router().account(family(head.uri.path())) {
                said.section("route").fact("provider", &*account.name);
            }
            return Ok(said);
        };
        let live = described.live;
        let too_large = described.body.len() as u64 > self.config.max_body;
        let request = self.request(endpoint, &head, described.body).await;
        let section = said.section("request");
        explain_request(&request, section);
        if too_large {
            section.because("refused", 413, "its body is over max_body");
            return Ok(said);
        }
        let (ruled, judged) = match &self.rules {
            Some(rules) => self.explain_rules(rules, &request).await,
            None => Default::default(),
        };
        let rewritten = ruled.rewritten.as_ref().map(|rewritten| rewritten.of(&request));
        let request = rewritten.as_ref().unwrap_or(&request);
        match self.decide(request, ruled.overrides.clone()) {
            Err(error) => {
                section.because("refused", error.status.as_u16(), &*error.message);
                said.extend(judged);
            }
            // Nothing behind the rule is reached.
            Ok(_) if ruled.verdict.is_some() => said.extend(judged),
            Ok(decision) => {
                self.explain_sharing(&decision, section);
                said.extend(judged);
                let by_input = self.by_input(request, &decision);
                let section = said.section("cache");
                if self.explain_cache(request, &decision, section) && by_input.is_none() {
                    self.explain_entry(&decision, section);
                }
                if let Some(by_input) = &by_input {
                    self.explain_inputs(by_input, &decision, said.section("inputs"));
                }
                self.explain_coalescing(&decision, said.section("coalesce"));
                self.explain_route(request, &decision, &mut said);
                let limits = said.section("limits");
                match self.config.features.limits.mode(request.identity.hash()) {
                    _ if self.config.limits.is_empty() => {
                        limits.because("policy", "off", "no limits are set");
                    }
                    Mode::Act => self.explain_limits(request, &decision, live, limits).await,
                    other => {
                        limits.because(
                            "policy",
                            mode_name(other),
                            switched(self.config.features.limits, "limits"),
                        );
                        self.explain_limits(request, &decision, live, limits).await;
                    }
                }
            }
        }
        Ok(said)
    }

    fn explain_sharing(&self, decision: &Decision, section: &mut Section) {
        let (scope, who) = match self.config.cache.share {
            Share::Credential => ("credential", "only callers with the same key get each other's answers"),
            Share::Tenant => ("tenant", "callers of the same tenant get each other's answers"),
            Share::Everyone => ("everyone", "all callers get each other's answers"),
        };
        section.because("scope", scope, who);
        match (decision.plan.key, decision.plan.bypass) {
            (Some(key), _) => section.fact("key", key.hex()),
            (None, Some(reason)) => section.because("key", None::<String>, reason),
            (None, None) => section.because("key", None::<String>, "neither cached nor shared"),
        };
    }

    /// True where the cache would be asked.
    fn explain_cache(&self, request: &ApiRequest, decision: &Decision, section: &mut Section) -> bool {
        let cache = &decision.plan.cache;
        if let Some(reason) = decision.plan.bypass {
            section.because("policy", "bypass", reason);
            return false;
        }
        let switch = switched(self.config.features.cache, "cache");
        let ruled = decision.overrides.cache;
        match cache.mode {
            Mode::Skip => {
                section.because("policy", "off", if ruled.off { RULED.to_owned() } else { switch });
                return false;
            }
            Mode::Observe => section.because("policy", "observe", switch),
            Mode::Act => section.fact("policy", "on"),
        };
        section.fact("looks up", cache.lookup).fact("stores", cache.store);
        let ttl = humantime::format_duration(cache.ttl).to_string();
        match ruled.ttl {
            Some(_) => section.because("ttl", ttl, RULED),
            None => section.fact("ttl", ttl),
        };
        for (name, period) in
            [("stale while revalidate", cache.while_revalidate), ("stale if error", cache.if_error)]
        {
            if !period.is_zero() {
                section.fact(name, humantime::format_duration(period).to_string());
            }
        }
        let folding = decision.plan.folding;
        if request.folded_digest(folding).is_some() {
            let steps: Vec<&str> = folding.steps().map(Step::name).collect();
            section.because("normalize", steps, "the text of the user's last message counts folded");
        }
        if cache.only_if_cached {
            section.because("only if cached", true, "Cache-Control of the request");
        }
        true
    }

    /// What memory holds for this request.
    fn explain_entry(&self, decision: &Decision, section: &mut Section) {
        let now = self.io.clock.now();
        let Some(found) = decision.plan.key.and_then(|key| self.kept.cache.find(&key)) else {
            section.fact("in memory", false);
            return;
        };
        let entry = found.entry;
        let worth = match entry.freshness(&decision.plan.cache, now) {
            Freshness::Fresh => "it would be served",
            Freshness::Revalidate => "it would be served, and a new one fetched",
            Freshness::IfError => "it would be served if the provider failed",
            Freshness::Unusable => "it is too old for this request",
        };
        let left = entry.seconds_left(now);
        section.because("in memory", true, format!("{worth}; {left} s of its ttl are left"));
    }

    fn explain_coalescing(&self, decision: &Decision, section: &mut Section) {
        let switch = switched(self.config.features.coalesce, "coalesce");
        match (decision.plan.coalesce, decision.plan.bypass) {
            (Mode::Act, _) => section.fact("policy", "on"),
            (Mode::Observe, _) => section.because("policy", "observe", switch),
            (Mode::Skip, Some(reason)) => section.because("policy", "off", reason),
            (Mode::Skip, None) if decision.overrides.alone => section.because("policy", "off", RULED),
            (Mode::Skip, None) if self.config.features.coalesce == Switch::On => {
                section.because("policy", "off", "Cache-Control of the request asks for a new answer")
            }
            (Mode::Skip, None) => section.because("policy", "off", switch),
        };
    }
}

fn explain_request(request: &ApiRequest, section: &mut Section) {
    section.because("endpoint", request.endpoint.name(), format!("POST {}", request.head.uri.path()));
    section.fact("model", request.model());
    section.fact("stream", request.wants_stream());
    section.fact("tenant", &*request.identity.tenant);
    if request.facts.is_unread() {
        section.because("body", "unread", "it is not JSON as it is understood; the provider judges it");
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Act => "on",
        Mode::Observe => "observe",
        Mode::Skip => "off",
    }
}

/// How a feature's switch stands.
fn switched(switch: Switch, name: &str) -> String {
    let written = serde_json::to_value(switch).unwrap_or_default();
    format!("features.{name} is {}", written.as_str().unwrap_or("on"))
}
