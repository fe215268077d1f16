//! What kind of characters a text is made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::{emoji, whitespace};

/// A kind of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Emoji, keycaps and flags included.
    Emoji,
    /// Punctuation and symbols that are no emoji.
    Punctuation,
    /// Decimal digits of any script.
    Digits,
    /// White space and characters that nobody sees. An empty text is that, too.
    Whitespace,
}

impl Class {
    /// The name it is written by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emoji => "emoji",
            Self::Punctuation => "punctuation",
            Self::Digits => "digits",
            Self::Whitespace => "whitespace",
        }
    }
}

/// Whether `text` is made of nothing but characters of `classes`; white space between them does not
/// count. A text that shows nothing is of [`Class::Whitespace`] alone.
pub fn consists_of(text: &str, classes: &[Class]) -> bool {
    if whitespace::is_blank(text) {
        return classes.contains(&Class::Whitespace);
    }
    let marked = emoji::mark(text);
    let last = marked.len();
    let keycap = |at: usize| marked.get(at + 1..last).is_some_and(is_keycap);
    let mut of_classes = marked.iter().enumerate().map(|(at, (c, emoji))| {
        let class = match c.general_category_group() {
            _ if *emoji || keycap(at) => Class::Emoji,
            GeneralCategoryGroup::Separator | GeneralCategoryGroup::Other => return true,
            GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Symbol => Class::Punctuation,
            _ if c.general_category() == GeneralCategory::DecimalNumber => Class::Digits,
            _ => return false,
        };
        classes.contains(&class)
    });
    of_classes.all(|fits| fits)
}

/// Whether what follows a digit makes it a keycap: an optional selector, then the cap.
fn is_keycap(after: &[(char, bool)]) -> bool {
    let mut after = after.iter().map(|(c, _)| *c).filter(|c| *c != '\u{FE0F}');
    after.next() == Some('\u{20E3}')
}
