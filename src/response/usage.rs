//! What an answer consumed, in tokens.

/// Token counts of one answer, in one meaning for every provider.
///
/// `input` includes cached and cache-write tokens (OpenAI's meaning; for Anthropic the three
/// disjoint counters are added up), `output` includes reasoning and thinking tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens.
    pub input: u64,
    /// Input tokens read from the provider's prompt cache, part of `input`.
    pub cached_input: u64,
    /// Input tokens written to the provider's prompt cache for its default life, part of `input`.
    pub cache_write: u64,
    /// Input tokens written to Anthropic's one-hour prompt cache, part of `input`.
    pub cache_write_1h: u64,
    /// All output tokens.
    pub output: u64,
    /// The service tier that really served, which decides the price.
    pub tier: ServiceTier,
    /// True where the provider sent no counts and these were estimated.
    pub estimated: bool,
}

/// The service tier named in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceTier {
    /// List price.
    #[default]
    Default,
    /// Half price, slower.
    Flex,
    /// Dearer, faster.
    Priority,
}
