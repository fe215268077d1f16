//! Text as people type it: folded, so that spellings of the same words compare equal. Pure.
//!
//! What each step does, and why, is written in `docs/normalisation.md`.

mod arabic;
mod class;
mod code;
mod emoji;
mod language;
mod normal;
mod punctuation;
mod runs;
mod whitespace;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use class::{Class, consists_of};
use code::Part;
pub use language::{Language, Script, is_written_in};

/// Longer texts (in bytes) are not folded: they are documents, not something people type again.
pub const LONGEST: usize = 16 * 1024;

/// Passes after which a text that still changes is left as it was. Real texts take two.
const MOST_PASSES: usize = 8;

/// One way in which two spellings may differ and still be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Runs of white space become one space, none at the ends; invisible characters go.
    Whitespace,
    /// Capital and small letters are the same.
    Case,
    /// The punctuation of prose goes; what belongs to a number or a name such as C# stays.
    Punctuation,
    /// Arabic-Indic digits are written 0 to 9.
    Digits,
    /// Arabic without diacritics and tatweel, its alef, hamza, yaa and taa marbuta forms unified.
    Arabic,
    /// Emoji go.
    Emoji,
}

impl Step {
    /// Every step, in the order they are taken. What empties a text is not done, so emoji go last:
    /// of "!😀" the emoji is left.
    pub const ALL: [Self; 6] =
        [Self::Digits, Self::Arabic, Self::Case, Self::Punctuation, Self::Emoji, Self::Whitespace];

    /// The name it is written by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whitespace => "whitespace",
            Self::Case => "case",
            Self::Punctuation => "punctuation",
            Self::Digits => "digits",
            Self::Arabic => "arabic",
            Self::Emoji => "emoji",
        }
    }

    fn apply(self, text: &str, place: Place) -> String {
        match self {
            Self::Whitespace => whitespace::fold(text, place),
            Self::Case => caseless::default_case_fold_str(text),
            Self::Punctuation => punctuation::fold(text, place),
            Self::Digits => arabic::fold_digits(text),
            Self::Arabic => arabic::fold_letters(text),
            Self::Emoji => emoji::fold(text, place),
        }
    }
}

/// What stands around a part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    before: Edge,
    after: Edge,
}

/// What a part of a text borders on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// The end of the whole text.
    End,
    /// Code within a line.
    Inline,
    /// A block of code on lines of its own.
    Block,
    /// A block of code that is told by its indentation, which needs an empty line before it.
    Indented,
}

/// A set of steps. With any, a text is first put into Unicode's NFKC, numbers' values aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Folding(u8);

impl FromIterator<Step> for Folding {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().fold(0, |set, step| set | 1 << step as u8))
    }
}

impl Folding {
    /// Whether there is nothing to do.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as a number: the same for the same steps, for ever.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The steps, in the order they are taken.
    pub fn steps(self) -> impl Iterator<Item = Step> {
        Step::ALL.into_iter().filter(move |step| self.0 & 1 << *step as u8 != 0)
    }

    /// `text` with all steps taken until nothing changes, so that folding it again changes nothing.
    /// Code (fenced, indented, or between backticks) and the values of numbers stay as they are. A
    /// step that would leave nothing is not taken. A text longer than [`LONGEST`] is returned as it
    /// is, and so is the contrived one that never comes to rest.
    pub fn fold(self, text: &str) -> Cow<'_, str> {
        if self.is_empty() || text.len() > LONGEST {
            return Cow::Borrowed(text);
        }
        let mut folded = Cow::Borrowed(text);
        for _ in 0..MOST_PASSES {
            let next = self.pass(&folded);
            if next == *folded {
                return folded;
            }
            folded = Cow::Owned(next);
        }
        Cow::Borrowed(text)
    }

    fn pass(self, text: &str) -> String {
        let mut parts: Vec<Part> = code::split(text);
        take(&mut parts, |text, _| normal::fold(text));
        for step in self.steps() {
            take(&mut parts, |text, place| step.apply(text, place));
        }
        parts.iter().map(Part::as_str).collect()
    }
}

/// Takes one step in all parts that are not code, unless nothing would be left.
fn take(parts: &mut Vec<Part>, step: impl Fn(&str, Place) -> String) {
    let stepped: Vec<Part> = parts.iter().map(|part| part.stepped(&step)).collect();
    if stepped.iter().any(|part| !whitespace::is_blank(part.as_str())) {
        *parts = stepped;
    }
}

#[cfg(test)]
mod tests;
