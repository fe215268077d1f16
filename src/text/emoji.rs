//! Emoji, by Unicode's own data (Unicode Technical Standard 51).

use std::ops::Range;

use unicode_properties::UnicodeEmoji;
use unicode_properties::emoji::{EmojiStatus, is_regional_indicator, is_tag_character};

use super::Place;
use super::runs::{self, Fate};

/// Asks for the emoji form of the character before it.
const EMOJI_FORM: char = '\u{FE0F}';
/// Asks for the text form of the character before it.
const TEXT_FORM: char = '\u{FE0E}';
const JOINER: char = '\u{200D}';
const KEYCAP: char = '\u{20E3}';

/// `text` without emoji; one space stands for those within a word. Of a keycap the digit stays.
pub(super) fn fold(text: &str, place: Place) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for (c, emoji) in mark(text) {
        let end = at + c.len_utf8();
        match runs.last_mut() {
            Some(run) if emoji && run.end == at => run.end = end,
            _ if emoji => runs.push(at..end),
            _ => {}
        }
        at = end;
    }
    runs::replace(text, place, &runs, |run| if run.is_within_word() { Fate::Space } else { Fate::Drop })
}

/// Each character, and whether it is part of an emoji.
pub(super) fn mark(text: &str) -> Vec<(char, bool)> {
    let mut marked: Vec<(char, bool)> = Vec::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let follows = marked.last().is_some_and(|(_, emoji)| *emoji);
        let emoji = match c {
            EMOJI_FORM | KEYCAP => true,
            JOINER | TEXT_FORM => follows,
            _ if is_tag_character(c) => follows,
            _ => is_emoji(c, rest.peek().copied()),
        };
        marked.push((c, emoji));
    }
    marked
}

/// Whether a character is shown as an emoji: by itself, as the next character asks, or by custom.
fn is_emoji(c: char, next: Option<char>) -> bool {
    match c.emoji_status() {
        _ if is_regional_indicator(c) => true,
        EmojiStatus::NonEmoji | EmojiStatus::NonEmojiButEmojiComponent => false,
        // A digit, # or *: a keycap is made of it, and it means what it says.
        EmojiStatus::EmojiOtherAndEmojiComponent => false,
        // Text by default: hearts, faces and hands are typed without the selector too; © ™ ↔ are text.
        EmojiStatus::EmojiOther | EmojiStatus::EmojiModifierBase => {
            next == Some(EMOJI_FORM)
                || (matches!(c, '\u{2600}'..='\u{27BF}' | '\u{1F000}'..) && next != Some(TEXT_FORM))
        }
        _ => next != Some(TEXT_FORM),
    }
}
