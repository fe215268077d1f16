//! Where requests go, as meant.

use std::time::Duration;

use super::ProviderTimeouts;
use super::glob::Glob;

/// One route.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name: `name` of the file, or the first of its models.
    pub name: String,
    /// The models asked for that take this route; the first route that fits is taken.
    pub models: Vec<Glob>,
    /// Who is asked, chosen by `balance`; never empty.
    pub targets: Vec<Target>,
    /// Who is asked in this order once no target is left.
    pub fallbacks: Vec<Target>,
    /// How one of `targets` is chosen.
    pub balance: Balance,
    /// When a failed attempt is followed by another.
    pub retries: Retries,
    /// When a second attempt is sent beside the first.
    pub hedge: Option<Hedge>,
    /// A stream that breaks off goes on at a target that can.
    pub resume: bool,
}

/// A provider, and the model asked of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The provider's place in [`Config::providers`](super::Config::providers).
    pub provider: usize,
    /// The provider's name of the model; `None`: the model asked for.
    pub model: Option<String>,
    /// Its share of the requests of a weighted route; at least 1.
    pub weight: u32,
    /// Time limits of one attempt, the route's own over the provider's.
    pub timeouts: ProviderTimeouts,
    /// What the model takes, where it differs from the built-in table.
    pub takes: Takes,
}

/// What a model takes; `None`: as the built-in table says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// Tools.
    pub tools: Option<bool>,
    /// Images in messages.
    pub images: Option<bool>,
    /// A JSON schema for the answer.
    pub json_schema: Option<bool>,
    /// `temperature`, `top_p`, `top_k`.
    pub sampling: Option<bool>,
    /// A `tool_choice` that forces a call.
    pub forced_tools: Option<bool>,
    /// A last message of the assistant that the answer continues.
    pub prefill: Option<bool>,
    /// `dimensions` of vectors.
    pub dimensions: Option<bool>,
    /// Tokens of input.
    pub context: Option<u64>,
}

/// How one of several targets is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In proportion to the weights, smoothly.
    Weighted,
    /// The one with the fewest calls under way for its weight.
    LeastBusy,
    /// The one that answers soonest.
    Fastest,
    /// The one with the lowest list price.
    Cheapest,
}

/// When a failed attempt is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts for one request, the first included; at least 1.
    pub attempts: u32,
    /// The longest wait before the second round of targets; it doubles with every round.
    pub base: Duration,
    /// The longest wait before any round, and the longest that a provider may ask for.
    pub max: Duration,
}

/// When a second attempt is sent beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedge {
    /// Once the first has taken longer to begin than 95 of 100 calls to its target.
    P95,
    /// After this time.
    After(Duration),
}
