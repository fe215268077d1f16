//! What the simulated provider says, as a pure function of what it is asked.
//!
//! The last user text may steer it, so that any client can ask for any kind of answer:
//! `sim:refuse` refuses, `sim:words=N` is about that long, `sim:say=TEXT` says TEXT to the end of the
//! line, `sim:think=N` counts N reasoning tokens, `sim:keep=N` counts N input tokens that Anthropic keeps
//! in its prompt cache for an hour, `sim:pause` pauses where there is a word for that.

use serde_json::Value;

use super::schema;
use super::vocabulary::{ARABIC, ENGLISH, is_arabic};
use crate::demo::chance::Chance;

/// What is asked, in no dialect.
pub struct Prompt<'a> {
    /// Decides every choice.
    pub seed: u64,
    /// The text to answer.
    pub last: &'a str,
    /// What may be called.
    pub tools: Vec<Tool<'a>>,
    /// Tokens allowed.
    pub limit: Option<u64>,
    /// The answer must be JSON of this schema (`Null`: any object).
    pub schema: Option<&'a Value>,
}

/// A tool on offer.
#[derive(Clone, Copy)]
pub struct Tool<'a> {
    pub name: &'a str,
    /// Its input's JSON Schema; `None` for tools that take free text.
    pub schema: Option<&'a Value>,
}

/// What is said, in pieces of about a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Text(Vec<String>),
    Refusal(Vec<String>),
    Calls(Vec<ToolCall>),
}

/// A tool the answer calls.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    pub name: String,
    /// JSON of the arguments, or free text.
    pub input: String,
    /// The tool takes free text.
    pub free: bool,
}

/// An answer.
pub struct Thought {
    pub said: Said,
    /// The limit cut it short.
    pub cut: bool,
    /// It is to be asked to go on.
    pub paused: bool,
    /// Output tokens without reasoning.
    pub tokens: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
    /// Input tokens kept for an hour.
    pub kept: u64,
}

impl Thought {
    /// The rest of the answer behind this beginning of it; all of it where it begins otherwise.
    pub fn after(mut self, beginning: Option<&str>) -> Self {
        if let (Said::Text(pieces), Some(beginning)) = (&mut self.said, beginning)
            && let Some(rest) = pieces.concat().strip_prefix(beginning)
        {
            *pieces = pieces_of(rest);
            self.tokens = pieces.len() as u64;
        }
        self
    }
}

/// Thinks of an answer.
pub fn think(prompt: &Prompt<'_>) -> Thought {
    let chance = &mut Chance::new(prompt.seed);
    let number = |name| {
        let told = directive(prompt.last, name).and_then(|rest| rest.split(' ').next());
        told.and_then(|tokens| tokens.parse().ok()).unwrap_or(0)
    };
    let (reasoning, kept) = (number("think="), number("keep="));
    if !prompt.tools.is_empty() {
        let calls: Vec<_> = prompt.tools.iter().map(|tool| call(*tool, chance)).collect();
        let tokens = calls.iter().map(|call| 8 + tokens_of(&call.input)).sum();
        return Thought { said: Said::Calls(calls), cut: false, paused: false, tokens, reasoning, kept };
    }
    let refuses = directive(prompt.last, "refuse").is_some();
    let paused = directive(prompt.last, "pause").is_some();
    let mut pieces = match prompt.schema {
        _ if refuses => pieces_of("I'm sorry, I can't assist with that."),
        Some(schema) => pieces_of(&schema::example(schema, chance).to_string()),
        None => speak(prompt.last, chance),
    };
    let limit = usize::try_from(prompt.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let cut = pieces.len() > limit;
    pieces.truncate(limit);
    let tokens = pieces.len() as u64;
    let said = if refuses { Said::Refusal(pieces) } else { Said::Text(pieces) };
    Thought { said, cut, paused, tokens, reasoning, kept }
}

/// About how many tokens a text has: a quarter of its bytes, at least one.
pub fn tokens_of(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4).max(1)
}

/// Tokens of every text in a JSON value.
pub fn tokens_in(value: &Value) -> u64 {
    match value {
        Value::String(text) => tokens_of(text),
        Value::Array(items) => items.iter().map(tokens_in).sum(),
        Value::Object(members) => members.values().map(tokens_in).sum(),
        Value::Number(_) => 1,
        Value::Null | Value::Bool(_) => 0,
    }
}

/// Cuts a text into pieces that give it back when joined, none inside a character.
pub fn pieces_of(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

fn call(tool: Tool<'_>, chance: &mut Chance) -> ToolCall {
    let input = match tool.schema {
        Some(schema) => schema::example(schema, chance).to_string(),
        None => format!("{} {}", chance.pick(&ENGLISH), chance.pick(&ENGLISH)),
    };
    ToolCall { name: tool.name.to_owned(), input, free: tool.schema.is_none() }
}

fn speak(last: &str, chance: &mut Chance) -> Vec<String> {
    if let Some(text) = directive(last, "say=") {
        return pieces_of(text);
    }
    let words = directive(last, "words=").and_then(|words| words.split(' ').next()?.parse().ok());
    let words = words.unwrap_or_else(|| 8 + chance.below(40));
    let vocabulary: &[&str] = if is_arabic(last) { &ARABIC } else { &ENGLISH };
    let mut pieces = Vec::with_capacity(words);
    for word in 0..words {
        let text = chance.pick(vocabulary);
        pieces.push(match (word, chance.below(64)) {
            (0, _) => (*text).to_owned(),
            // What escaping, line splitting and byte counting get wrong.
            (_, 0) => format!(" \"{text}\""),
            (_, 1) => format!("\n{text}"),
            (_, 2) => format!(" {text} 🙂"),
            (_, 3..8) => format!(". {text}"),
            _ => format!(" {text}"),
        });
    }
    pieces
}

fn directive<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once("sim:").filter(|(_, rest)| rest.starts_with(name)).or_else(|| {
        // Not the first directive: look on behind it.
        text.match_indices("sim:")
            .map(|(at, _)| text.split_at(at + 4))
            .find(|(_, rest)| rest.starts_with(name))
    })?;
    Some(rest[name.len()..].lines().next().unwrap_or_default())
}
