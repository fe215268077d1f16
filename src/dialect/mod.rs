//! One conversation in any provider's words: requests and replies translated by way of one form.
//!
//! A client's request is read into a [`Prompt`], a prompt is written for any provider; a provider's
//! events are heard as [`said::Said`], and what was said is told in any client's events. So n dialects need
//! n readers and writers, not one for each pair. A JSON body goes the same way as a stream: it is
//! unfolded, translated and folded again.
//!
//! What cannot be said faithfully is [`Untranslatable`], with the client's own field and the reason.
//! Left out without a word is only what changes neither the answer nor its shape.
//!
//! Pure: no clock, no network, no async.

pub mod chat;
pub mod errors;
pub mod generate;
mod held;
mod members;
pub mod messages;
mod pairing;
pub mod prompt;
pub mod responses;
pub mod resume;
pub mod said;
mod schema;
mod seam;
pub mod translator;

use std::borrow::Cow;

use crate::config::Dialect;
use crate::request::endpoint::Endpoint;
use crate::response::shape::Shape;

pub use chat::Server;
pub use prompt::Prompt;
pub use translator::{Stamp, Translator};

/// An API that conversations are held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// OpenAI's `/v1/chat/completions`, spoken by every compatible server.
    Chat,
    /// OpenAI's `/v1/responses`.
    Responses,
    /// Anthropic's `/v1/messages`.
    Messages,
    /// Gemini's `generateContent`.
    Generate,
}

impl Api {
    /// The API of an endpoint; `None` where it is no conversation.
    pub const fn of(endpoint: Endpoint) -> Option<Self> {
        match endpoint {
            Endpoint::Chat => Some(Self::Chat),
            Endpoint::Responses => Some(Self::Responses),
            Endpoint::Messages => Some(Self::Messages),
            Endpoint::Generate => Some(Self::Generate),
            _ => None,
        }
    }

    /// The API a provider of this dialect is asked in by whoever asks in another one.
    pub const fn spoken_in(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Openai => Self::Chat,
            Dialect::Anthropic => Self::Messages,
            Dialect::Gemini => Self::Generate,
        }
    }

    /// The form of its answers.
    pub const fn shape(self) -> Shape {
        match self {
            Self::Chat => Shape::Chat,
            Self::Responses => Shape::Responses,
            Self::Messages => Shape::Messages,
            Self::Generate => Shape::Gemini,
        }
    }

    /// What the client of this API calls something that a provider cannot be told.
    fn field(self, field: Field) -> Cow<'static, str> {
        match self {
            Self::Chat => chat::field(field),
            Self::Messages => messages::field(field),
            Self::Responses => responses::field(field),
            Self::Generate => generate::field(field),
        }
    }
}

/// What of a request cannot be said to a provider, and why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {reason}")]
pub struct Untranslatable {
    /// The path of the member in the client's request, as `messages[2].content[0]`.
    pub field: Cow<'static, str>,
    /// What is wrong with it, to be read after the field's name.
    pub reason: &'static str,
}

/// A part of a [`Prompt`] that a provider has no words for; [`Untranslatable`] once the client's name
/// for it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsayable(pub Field, pub &'static str);

/// The parts of a [`Prompt`], to say which of them a provider has no words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The turn that stands at this place in the client's own list.
    Turn(usize),
    /// The tool that stands at this place in the client's own list.
    Tool(usize),
    /// Which tool must or may be called.
    ToolChoice,
    /// Whether several tools may be called at once.
    ParallelCalls,
    /// The form of the answer.
    Format,
    /// The limit of the answer's tokens.
    MaxTokens,
    /// Texts that end the answer.
    Stop,
    /// How many answers.
    Choices,
    /// How hard to think.
    Effort,
    /// Sampling temperature.
    Temperature,
    /// Nucleus sampling.
    TopP,
    /// Sampling among the k likeliest.
    TopK,
    /// Seed of the sampling.
    Seed,
    /// Penalty on what was said.
    PresencePenalty,
    /// Penalty on how often it was said.
    FrequencyPenalty,
    /// Probabilities of the tokens.
    Logprobs,
    /// How long-winded.
    Verbosity,
}

/// The model a prompt is written for, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    /// Whose server it is, where it speaks OpenAI's API.
    pub server: Server,
}

/// Reads a client's request.
///
/// # Errors
/// No other API has words for something in it, or it is not what its API describes.
pub fn read(client: Api, body: &[u8]) -> Result<Prompt, Untranslatable> {
    match client {
        Api::Chat => chat::read(body),
        Api::Messages => messages::read(body),
        Api::Responses => responses::read(body),
        Api::Generate => generate::read(body),
    }
}

/// Writes a request body for a provider.
///
/// # Errors
/// This provider or model has no words for something in it.
pub fn write(provider: Api, prompt: &Prompt, target: Target) -> Result<Vec<u8>, Untranslatable> {
    let written = match provider {
        Api::Messages => messages::write(prompt, target),
        Api::Chat => chat::write(prompt, target),
        Api::Generate => generate::write(prompt, target),
        Api::Responses => Err(Unsayable(Field::Format, "cannot be said in this provider's API")),
    };
    let body = written
        .map_err(|Unsayable(field, reason)| Untranslatable { field: prompt.client.field(field), reason })?;
    let body = body.to_string().into_bytes();
    Ok(if provider == Api::Chat { target.server.adapted(&body).unwrap_or(body) } else { body })
}

/// A request that needs no translation, without what only a translated answer can have brought into it
/// and in its server's own words; `None` where it is fine as it is. Apps send back what they got, and the
/// provider it comes from next may refuse what another one's answer had.
pub fn cleaned(api: Api, server: Server, body: &[u8]) -> Option<Vec<u8>> {
    match api {
        Api::Chat => server.adapted(body),
        Api::Messages => messages::cleaned(body),
        Api::Responses => responses::cleaned(body),
        Api::Generate => None,
    }
}

/// A request that Gemini is asked with, in `api`'s words, with the stand-in that Google documents in place of
/// every proof of whose calls they are; `None` where no proof is to be replaced.
pub fn unproved(api: Api, body: &[u8]) -> Option<Vec<u8>> {
    match api {
        Api::Generate => generate::unproved(body),
        Api::Chat => chat::unproved(body),
        Api::Messages | Api::Responses => None,
    }
}

/// The path and query a provider is asked at.
pub fn path(provider: Api, target: Target, stream: bool) -> String {
    match provider {
        Api::Chat => "/v1/chat/completions".to_owned(),
        Api::Responses => "/v1/responses".to_owned(),
        Api::Messages => "/v1/messages".to_owned(),
        Api::Generate => generate::path(target, stream),
    }
}
