//! One pass over a body of any API, without a tree.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lenient::{Filled, MaybeText, Media, Name, Number, passes_over};
use super::{Content, LastMessage};
use crate::request::endpoint::Endpoint;

/// Reads a body; what could be read of one that is broken counts for nothing.
pub(super) fn read(endpoint: Endpoint, body: &[u8]) -> Content {
    let mut gathered = Gathered { inputs: is_input(endpoint), ..Gathered::default() };
    let mut parser = serde_json::Deserializer::from_slice(body);
    if Body(&mut gathered).deserialize(&mut parser).is_err() {
        return Content::default();
    }
    gathered.content()
}

/// Whether the texts of a request are single inputs rather than one conversation.
fn is_input(endpoint: Endpoint) -> bool {
    !matches!(endpoint, Endpoint::Chat | Endpoint::Responses | Endpoint::Messages | Endpoint::Generate)
}

/// What has been read so far.
#[derive(Default)]
struct Gathered<'de> {
    content: Content,
    last: Turn<'de>,
    inputs: bool,
}

impl<'de> Gathered<'de> {
    fn content(mut self) -> Content {
        let Turn { texts, speaker, more, characters, .. } = self.last;
        let several = self.inputs && self.content.messages > 1;
        if speaker == Speaker::User && !texts.is_empty() && !several {
            let text = match <[Cow<str>; 1]>::try_from(texts) {
                Ok([only]) => only.into_owned(),
                Err(texts) => texts.join("\n"),
            };
            self.content.last = Some(LastMessage { text, characters, alone: !more });
        }
        self.content
    }

    /// Takes a turn that has been read.
    fn turn(&mut self, turn: Turn<'de>) {
        self.content.characters += turn.characters;
        self.content.images |= turn.images;
        if turn.speaker != Speaker::Instructions {
            self.content.messages += 1;
            self.last = turn;
        }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Speaker {
    User,
    Instructions,
    #[default]
    Other,
}

/// One message.
#[derive(Default)]
struct Turn<'de> {
    speaker: Speaker,
    texts: Vec<Cow<'de, str>>,
    characters: usize,
    images: bool,
    /// Something that is no text.
    more: bool,
}

impl<'de> Turn<'de> {
    fn said(&mut self, text: Cow<'de, str>) {
        self.characters += text.chars().count();
        self.texts.push(text);
    }
}

macro_rules! seed {
    ($name:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_, 'de> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
                parser.deserialize_any(self)
            }
        }
    };
}

/// The body.
struct Body<'g, 'de>(&'g mut Gathered<'de>);
seed!(Body);

impl<'de> Visitor<'de> for Body<'_, 'de> {
    type Value = ();

    passes_over!(scalar, number, text, list);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let gathered = self.0;
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "messages" | "input" | "contents" | "prompt" | "query" | "requests" => {
                    map.next_value_seed(Turns(gathered))?;
                }
                "content" => map.next_value_seed(OneTurn(gathered))?,
                "system" | "instructions" | "systemInstruction" | "system_instruction" => {
                    let mut turn = Turn { speaker: Speaker::Instructions, ..Turn::default() };
                    map.next_value_seed(Parts(&mut turn))?;
                    gathered.turn(turn);
                }
                "temperature" => gathered.content.temperature = map.next_value::<Number>()?.0,
                "generationConfig" | "generation_config" => map.next_value_seed(Config(gathered))?,
                "tools" | "functions" => gathered.content.tools |= map.next_value::<Filled>()?.0,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Gemini's settings.
struct Config<'g, 'de>(&'g mut Gathered<'de>);
seed!(Config);

impl<'de> Visitor<'de> for Config<'_, 'de> {
    type Value = ();

    passes_over!(scalar, number, text, list);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "temperature" => self.0.content.temperature = map.next_value::<Number>()?.0,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A list of messages or inputs, or only one.
struct Turns<'g, 'de>(&'g mut Gathered<'de>);
seed!(Turns);

impl<'de> Visitor<'de> for Turns<'_, 'de> {
    type Value = ();

    passes_over!(scalar, number);

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        OneTurn(self.0).visit_borrowed_str(text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        OneTurn(self.0).visit_str(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(OneTurn(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        OneTurn(self.0).visit_map(map)
    }
}

/// One message or input. A text by itself is the user's; so is Gemini's without a role.
struct OneTurn<'g, 'de>(&'g mut Gathered<'de>);
seed!(OneTurn);

impl<'de> Visitor<'de> for OneTurn<'_, 'de> {
    type Value = ();

    passes_over!(scalar, number);

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.text(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tokens: A) -> Result<(), A::Error> {
        while tokens.next_element::<IgnoredAny>()?.is_some() {}
        self.0.turn(Turn::default());
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut turn = Turn::default();
        let (mut role, mut parts) = (None, false);
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "role" => role = map.next_value::<MaybeText>()?.0,
                "content" | "parts" => {
                    parts = name == "parts";
                    map.next_value_seed(Nested { turn: &mut turn, parts: &mut parts })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        turn.speaker = match role.as_deref() {
            Some("user") => Speaker::User,
            Some("system" | "developer") => Speaker::Instructions,
            None if parts => Speaker::User,
            _ => Speaker::Other,
        };
        self.0.turn(turn);
        Ok(())
    }
}

impl<'de> OneTurn<'_, 'de> {
    fn text(self, text: Cow<'de, str>) {
        let mut turn = Turn { speaker: Speaker::User, ..Turn::default() };
        turn.said(text);
        self.0.turn(turn);
    }
}

/// The content of a message; an object there is Gemini's, whose parts have no type.
struct Nested<'g, 'de> {
    turn: &'g mut Turn<'de>,
    parts: &'g mut bool,
}
seed!(Nested);

impl<'de> Visitor<'de> for Nested<'_, 'de> {
    type Value = ();

    passes_over!(scalar, number);

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        Parts(self.turn).visit_borrowed_str(text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        Parts(self.turn).visit_str(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        Parts(self.turn).visit_seq(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        *self.parts = true;
        Parts(self.turn).visit_map(map)
    }
}

/// What a message is made of: a text, parts, or an object that has them.
struct Parts<'g, 'de>(&'g mut Turn<'de>);
seed!(Parts);

impl<'de> Visitor<'de> for Parts<'_, 'de> {
    type Value = ();

    passes_over!(scalar, number);

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.0.said(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.said(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Parts(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let turn = self.0;
        let (mut kind, mut text, mut nested) = (None, None, false);
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "type" => kind = map.next_value::<MaybeText>()?.0,
                "text" => text = map.next_value::<MaybeText>()?.0,
                "parts" => {
                    nested = true;
                    map.next_value_seed(Parts(turn))?;
                }
                // The result of a tool: what it says is not the user's, but it is there.
                "content" => {
                    let mut inner = Turn::default();
                    map.next_value_seed(Parts(&mut inner))?;
                    turn.characters += inner.characters;
                    turn.images |= inner.images;
                }
                "inlineData" | "inline_data" | "fileData" | "file_data" => {
                    turn.images |= map.next_value::<Media>()?.is_image;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let said = matches!(kind.as_deref(), None | Some("text" | "input_text" | "output_text"));
        match text {
            Some(text) if said => turn.said(text),
            _ if nested => {}
            _ => {
                turn.images |=
                    kind.is_some_and(|kind| matches!(&*kind, "image" | "image_url" | "input_image"));
                turn.more = true;
            }
        }
        Ok(())
    }
}
