//! White space, and characters that nobody sees.

use super::{Edge, Place};

/// Runs of white space as one space, none at the ends. Beside a block of code the line break stays
/// that makes it one.
pub(super) fn fold(text: &str, place: Place) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split(char::is_whitespace) {
        let start = folded.len();
        folded.extend(word.chars().filter(|c| !is_invisible(*c)));
        if folded.len() > start {
            folded.push(' ');
        }
    }
    folded.pop();
    if folded.is_empty() {
        return between(text, place).to_owned();
    }
    let opens = match place.before {
        Edge::End => "",
        Edge::Inline if text.starts_with(char::is_whitespace) => " ",
        Edge::Inline => "",
        Edge::Block | Edge::Indented => "\n",
    };
    let closes = match place.after {
        Edge::End => "",
        Edge::Inline if text.ends_with(char::is_whitespace) => " ",
        Edge::Inline => "",
        Edge::Block => "\n",
        Edge::Indented => "\n\n",
    };
    [opens, &folded, closes].concat()
}

/// What is left of a text without any words.
fn between(text: &str, place: Place) -> &'static str {
    match (place.before, place.after) {
        (Edge::End, _) | (_, Edge::End) => "",
        (Edge::Inline, Edge::Inline) if text.chars().any(char::is_whitespace) => " ",
        (Edge::Inline, Edge::Inline) => "",
        (_, Edge::Indented) => "\n\n",
        _ => "\n",
    }
}

/// Zero-width spaces, soft hyphens and marks of writing direction. Joiners stay: they shape words
/// and emoji.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Whether a text shows nothing.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c))
}
