//! Cutting text into the pieces a stream sends.

use serde_json::Value;

/// How an answer is cut when it becomes a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Into word-like pieces, as a client expects to see it arrive.
    Words,
    /// One piece each: enough to prove that an answer survives the way there and back.
    Whole,
}

/// Shortest piece, in characters; the longest is twice that.
const SHORTEST: usize = 16;
/// Text is cut into about this many pieces at most: longer text has longer pieces.
const MOST: usize = 512;

/// The pieces of `text`, none for empty text. Each ends before white space where there is some in reach,
/// and never between a character and what combines with it.
pub(super) fn pieces(text: &str, cut: Cut) -> Pieces<'_> {
    let shortest = match cut {
        Cut::Words => SHORTEST.max(text.len() / MOST),
        Cut::Whole => usize::MAX / 2,
    };
    Pieces { rest: text, shortest }
}

/// See [`pieces`].
pub(super) struct Pieces<'a> {
    rest: &'a str,
    shortest: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let whole = self.rest.len() <= self.shortest;
        let mut joined = false;
        let end = |(count, (at, ch)): (usize, (usize, char))| {
            let free = !joined && !combines(ch);
            joined = ch == JOINER;
            let long_enough = count >= self.shortest && (ch.is_whitespace() || count >= 2 * self.shortest);
            (free && long_enough).then_some(at)
        };
        let end = if whole { None } else { self.rest.char_indices().enumerate().find_map(end) };
        let (piece, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}

/// Takes the entries of `tokens` (OpenAI's logprobs, one a token) that make up `piece`.
pub(super) fn tokens_of(piece: &str, tokens: &mut impl Iterator<Item = Value>) -> Vec<Value> {
    let mut left = piece.len();
    let mut taken = Vec::new();
    while left > 0 {
        let Some(token) = tokens.next() else { break };
        // A token that ends inside a character can only say so in bytes.
        let bytes = token.get("bytes").and_then(Value::as_array).map(Vec::len);
        let len = bytes.or_else(|| token.get("token")?.as_str().map(str::len)).unwrap_or(1);
        left = left.saturating_sub(len);
        taken.push(token);
    }
    taken
}

const JOINER: char = '\u{200D}';

/// Whether a character is shown as part of the one before it: accents, Arabic vowel marks, emoji parts.
fn combines(ch: char) -> bool {
    matches!(ch,
        '\u{0300}'..='\u{036F}' | '\u{0591}'..='\u{05C7}' | '\u{064B}'..='\u{065F}' | '\u{0670}'
        | '\u{06D6}'..='\u{06ED}' | '\u{093A}'..='\u{094F}' | JOINER | '\u{20D0}'..='\u{20FF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{1F3FB}'..='\u{1F3FF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_word_like_and_join_to_the_text() {
        let text = "The quick brown fox jumps over the lazy dog, again and again.";
        let cut: Vec<_> = pieces(text, Cut::Words).collect();
        assert_eq!(cut, ["The quick brown fox", " jumps over the lazy", " dog, again and again."]);
        assert_eq!(pieces("", Cut::Words).count(), 0);
        assert_eq!(pieces(text, Cut::Whole).collect::<Vec<_>>(), [text]);
    }

    #[test]
    fn no_piece_begins_inside_what_is_seen_as_one_character() {
        for text in
            ["é".repeat(99), "e\u{301}".repeat(99), "👩\u{200D}👩\u{200D}👧".repeat(40), "مَرْحَبًا".repeat(20)]
        {
            let cut: Vec<_> = pieces(&text, Cut::Words).collect();
            assert_eq!(cut.concat(), text);
            assert!(cut.len() > 2, "{text}");
            for piece in cut {
                assert!(!piece.starts_with(combines), "{piece:?}");
                assert!(!piece.ends_with(JOINER), "{piece:?}");
            }
        }
    }

    #[test]
    fn long_text_is_cut_into_a_bounded_number_of_pieces() {
        assert!(pieces(&"word ".repeat(200_000), Cut::Words).count() <= MOST);
        assert!(pieces(&"x".repeat(1 << 20), Cut::Words).count() <= MOST);
    }
}
