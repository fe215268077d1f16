//! What models take, and what requests need: a request goes only where it can be served as asked.
//!
//! The table is of the vendors' model pages as collected in litellm's
//! `model_prices_and_context_window` (1.109.1); the file's `takes` goes before it. What is not known
//! of a model is not held against it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::config::route::Takes as Written;
use crate::request::endpoint::Endpoint;

/// Bytes of a request's body that make at least one token, to tell one that cannot fit. English has
/// about four; this errs towards trying.
const BYTES_PER_TOKEN: u64 = 6;

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// Tools.
    pub tools: bool,
    /// Images in messages.
    pub images: bool,
    /// A JSON schema for the answer.
    pub json_schema: bool,
    /// `temperature` other than 1, `top_p`, `top_k`.
    pub sampling: bool,
    /// A `tool_choice` that forces a call.
    pub forced_tools: bool,
    /// A last message of the assistant that the answer continues.
    pub prefill: bool,
    /// Tokens of input; `None`: unknown.
    pub context: Option<u64>,
}

/// What a request needs of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    tools: bool,
    images: bool,
    json_schema: bool,
    sampling: bool,
    forced_tools: bool,
    prefill: bool,
    /// At least this many tokens of input.
    tokens: u64,
}

/// Model prefix, context window, and whether it takes sampling, forced tools and prefill. The first
/// that fits counts.
const TABLE: [(&str, u64, bool, bool, bool); 27] = [
    ("claude-haiku-5-5", 1_000_000, false, true, false),
    ("claude-opus-5-5", 1_000_000, false, false, false),
    ("claude-sonnet-5-5", 1_000_000, false, false, false),
    ("claude-fable-5", 1_000_000, false, false, false),
    ("claude-mythos-5", 1_000_000, false, false, false),
    ("claude-opus-5", 1_000_000, false, true, false),
    ("claude-sonnet-5", 1_000_000, false, true, false),
    ("claude-opus-4-8", 1_000_000, false, true, false),
    ("claude-opus-4-7", 1_000_000, false, true, false),
    ("claude-opus-4-6", 1_000_000, true, true, false),
    ("claude-sonnet-4-6", 1_000_000, true, true, false),
    ("claude-opus-4-5", 200_000, true, true, true),
    ("claude-sonnet-4-5", 200_000, true, true, true),
    ("claude-haiku-4-5", 200_000, true, true, true),
    ("gpt-6", 922_000, true, true, true),
    ("gpt-5.6", 922_000, true, true, true),
    ("gpt-5.5", 1_050_000, true, true, true),
    ("gpt-5.4-", 272_000, true, true, true),
    ("gpt-5.4", 1_050_000, true, true, true),
    ("gpt-5", 272_000, true, true, true),
    ("gpt-4.1", 1_047_576, true, true, true),
    ("gpt-4o", 128_000, true, true, true),
    ("o3", 200_000, true, true, true),
    ("o4-mini", 200_000, true, true, true),
    ("gemini-", 1_048_576, true, true, true),
    ("codestral", 128_000, true, true, true),
    ("deepseek-v4", 1_000_000, true, true, true),
];

impl Takes {
    /// A model of which nothing is known.
    pub const fn anything() -> Self {
        Self {
            tools: true,
            images: true,
            json_schema: true,
            sampling: true,
            forced_tools: true,
            prefill: true,
            context: None,
        }
    }

    /// What `model` takes: as written, else as the table says.
    pub fn of(model: Option<&str>, written: &Written) -> Self {
        let known = Self::known(model.unwrap_or_default());
        Self {
            tools: written.tools.unwrap_or(known.tools),
            images: written.images.unwrap_or(known.images),
            json_schema: written.json_schema.unwrap_or(known.json_schema),
            sampling: written.sampling.unwrap_or(known.sampling),
            forced_tools: written.forced_tools.unwrap_or(known.forced_tools),
            prefill: written.prefill.unwrap_or(known.prefill),
            context: written.context.or(known.context),
        }
    }

    fn known(model: &str) -> Self {
        // A provider's prefix (`mistral/…`) says nothing of the model.
        let name = model.rsplit('/').next().unwrap_or(model);
        let row = TABLE.iter().find(|(prefix, ..)| name.starts_with(prefix));
        row.map_or(Self::anything(), |&(_, context, sampling, forced_tools, prefill)| Self {
            sampling,
            forced_tools,
            prefill,
            context: Some(context),
            ..Self::anything()
        })
    }

    /// Why a request cannot be served as asked, where it cannot.
    pub fn lacks(&self, needs: &Needs) -> Option<&'static str> {
        let lacks = [
            (needs.tools && !self.tools, "tools"),
            (needs.images && !self.images, "images"),
            (needs.json_schema && !self.json_schema, "json_schema"),
            (needs.sampling && !self.sampling, "sampling"),
            (needs.forced_tools && !self.forced_tools, "forced_tools"),
            (needs.prefill && !self.prefill, "prefill"),
            (self.context.is_some_and(|window| needs.tokens > window), "context"),
        ];
        lacks.into_iter().find_map(|(lacks, reason)| lacks.then_some(reason))
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<Typed<'a>>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<IgnoredAny>,
    #[serde(borrow)]
    messages: Option<Vec<Message<'a>>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Parts(#[serde(borrow)] Vec<Typed<'a>>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

impl Needs {
    /// What a conversation needs. What cannot be read needs nothing: the provider judges it.
    pub fn of(endpoint: Endpoint, body: &[u8]) -> Self {
        if !matches!(endpoint, Endpoint::Chat | Endpoint::Messages) {
            return Self::default();
        }
        let tokens = body.len() as u64 / BYTES_PER_TOKEN;
        let Ok(fields) = serde_json::from_slice::<Fields>(body) else { return Self::default() };
        let is = |kind: &Option<Cow<str>>, names: &[&str]| {
            kind.as_deref().is_some_and(|kind| names.contains(&kind))
        };
        let image = |part: &Typed| is(&part.kind, &["image_url", "image"]);
        let messages = fields.messages.as_deref().unwrap_or_default();
        let images = messages.iter().any(
            |message| matches!(&message.content, Some(Content::Parts(parts)) if parts.iter().any(image)),
        );
        let choice = fields.tool_choice.map(RawValue::get).unwrap_or_default();
        Self {
            tools: fields.tools.is_some_and(|tools| tools.get().len() > "[]".len()),
            images,
            json_schema: fields.response_format.is_some_and(|format| is(&format.kind, &["json_schema"])),
            sampling: fields.temperature.is_some_and(|temperature| (temperature - 1.0).abs() > f64::EPSILON)
                || fields.top_p.is_some_and(|share| share < 1.0)
                || fields.top_k.is_some(),
            forced_tools: choice == "\"required\""
                || (choice.starts_with('{') && !choice.contains("\"auto\"") && !choice.contains("\"none\"")),
            prefill: messages.last().is_some_and(|message| is(&message.role, &["assistant"])),
            // Images are told by their bytes, but counted by their size in pixels.
            tokens: if images { 0 } else { tokens },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(model: &str, rest: &str) -> Option<&'static str> {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{rest}}}"#);
        Takes::of(Some(model), &Written::default()).lacks(&Needs::of(Endpoint::Chat, body.as_bytes()))
    }

    #[test]
    fn a_request_goes_only_where_it_can_be_served_as_asked() {
        assert_eq!(lacks("claude-opus-5-5", ""), None);
        assert_eq!(lacks("claude-opus-5-5", r#","temperature":0.2"#), Some("sampling"));
        assert_eq!(lacks("claude-opus-5-5", r#","temperature":1,"top_p":1"#), None);
        assert_eq!(
            lacks("claude-opus-5-5", r#","tools":[{}],"tool_choice":"required""#),
            Some("forced_tools")
        );
        assert_eq!(lacks("claude-opus-5", r#","tools":[{}],"tool_choice":"required""#), None);
        assert_eq!(lacks("claude-sonnet-4-5-20250929", r#","temperature":0.2"#), None);
        assert_eq!(lacks("made-up", r#","temperature":0.2,"tools":[{}]"#), None);
    }

    #[test]
    fn what_the_file_says_goes_before_the_table() {
        let written = Written { sampling: Some(true), images: Some(false), ..Written::default() };
        let takes = Takes::of(Some("claude-opus-5-5"), &written);
        let image =
            br#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#;
        assert_eq!(takes.lacks(&Needs::of(Endpoint::Chat, image)), Some("images"));
        assert_eq!(takes.lacks(&Needs::of(Endpoint::Chat, br#"{"temperature":0}"#)), None);
    }

    #[test]
    fn what_surely_does_not_fit_is_not_sent() {
        let words = "word ".repeat(400_000);
        let long = format!(r#"{{"messages":[{{"role":"user","content":"{words}"}}]}}"#);
        let needs = Needs::of(Endpoint::Chat, long.as_bytes());
        assert_eq!(Takes::of(Some("gpt-4o"), &Written::default()).lacks(&needs), Some("context"));
        assert_eq!(Takes::of(Some("gpt-4.1"), &Written::default()).lacks(&needs), None);
    }
}
