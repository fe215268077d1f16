//! The punctuation of prose, which people set or leave out.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::Place;
use super::runs::{self, Fate, Run};

/// `text` without the punctuation of prose; one space stands for what separates words. What is next
/// to a digit stays unless it ends a sentence or is a bracket: `1.5`, `1,000`, `-5`, `3:30`, `5!`.
pub(super) fn fold(text: &str, place: Place) -> String {
    runs::replace(text, place, &runs::of(text, is_prose), fate)
}

/// Unicode's punctuation, less what is part of names, units and expressions: `C#`, `a/b`, `50%`.
fn is_prose(c: char) -> bool {
    let technical = matches!(c, '#' | '%' | '&' | '*' | '/' | '@' | '\\' | '_' | '‰' | '٪');
    !technical && c.general_category_group() == GeneralCategoryGroup::Punctuation
}

fn fate(run: &Run) -> Fate {
    let is = |c: Option<char>, what: fn(char) -> bool| c.is_some_and(what);
    let number_follows = is(run.after, char::is_numeric) && !run.text.ends_with(is_opening);
    let number_precedes = is(run.before, char::is_numeric) && !run.text.starts_with(ends_number);
    // `->`, `!=`, `$-5`.
    let in_expression = is(run.before, is_operator) || is(run.after, is_operator);
    // `5 - 3`.
    let minus = run.text.chars().all(is_dash) && is(run.next, char::is_numeric);
    // `.NET`, `.env`.
    let name =
        run.text == "." && run.before.is_none_or(char::is_whitespace) && is(run.after, char::is_alphabetic);
    if number_follows || number_precedes || in_expression || minus || name {
        return Fate::Keep;
    }
    match run.is_within_word() {
        // `don't` is typed `dont`.
        true if matches!(run.text, "'" | "\u{2019}") && is(run.after, char::is_alphabetic) => Fate::Drop,
        true => Fate::Space,
        false => Fate::Drop,
    }
}

/// Signs of mathematics and money.
fn is_operator(c: char) -> bool {
    matches!(c.general_category(), GeneralCategory::MathSymbol | GeneralCategory::CurrencySymbol)
}

fn is_dash(c: char) -> bool {
    c.general_category() == GeneralCategory::DashPunctuation
}

/// Brackets and quotes that stand before a number without being part of it.
fn is_opening(c: char) -> bool {
    matches!(c, '(' | '[' | '{' | '"' | '\'' | '“' | '‘' | '«' | '„' | '¿' | '¡' | '「' | '『')
}

/// What may follow a number without being part of it. `!` and quotes may be: factorial, feet.
fn ends_number(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ';'
            | ':'
            | '?'
            | ')'
            | ']'
            | '}'
            | '؟'
            | '،'
            | '؛'
            | '۔'
            | '。'
            | '、'
            | '”'
            | '»'
            | '」'
            | '』'
    )
}
