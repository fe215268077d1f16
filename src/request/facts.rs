//! What a body says, read once: enough to decide, and a digest of all that makes it what it is.

use std::borrow::Cow;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::endpoint::Endpoint;
use crate::json::{self, Ignore};
use crate::text::Folding;

/// Why a request is private whose body could not be read.
const UNREAD: &str = "unparsed";

/// What pareto needs to know of a request's body.
#[derive(Debug)]
pub struct Facts {
    /// The model named in the body.
    pub model: Option<Box<str>>,
    /// The client asked for events.
    pub stream: bool,
    /// The client asked for the usage frame of a chat or completions stream.
    pub include_usage: bool,
    /// How many answers were asked for (`n`, `candidateCount`).
    pub choices: usize,
    /// Why the answer may not be shared or stored, where it may not.
    pub private: Option<&'static str>,
    /// Digest of every member that counts, whatever their order and spelling.
    pub digest: [u8; 32],
    /// The digest with the user's last message folded, once it was asked for.
    pub(super) folded: OnceLock<(Folding, Option<[u8; 32]>)>,
}

impl Facts {
    /// Reads a body. One that is not JSON as we know it is left for the provider to judge: its
    /// facts are those of a private request.
    pub fn read(endpoint: Endpoint, body: &[u8]) -> Self {
        Self::try_read(endpoint, body).unwrap_or(Self {
            model: None,
            stream: false,
            include_usage: false,
            choices: 1,
            private: Some(UNREAD),
            digest: [0; 32],
            folded: OnceLock::new(),
        })
    }

    /// Whether the body could not be read: whatever the provider makes of it passes as it is.
    pub fn is_unread(&self) -> bool {
        self.private == Some(UNREAD)
    }

    fn try_read(endpoint: Endpoint, body: &[u8]) -> Option<Self> {
        let digest = Self::digest_of(endpoint, body)?;
        let fields: Fields = serde_json::from_slice(body).ok()?;
        let private = match endpoint {
            Endpoint::Chat => fields.private_chat(),
            Endpoint::Responses => fields.private_response(),
            Endpoint::Messages => fields.private_message(),
            Endpoint::Generate => fields.private_generation(),
            _ => None,
        };
        Some(Self {
            stream: fields.stream.unwrap_or(false),
            include_usage: fields
                .stream_options
                .is_some_and(|options| options.include_usage.unwrap_or(false)),
            choices: fields.n.or(fields.generation.and_then(|config| config.candidates)).unwrap_or(1),
            private,
            model: fields.model.map(|model| model.into_owned().into_boxed_str()),
            digest,
            folded: OnceLock::new(),
        })
    }

    /// The digest of all that counts in a body; `None` where it is not JSON as we know it.
    pub(super) fn digest_of(endpoint: Endpoint, body: &[u8]) -> Option<[u8; 32]> {
        json::canonical(body, ignored(endpoint)).ok().map(|canonical| canonical.digest)
    }
}

/// Members that change neither the answer nor its shape (OpenAI's API description of chat, and
/// Anthropic's of `cache_control`, `metadata` and `service_tier`). A response of `/v1/responses`
/// echoes its request, so there only the framing is left out.
fn ignored(endpoint: Endpoint) -> &'static Ignore<'static> {
    const CHAT: Ignore = Ignore(&[
        &["stream"],
        &["stream_options"],
        &["user"],
        &["safety_identifier"],
        &["metadata"],
        &["store"],
        &["service_tier"],
        &["prompt_cache_key"],
        &["prompt_cache_options"],
        &["prompt_cache_retention"],
        &["messages", "*", "content", "*", "prompt_cache_breakpoint"],
    ]);
    const FRAMING: Ignore = Ignore(&[&["stream"], &["stream_options"]]);
    const EMBEDDINGS: Ignore = Ignore(&[&["user"]]);
    const MESSAGES: Ignore = Ignore(&[
        &["stream"],
        &["metadata"],
        &["service_tier"],
        &["cache_control"],
        &["system", "*", "cache_control"],
        &["tools", "*", "cache_control"],
        &["messages", "*", "content", "*", "cache_control"],
        &["messages", "*", "content", "*", "content", "*", "cache_control"],
    ]);
    const NOTHING: Ignore = Ignore(&[]);
    match endpoint {
        Endpoint::Chat | Endpoint::Completions => &CHAT,
        Endpoint::Responses => &FRAMING,
        Endpoint::Embeddings => &EMBEDDINGS,
        Endpoint::Messages => &MESSAGES,
        _ => &NOTHING,
    }
}

/// The members of any understood body that decide how it is served. Unknown ones are skipped.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<usize>,
    #[serde(rename = "generationConfig", alias = "generation_config")]
    generation: Option<GenerationConfig>,
    store: Option<bool>,
    web_search_options: Option<IgnoredAny>,
    #[serde(borrow)]
    modalities: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    tools: Option<Vec<Tool<'a>>>,
    #[serde(borrow)]
    input: Option<Input<'a>>,
    previous_response_id: Option<IgnoredAny>,
    conversation: Option<IgnoredAny>,
    continuation_id: Option<IgnoredAny>,
    background: Option<bool>,
    prompt: Option<Prompt>,
    container: Option<IgnoredAny>,
    mcp_servers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct GenerationConfig {
    #[serde(rename = "candidateCount", alias = "candidate_count")]
    candidates: Option<usize>,
}

/// One tool: OpenAI and Anthropic name its `type`, Gemini makes its kind the member's name.
#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(rename = "functionDeclarations", alias = "function_declarations")]
    functions: Option<IgnoredAny>,
}

/// `input` of `/v1/responses`: a text or items, of which only their type matters here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Input<'a> {
    Items(#[serde(borrow)] Vec<Item<'a>>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

/// `prompt`: a template at `/v1/responses`, plain text or tokens at `/v1/completions`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    Template {
        #[expect(dead_code, reason = "its presence tells a template")]
        id: IgnoredAny,
        version: Option<IgnoredAny>,
    },
    Other(IgnoredAny),
}

impl Fields<'_> {
    fn private_chat(&self) -> Option<&'static str> {
        let audio = self.modalities.iter().flatten().any(|modality| modality == "audio");
        let live = self.web_search_options.is_some()
            || self.model.as_ref().is_some_and(|model| model.contains("-search-"));
        match self {
            _ if self.store == Some(true) => Some("stored"),
            _ if live => Some("web-search"),
            _ if audio => Some("audio"),
            _ => None,
        }
    }

    /// The stateless subset of `/v1/responses`: an id that was made for one caller is never
    /// handed to another, so only answers that the provider does not keep are shared.
    fn private_response(&self) -> Option<&'static str> {
        let continues = self.previous_response_id.is_some()
            || self.conversation.is_some()
            || self.continuation_id.is_some();
        let hosted = |tool: &Tool| !matches!(tool.kind.as_deref(), Some("function" | "custom"));
        let items = match &self.input {
            Some(Input::Items(items)) => items.as_slice(),
            _ => &[],
        };
        match self {
            _ if self.store != Some(false) => Some("stored"),
            _ if continues || items.iter().any(|item| item.kind.as_deref() == Some("item_reference")) => {
                Some("stateful")
            }
            _ if self.background == Some(true) => Some("background"),
            _ if matches!(&self.prompt, Some(Prompt::Template { id: _, version: None })) => {
                Some("prompt-template")
            }
            _ if self.tools.iter().flatten().any(hosted) => Some("hosted-tool"),
            _ => None,
        }
    }

    fn private_message(&self) -> Option<&'static str> {
        let hosted = |tool: &Tool| !matches!(tool.kind.as_deref(), None | Some("custom"));
        match self {
            _ if self.container.is_some() || self.mcp_servers.is_some() => Some("stateful"),
            _ if self.tools.iter().flatten().any(hosted) => Some("hosted-tool"),
            _ => None,
        }
    }

    fn private_generation(&self) -> Option<&'static str> {
        let hosted = self.tools.iter().flatten().any(|tool| tool.functions.is_none());
        hosted.then_some("hosted-tool")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private(endpoint: Endpoint, body: &str) -> Option<&'static str> {
        Facts::read(endpoint, body.as_bytes()).private
    }

    #[test]
    fn a_chat_request_is_shared_unless_its_answer_belongs_to_one_moment_or_caller() {
        let chat = |rest: &str| private(Endpoint::Chat, &format!(r#"{{"model":"m","messages":[]{rest}}}"#));
        assert_eq!(chat(""), None);
        assert_eq!(chat(r#","store":false,"n":2,"temperature":1,"tools":[{"type":"function"}]"#), None);
        assert_eq!(chat(r#","store":true"#), Some("stored"));
        assert_eq!(chat(r#","web_search_options":{}"#), Some("web-search"));
        assert_eq!(chat(r#","modalities":["text","audio"]"#), Some("audio"));
        assert_eq!(private(Endpoint::Chat, r#"{"model":"gpt-4o-search-preview"}"#), Some("web-search"));
    }

    #[test]
    fn only_the_stateless_subset_of_responses_is_shared() {
        let response =
            |rest: &str| private(Endpoint::Responses, &format!(r#"{{"model":"m","store":false{rest}}}"#));
        assert_eq!(private(Endpoint::Responses, r#"{"model":"m","input":"hi"}"#), Some("stored"));
        assert_eq!(
            response(r#","input":"hi","tools":[{"type":"function"},{"type":"custom"}],"background":false"#),
            None
        );
        assert_eq!(
            response(r#","input":[{"role":"user","content":"hi"}],"previous_response_id":null"#),
            None
        );
        assert_eq!(response(r#","previous_response_id":"resp_1""#), Some("stateful"));
        assert_eq!(response(r#","conversation":"c""#), Some("stateful"));
        assert_eq!(response(r#","input":[{"type":"item_reference","id":"x"}]"#), Some("stateful"));
        assert_eq!(response(r#","background":true"#), Some("background"));
        assert_eq!(response(r#","prompt":{"id":"p"}"#), Some("prompt-template"));
        assert_eq!(response(r#","prompt":{"id":"p","version":"2"}"#), None);
        assert_eq!(response(r#","tools":[{"type":"file_search"}]"#), Some("hosted-tool"));
    }

    #[test]
    fn tools_that_run_at_the_provider_keep_an_answer_private() {
        assert_eq!(
            private(Endpoint::Messages, r#"{"tools":[{"name":"f"},{"type":"custom","name":"g"}]}"#),
            None
        );
        assert_eq!(
            private(Endpoint::Messages, r#"{"tools":[{"type":"web_search_20260318"}]}"#),
            Some("hosted-tool")
        );
        assert_eq!(private(Endpoint::Generate, r#"{"tools":[{"functionDeclarations":[]}]}"#), None);
        assert_eq!(private(Endpoint::Generate, r#"{"tools":[{"googleSearch":{}}]}"#), Some("hosted-tool"));
    }

    #[test]
    fn what_cannot_be_read_is_private() {
        for body in
            ["", "[]", "{", r#"{"stream":"yes"}"#, r#"{"model":"a","model":"b"}"#, "\u{0}", r#"{"a":1}x"#]
        {
            assert_eq!(private(Endpoint::Chat, body), Some("unparsed"), "{body}");
        }
        assert_eq!(Facts::read(Endpoint::Chat, b"{\"model\":\"\xff\"}").private, Some("unparsed"));
    }

    #[test]
    fn the_digest_ignores_spelling_and_the_named_members_only() {
        let digest = |body: &str| Facts::read(Endpoint::Chat, body.as_bytes()).digest;
        let base = digest(r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
        assert_eq!(
            base,
            digest(
                r#" {"messages": [{"content":"\u0068i","role":"user"}], "model":"m", "stream":true, "user":"u"}"#
            )
        );
        assert_ne!(base, digest(r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"seed":1}"#));
        assert_ne!(base, digest(r#"{"model":"m","messages":[{"role":"user","content":"hi","user":"u"}]}"#));
        assert_ne!(base, digest(r#"{"model":"m","messages":[{"role":"user","content":["hi"]}]}"#));
    }
}
