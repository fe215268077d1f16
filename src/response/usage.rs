//! What an answer consumed, in tokens.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

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

impl Usage {
    /// What two calls consumed together, at the tier of the later one.
    #[must_use]
    pub const fn and(&self, earlier: &Self) -> Self {
        Self {
            input: self.input.saturating_add(earlier.input),
            cached_input: self.cached_input.saturating_add(earlier.cached_input),
            cache_write: self.cache_write.saturating_add(earlier.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_add(earlier.cache_write_1h),
            output: self.output.saturating_add(earlier.output),
            tier: self.tier,
            estimated: self.estimated || earlier.estimated,
        }
    }
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

impl ServiceTier {
    /// The tier an answer names in `service_tier` (OpenAI: `default`, `flex`, `scale`, `priority`,
    /// `fast`, `ultrafast`). Unknown names and `scale`, which is bought in advance, are the list price.
    pub fn named(name: &str) -> Self {
        match name {
            "flex" | "batch" => Self::Flex,
            "priority" | "fast" | "ultrafast" => Self::Priority,
            _ => Self::Default,
        }
    }
}

/// A counter as found on the wire: absent, null or of a wrong type is 0, since a strange counter must
/// not make an answer unreadable.
#[derive(Clone, Copy, Debug, Default)]
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        parser.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a number of tokens")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Count, E> {
        Ok(Count(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Count, E> {
        // The cast saturates: what is below zero is 0.
        Ok(Count(value as u64))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Count, A::Error> {
        IgnoredAny.visit_seq(items).map(|_| Count(0))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Count, A::Error> {
        IgnoredAny.visit_map(entries).map(|_| Count(0))
    }
}

/// `usage` of OpenAI and of servers compatible with it, on chat and completions (`prompt_tokens` …),
/// embeddings, and responses (`input_tokens` …).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct OpenAiUsage {
    #[serde(default, alias = "input_tokens")]
    prompt_tokens: Count,
    #[serde(default, alias = "output_tokens")]
    completion_tokens: Count,
    #[serde(alias = "input_tokens_details")]
    prompt_tokens_details: Option<OpenAiDetails>,
    #[serde(alias = "output_tokens_details")]
    completion_tokens_details: Option<OpenAiOutputDetails>,
    /// DeepSeek's name for cached tokens.
    #[serde(default)]
    prompt_cache_hit_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OpenAiDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OpenAiOutputDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl OpenAiUsage {
    /// Tokens of thinking, part of the output.
    pub fn thinking(&self) -> u64 {
        self.completion_tokens_details.unwrap_or_default().reasoning_tokens.0
    }

    /// The counts, priced by the tier the answer names.
    pub fn counts(&self, tier: ServiceTier) -> Usage {
        let details = self.prompt_tokens_details.unwrap_or_default();
        Usage {
            input: self.prompt_tokens.0,
            cached_input: details.cached_tokens.0.max(self.prompt_cache_hit_tokens.0),
            cache_write: details.cache_write_tokens.0,
            output: self.completion_tokens.0,
            tier,
            ..Usage::default()
        }
    }
}

/// `usage` of Anthropic Messages. A stream repeats it with growing totals, not all members each time.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct AnthropicUsage {
    input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation: Option<AnthropicCacheCreation>,
    output_tokens: Option<Count>,
    output_tokens_details: Option<AnthropicOutputDetails>,
    speed: Option<AnthropicSpeed>,
    service_tier: Option<AnthropicTier>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct AnthropicCacheCreation {
    #[serde(default)]
    ephemeral_1h_input_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct AnthropicOutputDetails {
    #[serde(default)]
    thinking_tokens: Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AnthropicSpeed {
    Fast,
    #[serde(other)]
    Standard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AnthropicTier {
    Batch,
    #[serde(other)]
    Standard,
}

impl AnthropicUsage {
    /// Tokens of thinking, part of the output.
    pub fn thinking(&self) -> u64 {
        self.output_tokens_details.unwrap_or_default().thinking_tokens.0
    }

    /// Takes the last seen value of each member.
    pub fn update(&mut self, newer: &Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation = newer.cache_creation.or(self.cache_creation);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.output_tokens_details = newer.output_tokens_details.or(self.output_tokens_details);
        self.speed = newer.speed.or(self.speed);
        self.service_tier = newer.service_tier.or(self.service_tier);
    }

    /// The counts: the three disjoint input counters added up, writes split by their life.
    pub fn counts(&self) -> Usage {
        let count = |count: Option<Count>| count.unwrap_or_default().0;
        let written = count(self.cache_creation_input_tokens);
        let cached_input = count(self.cache_read_input_tokens);
        let hour = self.cache_creation.unwrap_or_default().ephemeral_1h_input_tokens.0.min(written);
        Usage {
            input: count(self.input_tokens).saturating_add(written).saturating_add(cached_input),
            cached_input,
            cache_write: written - hour,
            cache_write_1h: hour,
            output: count(self.output_tokens),
            tier: match (self.speed, self.service_tier) {
                (Some(AnthropicSpeed::Fast), _) => ServiceTier::Priority,
                (_, Some(AnthropicTier::Batch)) => ServiceTier::Flex,
                _ => ServiceTier::Default,
            },
            estimated: false,
        }
    }
}

/// `usageMetadata` of Gemini. Thoughts are billed as output and not part of the candidates' count.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GeminiUsage {
    #[serde(default)]
    prompt_token_count: Count,
    #[serde(default)]
    cached_content_token_count: Count,
    #[serde(default)]
    candidates_token_count: Count,
    #[serde(default)]
    thoughts_token_count: Count,
    #[serde(default)]
    tool_use_prompt_token_count: Count,
}

impl GeminiUsage {
    /// Tokens of thinking, part of the output.
    pub const fn thinking(&self) -> u64 {
        self.thoughts_token_count.0
    }

    /// The counts, in the common meaning.
    pub fn counts(&self) -> Usage {
        Usage {
            input: self.prompt_token_count.0.saturating_add(self.tool_use_prompt_token_count.0),
            cached_input: self.cached_content_token_count.0,
            output: self.candidates_token_count.0.saturating_add(self.thoughts_token_count.0),
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openai_counts_in_both_spellings_and_with_strange_values() {
        let counts =
            |json: &str| serde_json::from_str::<OpenAiUsage>(json).unwrap().counts(ServiceTier::Flex);
        let chat = counts(
            r#"{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15,"prompt_tokens_details":
                {"cached_tokens":4,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}"#,
        );
        let tier = ServiceTier::Flex;
        let expected =
            Usage { input: 12, cached_input: 4, cache_write: 2, output: 3, tier, ..Usage::default() };
        assert_eq!(chat, expected);
        let responses = counts(
            r#"{"input_tokens":12,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"output_tokens":3}"#,
        );
        assert_eq!(responses, expected);
        let odd = counts(
            r#"{"prompt_tokens":12.0,"completion_tokens":"many","prompt_tokens_details":null,"prompt_cache_hit_tokens":5}"#,
        );
        assert_eq!(odd, Usage { input: 12, cached_input: 5, tier, ..Usage::default() });
    }

    #[test]
    fn anthropic_counts_are_the_last_seen_of_each_and_added_up() {
        let parse = |json: &str| serde_json::from_str::<AnthropicUsage>(json).unwrap();
        let mut usage = parse(
            r#"{"input_tokens":20,"cache_creation_input_tokens":9,"cache_read_input_tokens":100,
                "cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":4},"output_tokens":1,
                "service_tier":"standard","speed":"fast"}"#,
        );
        usage.update(&parse(r#"{"output_tokens":7}"#));
        usage.update(&parse(r#"{"output_tokens":12,"input_tokens":21,"cache_read_input_tokens":null}"#));
        let expected = Usage {
            input: 130,
            cached_input: 100,
            cache_write: 5,
            cache_write_1h: 4,
            output: 12,
            tier: ServiceTier::Priority,
            estimated: false,
        };
        assert_eq!(usage.counts(), expected);
    }

    #[test]
    fn gemini_thoughts_are_output_and_tool_prompts_input() {
        let usage: GeminiUsage = serde_json::from_str(
            r#"{"promptTokenCount":20,"cachedContentTokenCount":8,"candidatesTokenCount":3,"thoughtsTokenCount":50,
                "toolUsePromptTokenCount":2,"totalTokenCount":75}"#,
        )
        .unwrap();
        assert_eq!(usage.counts(), Usage { input: 22, cached_input: 8, output: 53, ..Usage::default() });
    }
}
