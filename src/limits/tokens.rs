//! Tokens of a text, before the provider has counted them: by its public tokenizer where there is one.

use tiktoken::CoreBpe;

/// How a model's tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokenizer {
    /// OpenAI's `o200k_base`: gpt-4o and later, o1 and later, gpt-oss.
    O200k,
    /// OpenAI's `cl100k_base`: gpt-4, gpt-3.5 and all its embeddings.
    Cl100k,
    /// No public one (Anthropic, Gemini and others): by bytes.
    Bytes,
}

/// Bytes of UTF-8 text for one token where the tokenizer is not public. English has about four, other
/// scripts more; fewer here, since too much is given back and too little is a budget overrun.
const BYTES_PER_TOKEN: u64 = 3;

impl Tokenizer {
    /// The tokenizer of a model, with or without a provider's prefix (`openai/gpt-4o`).
    ///
    /// Source: `tiktoken/model.py` of openai/tiktoken, in the order that makes longer names win.
    pub fn of(model: &str) -> Self {
        const O200K: [&str; 10] = [
            "gpt-4o",
            "gpt-4.1",
            "gpt-4.5",
            "gpt-5",
            "gpt-6",
            "gpt-oss",
            "chatgpt-4o",
            "o1",
            "o3",
            "o4-mini",
        ];
        const CL100K: [&str; 4] = ["gpt-4", "gpt-3.5", "gpt-35", "text-embedding-"];
        let name = model.rsplit('/').next().unwrap_or(model);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        if O200K.iter().any(|prefix| name.starts_with(prefix)) {
            Self::O200k
        } else if CL100K.iter().any(|prefix| name.starts_with(prefix)) {
            Self::Cl100k
        } else {
            Self::Bytes
        }
    }

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k",
            Self::Cl100k => "cl100k",
            Self::Bytes => "bytes",
        }
    }

    /// The tokens of a text. Its tables are unpacked when they are first needed, which takes about a
    /// tenth of a second.
    pub fn count(self, text: &str) -> u64 {
        match self.table() {
            Some(table) => table.count(text) as u64,
            None => (text.len() as u64).div_ceil(BYTES_PER_TOKEN),
        }
    }

    fn table(self) -> Option<&'static CoreBpe> {
        match self {
            Self::O200k => tiktoken::get_encoding("o200k_base"),
            Self::Cl100k => tiktoken::get_encoding("cl100k_base"),
            Self::Bytes => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_tokenizer_that_their_maker_published() {
        for (model, tokenizer) in [
            ("gpt-4o-mini-2024-07-18", Tokenizer::O200k),
            ("openai/gpt-5-nano", Tokenizer::O200k),
            ("ft:gpt-4o:me", Tokenizer::O200k),
            ("gpt-4-turbo", Tokenizer::Cl100k),
            ("text-embedding-3-small", Tokenizer::Cl100k),
            ("claude-sonnet-4-5", Tokenizer::Bytes),
            ("gemini-2.5-flash", Tokenizer::Bytes),
        ] {
            assert_eq!(Tokenizer::of(model), tokenizer, "{model}");
        }
    }

    #[test]
    fn counts_are_those_of_openais_own_library() {
        // tiktoken 0.12 (Python): len(get_encoding(name).encode(text)).
        assert_eq!(Tokenizer::O200k.count("hello world"), 2);
        assert_eq!(Tokenizer::Cl100k.count("hello world"), 2);
        assert_eq!(Tokenizer::Cl100k.count("tiktoken is great!"), 6);
        assert_eq!(Tokenizer::O200k.count("tiktoken is great!"), 6);
        assert_eq!(Tokenizer::Bytes.count("hello world"), 4);
        assert_eq!(Tokenizer::O200k.count(""), 0);
    }
}
