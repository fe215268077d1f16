//! What a request needs of a model, read from its body in the words of its API.

mod generate;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::request::endpoint::Endpoint;
use generate::Generation;

/// Bytes of a request's body that make at least one token, to tell one that cannot fit. English has
/// about four; this errs towards trying.
const BYTES_PER_TOKEN: u64 = 6;
/// Parts of messages whose bytes make no tokens by their number.
const MEDIA: [&str; 7] =
    ["image_url", "image", "input_image", "input_audio", "file", "input_file", "document"];
/// Those of them that are images.
const IMAGES: [&str; 3] = ["image_url", "image", "input_image"];

/// What a request needs of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub(super) tools: bool,
    pub(super) images: bool,
    pub(super) json_schema: bool,
    pub(super) sampling: bool,
    pub(super) forced_tools: bool,
    pub(super) prefill: bool,
    /// Vectors of another length than the model's own.
    pub(super) dimensions: bool,
    /// The answer comes in events.
    pub(super) stream: bool,
    /// At least this many tokens of input.
    pub(super) tokens: u64,
}

impl Needs {
    /// What a request needs. What cannot be read needs nothing: the provider judges it.
    pub fn of(endpoint: Endpoint, body: &[u8], stream: bool) -> Self {
        let read = match endpoint {
            Endpoint::Chat | Endpoint::Completions | Endpoint::Messages => read::<Conversation>(body),
            Endpoint::Responses => read::<Response>(body),
            Endpoint::Generate => read::<Generation>(body),
            Endpoint::Embeddings | Endpoint::EmbedContent => read::<Embedding>(body),
            Endpoint::BatchEmbedContents => read::<Batch>(body),
            Endpoint::Moderations | Endpoint::VectorStoreSearch => None,
        };
        let Some((needs, media)) = read else { return Self::default() };
        // Media are told by their bytes, but counted otherwise; vectors have a window for each input.
        let tokens = if media || endpoint.embeds() { 0 } else { body.len() as u64 / BYTES_PER_TOKEN };
        Self { stream, tokens, ..needs }
    }
}

/// A body that says what it needs.
trait Asks {
    fn needs(&self) -> Needs;

    /// Whether it has parts whose bytes make no tokens by their number.
    fn has_media(&self) -> bool {
        false
    }
}

fn read<'b, T: Asks + Deserialize<'b>>(body: &'b [u8]) -> Option<(Needs, bool)> {
    let asked: T = serde_json::from_slice(body).ok()?;
    Some((asked.needs(), asked.has_media()))
}

/// OpenAI's chat and text completions, and Anthropic's messages.
#[derive(Deserialize)]
struct Conversation<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    functions: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<Choice<'a>>,
    #[serde(borrow)]
    response_format: Option<Typed<'a>>,
    #[serde(borrow)]
    output_config: Option<Output<'a>>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<IgnoredAny>,
    #[serde(borrow)]
    messages: Option<Vec<Message<'a>>>,
}

impl Conversation<'_> {
    fn has(&self, kinds: &[&str]) -> bool {
        self.messages.iter().flatten().any(|message| has(message.content.as_ref(), kinds))
    }
}

impl Asks for Conversation<'_> {
    fn needs(&self) -> Needs {
        let format = self.output_config.as_ref().and_then(|output| output.format.as_ref());
        Needs {
            tools: some(self.tools) || some(self.functions),
            images: self.has(&IMAGES),
            json_schema: is_schema(self.response_format.as_ref()) || is_schema(format),
            sampling: samples(self.temperature, self.top_p, self.top_k),
            forced_tools: self.tool_choice.as_ref().is_some_and(Choice::forces),
            prefill: is_prefilled(self.messages.as_deref().unwrap_or_default()),
            ..Needs::default()
        }
    }

    fn has_media(&self) -> bool {
        self.has(&MEDIA)
    }
}

/// OpenAI's responses.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<Choice<'a>>,
    #[serde(borrow)]
    text: Option<Output<'a>>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    #[serde(borrow)]
    input: Option<Input<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input<'a> {
    Items(#[serde(borrow)] Vec<Message<'a>>),
    Other(IgnoredAny),
}

impl Response<'_> {
    fn items(&self) -> &[Message<'_>] {
        match &self.input {
            Some(Input::Items(items)) => items,
            Some(Input::Other(_)) | None => &[],
        }
    }

    fn has(&self, kinds: &[&str]) -> bool {
        let item = |item: &Message| has(item.content.as_ref().or(item.output.as_ref()), kinds);
        self.items().iter().any(item)
    }
}

impl Asks for Response<'_> {
    fn needs(&self) -> Needs {
        Needs {
            tools: some(self.tools),
            images: self.has(&IMAGES),
            json_schema: is_schema(self.text.as_ref().and_then(|text| text.format.as_ref())),
            sampling: samples(self.temperature, self.top_p, None),
            forced_tools: self.tool_choice.as_ref().is_some_and(Choice::forces),
            prefill: is_prefilled(self.items()),
            ..Needs::default()
        }
    }

    fn has_media(&self) -> bool {
        self.has(&MEDIA)
    }
}

/// OpenAI's and Gemini's requests for vectors.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Embedding {
    #[serde(alias = "outputDimensionality", alias = "output_dimensionality")]
    dimensions: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Batch {
    requests: Vec<Embedding>,
}

impl Asks for Embedding {
    fn needs(&self) -> Needs {
        Needs { dimensions: self.dimensions.is_some(), ..Needs::default() }
    }
}

impl Asks for Batch {
    fn needs(&self) -> Needs {
        let dimensions = self.requests.iter().any(|request| request.dimensions.is_some());
        Needs { dimensions, ..Needs::default() }
    }
}

/// A message, or an item of responses.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    /// What a tool gave, in responses.
    #[serde(borrow)]
    output: Option<Content<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Parts(#[serde(borrow)] Vec<Part<'a>>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    /// What a tool gave, in messages.
    #[serde(borrow)]
    content: Option<Content<'a>>,
}

/// Where messages and responses say the form of their answer.
#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    format: Option<Typed<'a>>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

/// How much tools are called: `required`, or Gemini's `ANY`.
#[derive(Deserialize)]
struct Calling<'a> {
    #[serde(borrow)]
    mode: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(#[serde(borrow)] Cow<'a, str>),
    Of {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        /// Responses: of the tools that are allowed.
        #[serde(borrow)]
        mode: Option<Cow<'a, str>>,
        /// The same in chat.
        #[serde(borrow)]
        allowed_tools: Option<Calling<'a>>,
    },
    Other(IgnoredAny),
}

impl Choice<'_> {
    /// Whether a call must come.
    fn forces(&self) -> bool {
        match self {
            Self::Word(word) => word == "required",
            Self::Of { kind, mode, allowed_tools } => match &**kind {
                "auto" | "none" => false,
                "allowed_tools" => {
                    let inner = allowed_tools.as_ref().and_then(|tools| tools.mode.as_ref());
                    mode.as_ref().or(inner).is_some_and(|mode| mode == "required")
                }
                _ => true,
            },
            Self::Other(_) => false,
        }
    }
}

fn has(content: Option<&Content>, kinds: &[&str]) -> bool {
    let Some(Content::Parts(parts)) = content else { return false };
    parts.iter().any(|part| {
        part.kind.as_ref().is_some_and(|kind| kinds.contains(&&**kind)) || has(part.content.as_ref(), kinds)
    })
}

/// Whether tokens are to be picked otherwise than by a model's own ways.
fn samples(temperature: Option<f64>, top_p: Option<f64>, top_k: Option<IgnoredAny>) -> bool {
    temperature.is_some_and(|temperature| (temperature - 1.0).abs() > f64::EPSILON)
        || top_p.is_some_and(|share| share < 1.0)
        || top_k.is_some()
}

fn is_schema(format: Option<&Typed>) -> bool {
    format.is_some_and(|format| format.kind.as_deref() == Some("json_schema"))
}

/// Whether a list is there and has anything in it.
fn some(list: Option<&RawValue>) -> bool {
    list.is_some_and(|list| list.get().len() > "[]".len() && list.get() != "null")
}

/// Whether the last message is one of the assistant's, which the answer is to continue.
fn is_prefilled(messages: &[Message]) -> bool {
    messages.last().is_some_and(|message| message.role.as_deref() == Some("assistant"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(endpoint: Endpoint, body: &str) -> Needs {
        Needs { tokens: 0, ..Needs::of(endpoint, body.as_bytes(), false) }
    }

    #[test]
    fn a_choice_forces_a_call_or_does_not() {
        for (choice, forces) in [
            (r#""required""#, true),
            (r#""auto""#, false),
            (r#"{"type":"function","function":{"name":"auto"}}"#, true),
            (r#"{"type":"any"}"#, true),
            (r#"{"type":"none"}"#, false),
            (r#"{"type":"allowed_tools","mode":"auto","tools":[]}"#, false),
            (r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[]}}"#, true),
        ] {
            let body = format!(r#"{{"messages":[],"tool_choice":{choice}}}"#);
            assert_eq!(needs(Endpoint::Chat, &body).forced_tools, forces, "{choice}");
        }
    }

    #[test]
    fn images_are_found_in_what_tools_gave_and_their_bytes_make_no_tokens() {
        let data = "x".repeat(4_000_000);
        for (endpoint, body) in [
            (
                Endpoint::Messages,
                r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image","source":"DATA"}]}]}]}"#,
            ),
            (
                Endpoint::Responses,
                r#"{"input":[{"type":"function_call_output","output":[{"type":"input_image","image_url":"DATA"}]}]}"#,
            ),
            (
                Endpoint::Generate,
                r#"{"contents":[{"parts":[{"inline_data":{"mime_type":"image/png","data":"DATA"}}]}]}"#,
            ),
        ] {
            let needs = Needs::of(endpoint, body.replace("DATA", &data).as_bytes(), false);
            assert_eq!((needs.images, needs.tokens), (true, 0), "{body}");
        }
        let document =
            format!(r#"{{"messages":[{{"role":"user","content":[{{"type":"file","file":"{data}"}}]}}]}}"#);
        let needs = Needs::of(Endpoint::Chat, document.as_bytes(), false);
        assert_eq!((needs.images, needs.tokens), (false, 0));
    }

    #[test]
    fn what_is_empty_or_usual_needs_nothing() {
        for (endpoint, body) in [
            (
                Endpoint::Chat,
                r#"{"messages":[],"tools":[],"temperature":1,"top_p":1.0,"response_format":{"type":"text"}}"#,
            ),
            (Endpoint::Responses, r#"{"input":"hi","tools":null,"text":{"format":{"type":"text"}}}"#),
            (
                Endpoint::Generate,
                r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"temperature":1}}"#,
            ),
            (Endpoint::Embeddings, r#"{"input":"hi","dimensions":null}"#),
            (Endpoint::Chat, "no JSON"),
        ] {
            assert_eq!(needs(endpoint, body), Needs::default(), "{body}");
        }
    }
}
