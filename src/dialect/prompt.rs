//! A request for a conversation's next turn, in no API's words.

use std::borrow::Cow;

use serde_json::{Map, Number, Value, json};

use super::Api;

/// What is asked. Every reader makes one, every writer says it in its API's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// The API the client asked in: it has its names for what cannot be said.
    pub client: Api,
    /// The conversation so far. Turns of one role in a row are one turn.
    pub turns: Vec<Turn>,
    /// The functions the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it must or may call.
    pub tool_choice: ToolChoice,
    /// Whether it may call several at once.
    pub parallel_calls: bool,
    /// The form of the answer.
    pub format: Format,
    /// The limit of the answer's tokens, thinking included.
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers; at least 1.
    pub choices: u32,
    /// How the tokens are picked.
    pub sampling: Sampling,
    /// How many likeliest tokens to report beside each token; `Some(0)` reports the token alone.
    pub logprobs: Option<u64>,
    /// How hard to think.
    pub effort: Option<Effort>,
    /// The client wants to see what the model thinks.
    pub thoughts: bool,
    /// How long-winded: OpenAI's `verbosity`, where it is not the usual `medium`.
    pub verbosity: Option<String>,
    /// A name for the end user, opaque, for the provider's watch on abuse.
    pub user: Option<String>,
    /// The answer comes as events.
    pub stream: bool,
    /// The client knows function calls only in OpenAI's first form (`functions`, `function_call`).
    pub legacy_functions: bool,
    /// What an answer in the client's API repeats of its request (responses do).
    pub echo: Map<String, Value>,
}

impl Prompt {
    /// An empty prompt of a client's.
    pub fn new(client: Api) -> Self {
        Self {
            client,
            turns: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_calls: true,
            format: Format::Text,
            max_tokens: None,
            stop: Vec::new(),
            choices: 1,
            sampling: Sampling::NONE,
            logprobs: None,
            effort: None,
            thoughts: false,
            verbosity: None,
            user: None,
            stream: false,
            legacy_functions: false,
            echo: Map::new(),
        }
    }

    /// Adds what `role` says next; `at` is its place in the client's own list.
    pub fn say(&mut self, role: Role, at: usize, parts: Vec<Part>) {
        match self.turns.last_mut() {
            Some(last) if last.role == role => last.parts.extend(parts),
            _ => self.turns.push(Turn { role, at, parts }),
        }
    }

    /// The name of the function that was called under this id.
    pub fn called(&self, id: &str) -> Option<&str> {
        let calls = self.turns.iter().flat_map(|turn| &turn.parts);
        calls.filter_map(Part::as_call).find(|call| call.id == id).map(|call| call.name.as_str())
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The application: OpenAI's `system` and `developer`.
    System,
    /// The user, and the tools: results of calls are parts of a user's turn.
    User,
    /// The model.
    Assistant,
}

/// What one of them said, without interruption by the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Who.
    pub role: Role,
    /// The place of its first message in the client's own list.
    pub at: usize,
    /// What.
    pub parts: Vec<Part>,
}

/// One part of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text, never empty.
    Text(String),
    /// An image.
    Image(Source),
    /// A document, PDF as a rule.
    Document {
        /// Where it is.
        source: Source,
        /// Its file name or title.
        name: Option<String>,
    },
    /// Sound.
    Audio(Source),
    /// What the model thought before it spoke. A provider takes only thoughts it has signed itself.
    Thinking {
        /// The thought; empty where the provider keeps it secret.
        text: String,
        /// The proof that it is the provider's own.
        signature: Option<Signature>,
    },
    /// The model calls a tool.
    Call(Call),
    /// What a tool answered.
    Result(ToolResult),
    /// What comes before may be kept in the provider's prompt cache.
    CachePoint,
}

impl Part {
    /// The call that this part is.
    pub const fn as_call(&self) -> Option<&Call> {
        match self {
            Self::Call(call) => Some(call),
            _ => None,
        }
    }

    /// The result that this part is.
    pub const fn as_result(&self) -> Option<&ToolResult> {
        match self {
            Self::Result(result) => Some(result),
            _ => None,
        }
    }
}

/// Where the bytes of an image, a document or a sound are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the request.
    Base64 {
        /// `image/png` for example.
        media_type: String,
        /// The bytes, in base64.
        data: String,
    },
    /// Somewhere the provider can fetch them.
    Url {
        /// The address.
        url: String,
        /// The media type, where the client says so.
        media_type: Option<String>,
    },
}

/// A provider's proof that a thought or call is its own, opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Whose.
    pub by: Api,
    /// The proof.
    pub data: String,
    /// Anthropic's `redacted_thinking`: the proof is the thought.
    pub redacted: bool,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What its result refers to.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as JSON text, an object; of a custom tool, its input as it is.
    pub arguments: String,
    /// It is a call of a custom tool.
    pub custom: bool,
    /// The provider's proof that the call is its own (Gemini's `thoughtSignature`).
    pub signature: Option<Signature>,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The id of the call.
    pub id: String,
    /// Texts, images and documents.
    pub content: Vec<Part>,
    /// The tool failed.
    pub failed: bool,
}

impl Call {
    /// The arguments as an object: none are `{}`, a custom tool's input is wrapped as
    /// [`Tool::parameters`] says. `None` where they are no JSON object.
    pub fn input(&self) -> Option<Map<String, Value>> {
        if self.custom {
            return Some(Map::from_iter([(CUSTOM_INPUT.to_owned(), self.arguments.as_str().into())]));
        }
        if self.arguments.trim().is_empty() {
            return Some(Map::new());
        }
        serde_json::from_str(&self.arguments).ok()
    }
}

/// The one argument of a custom tool where a provider only knows functions.
pub(super) const CUSTOM_INPUT: &str = "input";

/// A function the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its place in the client's own list.
    pub at: usize,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON schema of its arguments, an object; `None`: it has none.
    pub schema: Option<Value>,
    /// Arguments must match the schema exactly.
    pub strict: bool,
    /// It takes free text instead of arguments (OpenAI's custom tools).
    pub custom: bool,
    /// The tools up to here may be kept in the provider's prompt cache.
    pub cache_point: bool,
}

impl Tool {
    /// The schema of its arguments, where a provider only knows functions: a custom tool's is an object
    /// with its input, which the translator takes out again.
    pub fn parameters(&self) -> Option<Cow<'_, Value>> {
        if self.custom {
            let schema = json!({
                "type": "object",
                "properties": {CUSTOM_INPUT: {"type": "string"}},
                "required": [CUSTOM_INPUT],
                "additionalProperties": false,
            });
            return Some(Cow::Owned(schema));
        }
        self.schema.as_ref().map(Cow::Borrowed)
    }
}

/// Which tool must or may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// Any or none.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// The form of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of this schema.
    Schema {
        /// The client's name of the schema.
        name: Option<String>,
        /// What it is.
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// The answer must match it exactly.
        strict: bool,
    },
}

/// How the tokens are picked. `None` is the provider's default; so is what the API documents as its
/// default, since readers leave that out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 to 2; see the writers for what each model takes.
    pub temperature: Option<Number>,
    /// 0 to 1.
    pub top_p: Option<Number>,
    /// At least 1.
    pub top_k: Option<u64>,
    /// Any integer.
    pub seed: Option<Number>,
    /// -2 to 2; never 0.
    pub presence_penalty: Option<Number>,
    /// -2 to 2; never 0.
    pub frequency_penalty: Option<Number>,
}

impl Sampling {
    /// The provider's defaults.
    pub const NONE: Self = Self {
        temperature: None,
        top_p: None,
        top_k: None,
        seed: None,
        presence_penalty: None,
        frequency_penalty: None,
    };
}

/// How hard to think: OpenAI's words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as can be.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// Much.
    High,
    /// More than much.
    XHigh,
    /// As much as can be.
    Max,
}

impl Effort {
    /// OpenAI's name of each.
    const NAMES: [(&'static str, Self); 7] = [
        ("none", Self::None),
        ("minimal", Self::Minimal),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("xhigh", Self::XHigh),
        ("max", Self::Max),
    ];

    /// The effort OpenAI and Anthropic call so.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, effort)| *effort)
    }

    /// What OpenAI calls it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, effort)| *effort == self).map_or("medium", |(name, _)| name)
    }
}
