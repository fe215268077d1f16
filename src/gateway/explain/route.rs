//! Where a request would go: its course through the targets of its route, and in whose words each of them
//! would be asked.

use std::borrow::Cow;

use super::super::Gateway;
use super::super::decide::Decision;
use super::super::translate::{Wording, Words};
use super::{mode_name, switched};
use crate::config::Mode;
use crate::config::route::{Balance, Hedge};
use crate::dialect::Api;
use crate::error::ApiError;
use crate::request::ApiRequest;
use crate::request::explanation::{Explanation, Section};
use crate::route::{Order, Target, outbound};

impl Gateway {
    pub(super) fn explain_route(&self, request: &ApiRequest, decision: &Decision, said: &mut Explanation) {
        let (route, asked) = (&decision.route, request.model());
        let wording = Wording::of(request, route);
        let order = match route.written {
            true => self.preview(request, decision, wording.as_ref()),
            // It is asked whatever it is, unless nobody has words for it.
            false => match wording.as_ref().and_then(|wording| wording.obstacle(&route.targets[0], asked)) {
                None => Order { able: vec![0], skipped: Vec::new() },
                Some(reason) => Order { able: Vec::new(), skipped: vec![(0, reason)] },
            },
        };
        let words =
            |target: &Target| wording.as_ref().and_then(|wording| wording.words(target, asked).ok()?);
        let section = said.section("route");
        if route.written {
            section.fact("name", &*route.name);
            self.explain_attempts(decision, section);
        }
        match order.able.first() {
            Some(first) => {
                let target = &route.targets[*first];
                explain_call(request, target, words(target).as_ref(), section);
            }
            None => {
                let named = |(at, reason): &(usize, Cow<'static, str>)| {
                    (route.targets[*at].name.clone(), reason.clone())
                };
                let skipped: Vec<_> = order.skipped.iter().map(named).collect();
                let error = ApiError::unservable(&skipped);
                section.because("refused", error.status.as_u16(), &*error.message);
            }
        }
        if route.written {
            self.explain_course(decision, &order, words, said.section("targets"));
        }
    }

    fn explain_attempts(&self, decision: &Decision, section: &mut Section) {
        let (route, plan) = (&decision.route, &decision.plan);
        let attempts = if plan.failover == Mode::Skip { 1 } else { route.retries.attempts };
        match plan.failover {
            Mode::Act => section.fact("attempts", attempts),
            mode => section.because(
                "attempts",
                attempts,
                format!(
                    "failover is {}: {}",
                    mode_name(mode),
                    switched(self.config.features.failover, "failover")
                ),
            ),
        };
        match route.hedge {
            Some(Hedge::P95) => section.fact("hedge", "p95"),
            Some(Hedge::After(after)) => section.fact("hedge", humantime::format_duration(after).to_string()),
            None => section,
        };
    }

    /// A line for each target: those that can be asked in the order in which they would be now, then those
    /// that cannot.
    fn explain_course(
        &self,
        decision: &Decision,
        order: &Order,
        words: impl Fn(&Target) -> Option<Words>,
        section: &mut Section,
    ) {
        let (route, now) = (&decision.route, self.io.clock.now());
        let sharing = order.able.iter().filter(|at| !route.is_fallback(**at)).count();
        for (turn, at) in order.able.iter().enumerate() {
            let target = &route.targets[*at];
            let (value, mut why) = match target.would_admit(now) {
                Err(until) => {
                    let rest = humantime::format_duration(std::time::Duration::from_secs(
                        until.saturating_duration_since(now).as_secs() + 1,
                    ));
                    ("rests", format!("asked within {rest} only if nobody else can be"))
                }
                Ok(()) if turn == 0 => ("first", shared(route.balance(), sharing)),
                Ok(()) if route.is_fallback(*at) => ("fallback", "asked if those before it fail".to_owned()),
                Ok(()) => ("next", "asked if those before it fail".to_owned()),
            };
            if let Some(words) = words(target) {
                why += &format!("; translated: asked in the words of {}", name_of(words.api()));
            }
            section.because(&*target.name, value, why);
        }
        for (at, reason) in &order.skipped {
            section.because(&*route.targets[*at].name, "skipped", lacks(reason));
        }
    }
}

fn explain_call(request: &ApiRequest, target: &Target, words: Option<&Words>, section: &mut Section) {
    let provider = &target.account.provider;
    let path = match words {
        Some(words) => words.target(provider),
        None => outbound::target(provider, &request.head.uri),
    };
    section.fact("provider", &*target.account.name);
    section.fact("model", target.asked(request.model()));
    section.fact("url", format!("{}://{}{path}", provider.url.scheme.name(), provider.url.authority));
    section.fact("key", if provider.keys.is_empty() { "the caller's own" } else { "the provider's" });
    match words {
        Some(words) => section.because(
            "translated",
            true,
            format!("asked in the words of {}, and the answer told in the app's", name_of(words.api())),
        ),
        None => section.fact("translated", false),
    };
}

const fn name_of(api: Api) -> &'static str {
    match api {
        Api::Chat => "OpenAI's chat completions",
        Api::Responses => "OpenAI's responses",
        Api::Messages => "Anthropic's Messages",
        Api::Generate => "Gemini's generateContent",
    }
}

/// Why the first is the first.
fn shared(balance: Balance, sharing: usize) -> String {
    let by = match balance {
        _ if sharing < 2 => return "asked first".to_owned(),
        Balance::Weighted => "by weight it is its turn",
        Balance::LeastBusy => "it has the fewest calls under way",
        Balance::Fastest => "it is expected to answer soonest",
        Balance::Cheapest => "it is the cheapest",
    };
    format!("{by}, of {sharing} that share the requests")
}

/// What a target lacks, in words. What its API has no words for is said already.
fn lacks(reason: &str) -> String {
    match reason {
        "state" => "another provider made what the request refers to".to_owned(),
        "dialect" => "speaks another API than the app".to_owned(),
        "model" => "another model's vectors cannot be compared".to_owned(),
        "context" => "the request does not fit its context window".to_owned(),
        "tools"
        | "images"
        | "json_schema"
        | "json_schema with tools"
        | "json_schema in a stream"
        | "sampling"
        | "forced_tools"
        | "prefill"
        | "dimensions" => format!("does not take {reason}"),
        said => said.to_owned(),
    }
}
