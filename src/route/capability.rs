//! What models take: a request goes only where it can be served as asked.
//!
//! The table is of the vendors' model pages as collected in litellm's
//! `model_prices_and_context_window` (1.109.1); the file's `takes` goes before it. What is not known
//! of a model is not held against it.

use super::needs::Needs;
use crate::config::route::Takes as Written;
use crate::dialect::Server;

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
    /// A length of vectors that is not the model's own.
    pub dimensions: bool,
    /// A JSON schema for an answer that comes in events, or beside tools.
    pub schema_with_others: bool,
    /// Tokens of input; `None`: unknown.
    pub context: Option<u64>,
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

/// Models whose vectors have one length: OpenAI's answers "This model does not support specifying dimensions",
/// Mistral's API reference names the other one as the model that takes it.
const OF_ONE_LENGTH: [&str; 2] = ["text-embedding-ada-002", "mistral-embed"];
/// Groq has schemas for its newer models only, and for none "streaming and tool use" beside them
/// (console.groq.com: "Structured Outputs").
const WITHOUT_SCHEMAS_AT_GROQ: &str = "llama-3";

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
            dimensions: true,
            schema_with_others: true,
            context: None,
        }
    }

    /// What `model` takes at this server: as written, else as the table says.
    pub fn of(server: Server, model: Option<&str>, written: &Written) -> Self {
        let known = Self::known(server, model.unwrap_or_default());
        Self {
            tools: written.tools.unwrap_or(known.tools),
            images: written.images.unwrap_or(known.images),
            json_schema: written.json_schema.unwrap_or(known.json_schema),
            sampling: written.sampling.unwrap_or(known.sampling),
            forced_tools: written.forced_tools.unwrap_or(known.forced_tools),
            prefill: written.prefill.unwrap_or(known.prefill),
            dimensions: written.dimensions.unwrap_or(known.dimensions),
            schema_with_others: written.json_schema.unwrap_or(known.schema_with_others),
            context: written.context.or(known.context),
        }
    }

    fn known(server: Server, model: &str) -> Self {
        // A provider's prefix (`mistral/…`) says nothing of the model.
        let name = model.rsplit('/').next().unwrap_or(model);
        let row = TABLE.iter().find(|(prefix, ..)| name.starts_with(prefix));
        let known = row.map_or(Self::anything(), |&(_, context, sampling, forced_tools, prefill)| Self {
            sampling,
            forced_tools,
            prefill,
            context: Some(context),
            ..Self::anything()
        });
        let groq = server == Server::Groq;
        Self {
            dimensions: !OF_ONE_LENGTH.contains(&name),
            json_schema: !(groq && name.starts_with(WITHOUT_SCHEMAS_AT_GROQ)),
            schema_with_others: !groq,
            ..known
        }
    }

    /// Why a request cannot be served as asked, where it cannot.
    pub fn lacks(&self, needs: &Needs) -> Option<&'static str> {
        let lacks = [
            (needs.tools && !self.tools, "tools"),
            (needs.images && !self.images, "images"),
            (needs.json_schema && !self.json_schema, "json_schema"),
            (needs.sampling && !self.sampling, "sampling"),
            (needs.forced_tools && !self.forced_tools, "forced_tools"),
            (needs.json_schema && needs.tools && !self.schema_with_others, "json_schema with tools"),
            (needs.json_schema && needs.stream && !self.schema_with_others, "json_schema in a stream"),
            (needs.prefill && !self.prefill, "prefill"),
            (needs.dimensions && !self.dimensions, "dimensions"),
            (self.context.is_some_and(|window| needs.tokens > window), "context"),
        ];
        lacks.into_iter().find_map(|(lacks, reason)| lacks.then_some(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::endpoint::Endpoint;

    fn takes(model: &str) -> Takes {
        Takes::of(Server::Other, Some(model), &Written::default())
    }

    fn needs(body: &[u8]) -> Needs {
        Needs::of(Endpoint::Chat, body, false)
    }

    fn lacks(model: &str, rest: &str) -> Option<&'static str> {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{rest}}}"#);
        takes(model).lacks(&needs(body.as_bytes()))
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
        let takes = Takes::of(Server::Other, Some("claude-opus-5-5"), &written);
        let image =
            br#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#;
        assert_eq!(takes.lacks(&needs(image)), Some("images"));
        assert_eq!(takes.lacks(&needs(br#"{"temperature":0}"#)), None);
    }

    #[test]
    fn what_surely_does_not_fit_is_not_sent() {
        let words = "word ".repeat(400_000);
        let long = format!(r#"{{"messages":[{{"role":"user","content":"{words}"}}]}}"#);
        let needs = needs(long.as_bytes());
        assert_eq!(takes("gpt-4o").lacks(&needs), Some("context"));
        assert_eq!(takes("gpt-4.1").lacks(&needs), None);
    }
}
