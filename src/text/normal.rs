//! Unicode NFKC, except where it would change a number.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_compatible;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// `text` in NFKC (Unicode Standard Annex 15): full-width letters, ligatures and Arabic presentation
/// forms become the ordinary ones. Characters whose ordinary form brings a digit stay: `10²` is not
/// `102` and `1½` is not `11⁄2`.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, kept)) = rest.char_indices().find(|(_, c)| is_number_of_its_own(*c)) {
        folded.extend(rest[..at].nfkc());
        folded.push(kept);
        rest = &rest[at + kept.len_utf8()..];
    }
    folded.extend(rest.nfkc());
    folded
}

/// Whether a character is a number that its compatibility form would join to its neighbours:
/// superscripts, fractions, circled numbers, the hours and days of CJK.
fn is_number_of_its_own(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    match c.general_category() {
        GeneralCategory::OtherNumber => true,
        GeneralCategory::DecimalNumber => false,
        _ => {
            let mut brings_digit = false;
            decompose_compatible(c, |part| brings_digit |= part.is_ascii_digit());
            brings_digit
        }
    }
}
