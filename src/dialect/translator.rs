//! A reply on its way from a provider's API to a client's: events in, events out.

use bytes::Bytes;

use super::Api;
use super::chat::{ChatHearer, ChatTeller};
use super::errors;
use super::generate::{GenerateHearer, GenerateTeller};
use super::messages::{MessagesHearer, MessagesTeller};
use super::prompt::{CUSTOM_INPUT, Format, Prompt};
use super::responses::ResponsesTeller;
use super::resume::Partial;
use super::said::{Delta, Finish, Hear, Said, Tell, Tokens};
use super::seam::Seam;
use crate::response::shape::{self, ProviderError};
use crate::response::usage::Usage;
use crate::sse::{Event, EventWriter};

/// Room for what most events are told as, in bytes.
const USUAL_EVENT: usize = 256;

/// What a reply is marked with where the provider's own does not say it.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// An id nobody else has.
    pub id: String,
    /// Now, in seconds since 1970.
    pub created: u64,
    /// The model asked for.
    pub model: String,
}

impl Stamp {
    /// The reply begins: what the provider itself says of it counts.
    pub(super) fn begin(&mut self, id: Option<String>, model: Option<String>) {
        if let Some(id) = id {
            self.id = id;
        }
        if let Some(model) = model {
            self.model = model;
        }
    }
}

/// Why a reply could not be translated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistold {
    /// It is not what the provider's API promises.
    #[error("{0}")]
    Broken(&'static str),
    /// It is an error, in spite of its status; in the words of the client's API.
    #[error("{}", .0.message)]
    Failed(ProviderError),
}

/// Translates one reply.
pub struct Translator {
    provider: Api,
    client: Api,
    hear: Box<dyn Hear>,
    tell: Box<dyn Tell>,
    said: Vec<Said>,
    /// The tokens used, as last reported.
    tokens: Option<Tokens>,
    /// The provider paused the answer.
    paused: bool,
    /// The failure was told; nothing follows.
    failed: bool,
    /// The names of custom tools: their input came wrapped in an object.
    custom: Vec<String>,
    /// Text that has to be one JSON object in the end, where the provider was only asked for it.
    json: Option<String>,
    /// The custom calls under way: choice, call, the JSON so far.
    wrapped: Vec<(u32, u32, String)>,
    /// Where the reply goes on from an answer that broke off.
    seam: Option<Seam>,
}

/// Who hears a provider's events; `None` where nobody does yet.
pub(super) fn hearer(provider: Api) -> Option<Box<dyn Hear>> {
    Some(match provider {
        Api::Chat => Box::new(ChatHearer::default()),
        Api::Messages => Box::new(MessagesHearer::default()),
        Api::Generate => Box::new(GenerateHearer::default()),
        Api::Responses => return None,
    })
}

impl Translator {
    /// A translator of the reply that `provider` gives to `prompt`; `None` where it has no words yet.
    pub fn new(provider: Api, prompt: &Prompt, stamp: Stamp) -> Option<Self> {
        let hear = hearer(provider)?;
        let tell: Box<dyn Tell> = match prompt.client {
            Api::Chat => Box::new(ChatTeller::new(prompt, stamp)),
            Api::Messages => Box::new(MessagesTeller::new(prompt, stamp)),
            Api::Responses => Box::new(ResponsesTeller::new(prompt, stamp)),
            Api::Generate => Box::new(GenerateTeller::new(prompt, stamp)),
        };
        let custom = prompt.tools.iter().filter(|tool| tool.custom).map(|tool| tool.name.clone()).collect();
        // Anthropic has no words for JSON of any schema.
        let json = (prompt.format == Format::JsonObject && provider == Api::Messages).then(String::new);
        let client = prompt.client;
        Some(Self {
            provider,
            client,
            hear,
            tell,
            said: Vec::new(),
            tokens: None,
            paused: false,
            failed: false,
            custom,
            json,
            wrapped: Vec::new(),
            seam: None,
        })
    }

    /// The reply is the rest of an answer that the client was told `partial` of, at the price of `before`:
    /// both become one. It begins with `repeated`, which the client was told.
    #[must_use]
    pub fn going_on(mut self, partial: &Partial, before: Usage, repeated: String) -> Self {
        self.tell.go_on(partial);
        self.seam = Some(Seam::new(partial, before, repeated));
        self
    }

    /// Translates the next event: into none, one or several.
    ///
    /// # Errors
    /// It is not what the provider's API promises.
    pub fn event(&mut self, event: &Event) -> Result<Vec<Event>, Mistold> {
        self.hear.hear(event, &mut self.said).map_err(Mistold::Broken)?;
        Ok(self.told())
    }

    /// Translates the end of the stream. Events that do not end the answer mean that it was cut.
    pub fn end(&mut self) -> Vec<Event> {
        self.hear.end(&mut self.said);
        self.told()
    }

    /// The tokens the provider has reported: with counts that not every API has words for.
    pub const fn tokens(&self) -> Option<Tokens> {
        self.tokens
    }

    /// Whether the provider paused the answer: it may be told as whole, but asking again may bring more.
    pub const fn paused(&self) -> bool {
        self.paused
    }

    /// Translates a whole JSON body.
    ///
    /// # Errors
    /// It is an error, or not what the provider's API promises.
    pub fn body(&mut self, body: &[u8]) -> Result<Bytes, Mistold> {
        let shape = self.provider.shape();
        if let Some(error) = shape::inspect(shape, body).error {
            return Err(Mistold::Failed(errors::reworded(self.client, &error)));
        }
        let events = match self.provider {
            // What Gemini streams is a body each.
            Api::Generate => vec![Event::new(None, body)],
            _ => shape::unfold_whole(shape, body).map_err(|why| Mistold::Broken(why.0))?,
        };
        let mut told = Vec::new();
        for event in events {
            self.hear.hear(&event, &mut self.said).map_err(Mistold::Broken)?;
            if let Some(Said::Error(error)) = self.said.iter().find(|said| matches!(said, Said::Error(_))) {
                return Err(Mistold::Failed(errors::reworded(self.client, error)));
            }
            told.append(&mut self.told());
        }
        told.append(&mut self.end());
        shape::fold(self.client.shape(), &told).map_err(|why| Mistold::Broken(why.0))
    }

    fn told(&mut self) -> Vec<Event> {
        if self.said.is_empty() {
            return Vec::new();
        }
        let mut out = EventWriter::with_capacity(USUAL_EVENT);
        // The list goes on being used: there is one step to most events.
        let mut steps = std::mem::take(&mut self.said);
        for said in steps.drain(..) {
            if self.failed {
                break;
            }
            let said = match self.checked(said) {
                Said::Error(error) => {
                    self.failed = true;
                    Said::Error(errors::reworded(self.client, &error))
                }
                Said::Finish(choice, Finish::Paused) => {
                    self.paused = true;
                    Said::Finish(choice, Finish::Paused)
                }
                Said::Usage(tokens) => {
                    self.tokens = Some(tokens);
                    Said::Usage(tokens)
                }
                said => said,
            };
            match &mut self.seam {
                Some(seam) => {
                    for said in seam.sewn(said).into_iter().flatten() {
                        self.tell(said, &mut out);
                    }
                }
                None => self.tell(said, &mut out),
            }
        }
        self.said = steps;
        out.finish()
    }

    fn tell(&mut self, said: Said, out: &mut EventWriter) {
        match self.unwrapped(said) {
            Unwrapped::As(said) => self.tell.tell(said, out),
            Unwrapped::Held => {}
            Unwrapped::After(input, said) => {
                self.tell.tell(input, out);
                self.tell.tell(said, out);
            }
        }
    }

    /// Takes care that JSON which was only asked for is JSON: an answer of another form is a failure.
    fn checked(&mut self, said: Said) -> Said {
        match (&mut self.json, &said) {
            (Some(json), Said::Delta(_, Delta::Text(text))) => json.push_str(text),
            (Some(json), Said::Finish(_, Finish::Stop(_)))
                if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).is_err() =>
            {
                return Said::Error(ProviderError {
                    status: 502,
                    message: "The model did not answer with one JSON object.".to_owned(),
                    kind: None,
                    code: None,
                });
            }
            _ => {}
        }
        said
    }

    /// Holds the input of a custom tool back until it is whole, and takes it out of its wrapping.
    fn unwrapped(&mut self, said: Said) -> Unwrapped {
        if self.custom.is_empty() {
            return Unwrapped::As(said);
        }
        match said {
            Said::Delta(choice, Delta::Arguments { call, json }) => {
                match self.wrapped.iter_mut().find(|(c, n, _)| (*c, *n) == (choice, call)) {
                    Some((_, _, held)) => {
                        held.push_str(&json);
                        Unwrapped::Held
                    }
                    None => Unwrapped::As(Said::Delta(choice, Delta::Arguments { call, json })),
                }
            }
            said => {
                let whole = self.wrapped.pop().map(|(choice, call, json)| {
                    Said::Delta(choice, Delta::Arguments { call, json: input_of(json) })
                });
                if let Said::Delta(choice, Delta::Call { call, name, .. }) = &said
                    && self.custom.contains(name)
                {
                    self.wrapped.push((*choice, *call, String::new()));
                }
                match whole {
                    Some(input) => Unwrapped::After(input, said),
                    None => Unwrapped::As(said),
                }
            }
        }
    }
}

enum Unwrapped {
    As(Said),
    Held,
    /// What was held back, and what shows that it is whole.
    After(Said, Said),
}

/// The free text of a custom tool's call; arguments of another form are given as they are.
fn input_of(json: String) -> String {
    let wrapped: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&json).ok();
    match wrapped.and_then(|mut members| members.shift_remove(CUSTOM_INPUT)) {
        Some(serde_json::Value::String(input)) => input,
        _ => json,
    }
}
