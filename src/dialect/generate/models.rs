//! What Gemini's models take, by name.
//!
//! Source: Google's guides to thinking, thought signatures, structured output and function calling.

/// What one model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// How it thinks.
    pub(super) thinking: Thinking,
    /// A third generation's: its calls come with a proof and go back with it, it keeps to a form of the
    /// answer beside tools, and it looks at images that tools return.
    pub(super) third: bool,
}

/// How a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Not at all.
    Never,
    /// Within a budget of tokens: the least (0 where it can do without) and the most.
    Budget(u64, u64),
    /// At a level, always: the least, and whether there is one between low and high.
    Level(&'static str, bool),
}

const EARLY: Traits = Traits { thinking: Thinking::Never, third: false };

/// What a model takes. A name that says no generation (`gemini-flash-latest`) is one of the newest; one
/// that is not Gemini's is taken for an early one.
pub(super) fn traits(model: &str) -> Traits {
    let model = model.rsplit('/').next().unwrap_or(model);
    let Some(rest) = model.strip_prefix("gemini-") else { return EARLY };
    match rest.split(['.', '-']).next().and_then(|number| number.parse::<u32>().ok()) {
        Some(2) if rest.starts_with("2.5-pro") => Traits { thinking: Thinking::Budget(128, 32_768), ..EARLY },
        Some(2) if rest.starts_with("2.5") => Traits { thinking: Thinking::Budget(0, 24_576), ..EARLY },
        Some(0..=2) => EARLY,
        Some(_) | None => {
            let least = if rest.contains("flash") { "MINIMAL" } else { "LOW" };
            Traits { thinking: Thinking::Level(least, !rest.starts_with("3-pro")), third: true }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_generation() {
        for (model, thinking, third) in [
            ("gemini-2.0-flash", Thinking::Never, false),
            ("gemini-2.5-flash-lite", Thinking::Budget(0, 24_576), false),
            ("models/gemini-2.5-pro", Thinking::Budget(128, 32_768), false),
            ("gemini-3-pro-preview", Thinking::Level("LOW", false), true),
            ("gemini-3.1-pro-preview", Thinking::Level("LOW", true), true),
            ("gemini-3.8-flash", Thinking::Level("MINIMAL", true), true),
            ("gemini-4-argon", Thinking::Level("LOW", true), true),
            ("gemini-flash-latest", Thinking::Level("MINIMAL", true), true),
            ("my-tuned", Thinking::Never, false),
        ] {
            assert_eq!(traits(model), Traits { thinking, third }, "{model}");
        }
    }
}
