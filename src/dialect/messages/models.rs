//! What Anthropic's models take, by name.
//!
//! Source: the price map shipped in litellm 1.109.1 (output limits, the parameters each model takes),
//! Anthropic's migration guide (what the newer ones refuse).

/// What one model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// The most tokens of one answer.
    pub(super) most_tokens: u64,
    /// `temperature`, `top_p` and `top_k`.
    pub(super) sampling: bool,
    /// `tool_choice` of `any` and `tool`.
    pub(super) forced_choice: bool,
    /// A last turn of the assistant's own, to go on from.
    pub(super) prefill: bool,
    /// A turn of the system's between the others.
    pub(super) system_turns: bool,
    /// How it thinks.
    pub(super) thinking: Thinking,
    /// `output_config.format` and strict tools.
    pub(super) schemas: bool,
}

/// How a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Not at all.
    Never,
    /// Within a budget of tokens, which must be named.
    Budget,
    /// As much as it sees fit, if it is told to.
    Adaptive,
    /// As much as it sees fit, always.
    Always,
}

const NEWEST: Traits = Traits {
    most_tokens: 128_000,
    sampling: false,
    forced_choice: true,
    prefill: false,
    system_turns: true,
    thinking: Thinking::Adaptive,
    schemas: true,
};
const ALWAYS: Traits = Traits { forced_choice: false, thinking: Thinking::Always, ..NEWEST };
const OPUS_4_7: Traits = Traits { system_turns: false, ..NEWEST };
const GEN_4_6: Traits = Traits { sampling: true, ..OPUS_4_7 };
const GEN_4_5: Traits = Traits { most_tokens: 64_000, prefill: true, thinking: Thinking::Budget, ..GEN_4_6 };
const OPUS_4: Traits = Traits { most_tokens: 32_000, schemas: false, ..GEN_4_5 };
const SONNET_4: Traits = Traits { schemas: false, ..GEN_4_5 };
/// Every Claude answers with so many tokens.
const UNKNOWN: Traits = Traits { most_tokens: 4096, schemas: false, thinking: Thinking::Never, ..GEN_4_5 };

/// Beginnings of names, longer ones before their own beginnings.
const KNOWN: [(&str, Traits); 20] = [
    ("claude-opus-5-5", ALWAYS),
    ("claude-sonnet-5-5", ALWAYS),
    ("claude-haiku-5-5", NEWEST),
    ("claude-fable", ALWAYS),
    ("claude-mythos", ALWAYS),
    ("claude-opus-5", NEWEST),
    ("claude-sonnet-5", NEWEST),
    ("claude-opus-4-8", NEWEST),
    ("claude-opus-4-7", OPUS_4_7),
    ("claude-opus-4-6", GEN_4_6),
    ("claude-sonnet-4-6", GEN_4_6),
    ("claude-opus-4-5", GEN_4_5),
    ("claude-sonnet-4-5", GEN_4_5),
    ("claude-haiku-4-5", GEN_4_5),
    ("claude-opus-4-1", Traits { schemas: true, ..OPUS_4 }),
    ("claude-opus-4", OPUS_4),
    ("claude-sonnet-4", SONNET_4),
    ("claude-3-7-sonnet", Traits { most_tokens: 64_000, thinking: Thinking::Budget, ..UNKNOWN }),
    ("claude-3-5-sonnet", Traits { most_tokens: 8192, ..UNKNOWN }),
    ("claude-3-5-haiku", Traits { most_tokens: 8192, ..UNKNOWN }),
];

/// What a model takes, by the longest known beginning of its name; one that is not known
/// is taken for an early one.
pub(super) fn traits(model: &str) -> Traits {
    let model = model.rsplit('/').next().unwrap_or(model);
    let known = KNOWN.iter().find(|(name, _)| model.starts_with(name));
    known.map_or(UNKNOWN, |(_, traits)| *traits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_or_prefixed_name_is_its_model() {
        assert_eq!(traits("claude-sonnet-4-5-20250929"), GEN_4_5);
        assert_eq!(traits("anthropic/claude-opus-5-5"), ALWAYS);
        assert_eq!(traits("claude-opus-5-20260601"), NEWEST);
        assert_eq!(traits("claude-opus-4-20250514").most_tokens, 32_000);
        assert_eq!(traits("my-own").most_tokens, 4096);
    }

    #[test]
    fn no_name_hides_behind_its_own_beginning() {
        for (at, (name, _)) in KNOWN.iter().enumerate() {
            assert!(!KNOWN[..at].iter().any(|(earlier, _)| name.starts_with(earlier)), "{name}");
        }
    }
}
