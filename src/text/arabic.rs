//! Arabic as it is typed: with or without diacritics, hamza and dots.

use unicode_normalization::UnicodeNormalization;

/// Arabic-Indic and Extended Arabic-Indic digits and their separators as ASCII (Unicode names the
/// characters `ARABIC-INDIC DIGIT ZERO` and so on; U+066B is the decimal, U+066C the thousands
/// separator).
pub(super) fn fold_digits(text: &str) -> String {
    text.chars().map(digit).collect()
}

fn digit(c: char) -> char {
    let from = |zero: char| char::from_digit(c as u32 - zero as u32, 10).unwrap_or(c);
    match c {
        '\u{660}'..='\u{669}' => from('\u{660}'),
        '\u{6F0}'..='\u{6F9}' => from('\u{6F0}'),
        '\u{66B}' => '.',
        '\u{66C}' => ',',
        '\u{66A}' => '%',
        _ => c,
    }
}

/// Letters without marks, and one form for each letter that is typed in several.
///
/// Letters with hamza or madda are taken apart as the Unicode Character Database says (`أ` is alef
/// and hamza above), the marks go, and the rest is the table of docs/normalisation.md.
pub(super) fn fold_letters(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{600}'..='\u{6FF}' | '\u{8A0}'..='\u{8FF}' => {
                // Behind a digit a stroke is a dash: `1ـ5` is not `15`.
                let behind_digit = folded.ends_with(char::is_numeric);
                let kept = std::iter::once(c).nfd().filter(|part| behind_digit || !is_mark(*part));
                folded.extend(kept.map(letter));
            }
            _ => folded.push(c),
        }
    }
    folded
}

/// Tatweel, and the combining marks of the Arabic blocks.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{640}'
        | '\u{610}'..='\u{61A}'
        | '\u{64B}'..='\u{65F}'
        | '\u{670}'
        | '\u{6D6}'..='\u{6DC}'
        | '\u{6DF}'..='\u{6E4}'
        | '\u{6E7}'..='\u{6E8}'
        | '\u{6EA}'..='\u{6ED}'
        | '\u{8CA}'..='\u{8E1}'
        | '\u{8E3}'..='\u{8FF}')
}

/// One form for each letter that is typed in several.
fn letter(c: char) -> char {
    match c {
        // Alef wasla, alef with wavy hamza: alef.
        '\u{671}'..='\u{673}' => '\u{627}',
        // Alef maksura, Farsi yeh: yeh.
        '\u{649}' | '\u{6CC}' => '\u{64A}',
        // Teh marbuta, teh marbuta goal: heh.
        '\u{629}' | '\u{6C3}' => '\u{647}',
        _ => c,
    }
}
