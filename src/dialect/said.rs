//! A reply as it comes, in no API's words: what was said, event by event.

use serde::Serialize;

use crate::response::shape::ProviderError;
use crate::response::usage::Usage;
use crate::sse::{Event, EventWriter};

use super::prompt::Signature;
use super::resume::Partial;

/// One step of a reply. A whole one is: begin; deltas and a finish for each choice; usage; end.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The reply begins.
    Begin {
        /// The provider's id of it.
        id: Option<String>,
        /// The model that answers, as it names itself.
        model: Option<String>,
    },
    /// More of one choice.
    Delta(u32, Delta),
    /// A choice is finished.
    Finish(u32, Finish),
    /// The tokens of the whole reply, as last reported; may come again with newer counts.
    Usage(Tokens),
    /// The provider has failed; nothing follows.
    Error(ProviderError),
    /// The reply is whole. Told only once the provider has proved it; nothing follows.
    End,
}

/// More of a choice.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text.
    Text(String),
    /// Text that says why the model will not answer.
    Refusal(String),
    /// What the model thinks.
    Thinking(String),
    /// The proof of the thought before it. Gemini proves a text so, and carries a call's own in [`Delta::Call`].
    Signature(Signature),
    /// A call begins. Calls of a choice are numbered from 0 in the order of their beginnings.
    Call {
        /// Its number.
        call: u32,
        /// Its id; every teller may rely on one, so a hearer whose API has none makes one up from the
        /// reply's id and the number.
        id: String,
        /// The tool.
        name: String,
        /// The provider's proof that the call is its own.
        signature: Option<Signature>,
    },
    /// More of the JSON text that a call's arguments are, or of a custom tool's input. All the pieces of
    /// one call together are one JSON object: a hearer says `{}` of a call without arguments.
    Arguments {
        /// The call's number.
        call: u32,
        /// The piece.
        json: String,
    },
    /// Probabilities of the tokens of the text before, in OpenAI's form: one object a token.
    Logprobs(Vec<serde_json::Value>),
}

/// Why a choice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It is whole, or a stop sequence came: this one, where the provider says.
    Stop(Option<String>),
    /// It ran into a limit of tokens.
    Length,
    /// The provider paused it, to be asked to go on (Anthropic's `pause_turn`, Gemini's `CONTINUATION`). No
    /// other API has a word for that: it is told as a limit, and not stored.
    Paused,
    /// It calls tools.
    Calls,
    /// The model or a filter held it back.
    Filtered,
}

/// The tokens of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The counts that are paid for.
    pub usage: Usage,
    /// Tokens of thinking, part of the output.
    pub thinking: u64,
}

/// Hears a provider's events.
pub trait Hear: Send + Sync {
    /// What one event says; nothing where it says nothing.
    ///
    /// # Errors
    /// The event is not what the API promises: what is wrong with it.
    fn hear(&mut self, event: &Event, said: &mut Vec<Said>) -> Result<(), &'static str>;

    /// The stream has ended. Says [`Said::End`] where its end is the only proof that the reply is whole
    /// and all before was; nothing where the reply was cut.
    fn end(&mut self, said: &mut Vec<Said>);
}

/// Tells one event of this name with this data.
pub(super) fn tell_json(out: &mut EventWriter, name: &str, data: &impl Serialize) {
    out.event(name.as_bytes(), |out| {
        // A tree of text and numbers: there is nothing that could fail.
        let _ = serde_json::to_writer(out, data);
    });
}

/// Tells a client what was said, in its events.
pub trait Tell: Send + Sync {
    /// Tells one step.
    fn tell(&mut self, said: Said, out: &mut EventWriter);

    /// Goes on from what somebody else has told. Nobody is asked to who cannot: see [`Partial::heard`].
    fn go_on(&mut self, _: &Partial) {}
}
