//! How a simulated provider behaves where no single request says otherwise.

use std::time::Duration;

use super::Fault;

/// The settings of a [`super::Provider`].
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Goes into every answer and every roll of the odds; the same seed says the same things.
    pub seed: u64,
    /// Time from the end of the request to the head of the answer; the request header
    /// `x-sim-delay-ms` overrides it.
    pub first_byte: Duration,
    /// Time before each event of a stream; the request header `x-sim-event-delay-ms` overrides it.
    pub per_event: Duration,
    /// Writes a stream's events all at once instead of each by its own.
    pub joined_events: bool,
    /// Pads chat stream chunks with random text, as OpenAI does unless asked not to.
    pub obfuscation: bool,
    /// Embeds empty texts, which OpenAI refuses and servers beside it do not.
    pub embeds_empty_texts: bool,
    /// How many calls are kept for [`super::Provider::calls`]; the oldest go first.
    pub recorded_calls: usize,
    /// Faults by chance.
    pub odds: Option<Odds>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            seed: 0,
            first_byte: Duration::ZERO,
            per_event: Duration::ZERO,
            joined_events: false,
            obfuscation: true,
            embeds_empty_texts: false,
            recorded_calls: 4096,
            odds: None,
        }
    }
}

/// Faults that happen by chance: the n-th call is struck or not by the seed alone.
#[derive(Clone, Debug)]
pub struct Odds {
    /// Share of calls struck, 0 to 1.
    pub rate: f64,
    /// What may strike, each equally likely.
    pub among: Vec<Fault>,
}
