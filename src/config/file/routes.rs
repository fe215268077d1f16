//! `routes:` as written.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{require, seconds};
use crate::config::glob::Glob;
use crate::config::quantity::Period;
use crate::config::scalar::{Count, Scalar, Toggle, scalars};

scalars!(HedgeAfter);

/// Where requests for some models go, and what happens when a provider fails.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = |schema: &mut Schema| require(schema, "targets"))]
pub struct Route {
    /// What it is called in logs and at /providers; the first of its models unless given.
    pub name: Option<String>,
    /// The models asked for that take it, as patterns: `*` stands for any text, `?` for one character.
    /// The first route that fits is taken. None for a route that only rules send requests to, by name.
    pub models: Vec<Glob>,
    /// Who is asked: they share the requests as `balance` says, and stand in for each other.
    pub targets: Vec<Target>,
    /// How one of the targets is chosen: weighted, least_busy, fastest or cheapest.
    pub balance: Balance,
    /// Who is asked, in this order, once no target is left.
    pub fallbacks: Vec<Target>,
    /// Time limits of one attempt, before those of the provider; total is for all attempts together.
    pub timeouts: Timeouts,
    /// When a failed attempt is followed by another.
    pub retries: Retries,
    /// A second attempt beside a slow first one; the answer that begins sooner counts.
    pub hedge: Option<Hedge>,
    /// A stream that breaks off goes on at a target that can go on from its text; the client sees one stream.
    pub resume: Toggle,
}

/// A provider, and the model asked of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = |schema: &mut Schema| require(schema, "provider"))]
pub struct Target {
    /// Its name under `providers`.
    pub provider: String,
    /// Its name of the model; the model asked for unless given.
    pub model: Option<String>,
    /// Its share of the requests beside the other targets'.
    pub weight: Count,
    /// What the model takes, where it differs from what pareto knows of it. A request that needs what
    /// a target does not take is not sent there.
    pub takes: Takes,
}

impl Default for Target {
    fn default() -> Self {
        Self { provider: String::new(), model: None, weight: Count(1), takes: Takes::default() }
    }
}

/// What a model takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Takes {
    /// Tools.
    pub tools: Option<Toggle>,
    /// Images in messages.
    pub images: Option<Toggle>,
    /// A JSON schema for the answer.
    pub json_schema: Option<Toggle>,
    /// temperature other than 1, top_p, top_k.
    pub sampling: Option<Toggle>,
    /// A tool_choice that forces a call.
    pub forced_tools: Option<Toggle>,
    /// A last message of the assistant that the answer continues.
    pub prefill: Option<Toggle>,
    /// A length of vectors that is not the model's own (dimensions).
    pub dimensions: Option<Toggle>,
    /// Tokens of input.
    pub context: Option<Count>,
}

/// How one of several targets is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// In proportion to the weights, evenly spread.
    #[default]
    Weighted,
    /// The one with the fewest calls under way for its weight.
    LeastBusy,
    /// The one that has begun to answer soonest lately.
    Fastest,
    /// The one with the lowest list price.
    Cheapest,
}

/// Time limits of one attempt; what is not given is as the provider has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For the connection, TLS included.
    pub connect: Option<Period>,
    /// From the request's last byte to the answer's first.
    pub first_byte: Option<Period>,
    /// Between two parts of the answer.
    pub idle: Option<Period>,
    /// For the request as a whole, all attempts together.
    pub total: Option<Period>,
}

/// When a failed attempt is followed by another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Attempts for one request, the first included.
    pub attempts: Count,
    /// The waits between rounds of targets. Within a round the next target is asked at once.
    pub backoff: Backoff,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: Count(3), backoff: Backoff::default() }
    }
}

/// The waits between rounds: by chance, up to a bound that doubles each time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The first bound.
    pub base: Period,
    /// The largest bound. A provider that asks for a longer wait is not asked again.
    pub max: Period,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: seconds(2), max: seconds(30) }
    }
}

/// A second attempt beside a slow first one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hedge {
    /// After which time: p95 (what 95 of 100 calls to the target took lately to begin) or a duration.
    pub after: HedgeAfter,
}

/// When a second attempt goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HedgeAfter {
    /// `p95`
    #[default]
    P95,
    /// A duration.
    Fixed(Period),
}

impl Scalar for HedgeAfter {
    const NAME: &'static str = "HedgeAfter";
    const EXPECTS: &'static str = "p95 or a duration such as 3s";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = "p95|[0-9]+ *(ms|s|m|h|d)";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "p95" => Ok(Self::P95),
            _ => Period::read(text)
                .map(Self::Fixed)
                .map_err(|_| "is neither p95 nor a duration; write one such as 3s".to_owned()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::P95 => "p95".into(),
            Self::Fixed(period) => period.json(),
        }
    }
}
