//! In which script and language a text is written.

use unicode_script::UnicodeScript;

/// A script of writing, as Unicode names it (UAX #24): `Latin`, `Arabic`, `Han`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Script(unicode_script::Script);

/// A language, by its code in ISO 639-3: `eng`, `ara`, `cmn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Language(whatlang::Lang);

impl Script {
    /// The script of Latin letters.
    pub const LATIN: Self = Self(unicode_script::Script::Latin);

    /// The script of that name, whatever its case; `None` where Unicode has none.
    pub fn named(name: &str) -> Option<Self> {
        let capital = |word: &str| {
            let (first, rest) = word.split_at_checked(1)?;
            Some(first.to_ascii_uppercase() + &rest.to_ascii_lowercase())
        };
        let words: Option<Vec<String>> = name.trim().split(['_', ' ']).map(capital).collect();
        unicode_script::Script::from_full_name(&words?.join("_")).map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.full_name()
    }
}

impl Language {
    /// The language of that code; `None` where it is not one that can be told.
    pub fn coded(code: &str) -> Option<Self> {
        whatlang::Lang::from_code(code.trim().to_ascii_lowercase()).map(Self)
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The language of `text`, where it is long and clear enough to be told.
    pub fn of(text: &str) -> Option<Self> {
        whatlang::detect(text).filter(whatlang::Info::is_reliable).map(|info| Self(info.lang()))
    }
}

/// Whether every letter of `text` belongs to one of `scripts`; what all scripts share (digits,
/// punctuation, emoji) does not count. False where no letter is left.
pub fn is_written_in(text: &str, scripts: &[Script]) -> bool {
    let mut letters = text.chars().filter(|c| c.is_alphabetic()).peekable();
    letters.peek().is_some()
        && letters.all(|letter| {
            let extension = letter.script_extension();
            extension.is_common() || scripts.iter().any(|script| extension.contains_script(script.0))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_by_its_letters() {
        let scripts =
            |names: &[&str]| names.iter().map(|name| Script::named(name).unwrap()).collect::<Vec<_>>();
        assert!(is_written_in("Hello, 12 😀", &scripts(&["latin"])));
        assert!(is_written_in("السَّلامُ عليكم؟ ١٢", &scripts(&["ARABIC"])));
        assert!(!is_written_in("السلام hello", &scripts(&["arabic"])));
        assert!(is_written_in("السلام hello", &scripts(&["Arabic", "Latin"])));
        assert!(is_written_in("コーヒー", &scripts(&["katakana"])));
        assert!(!is_written_in("привет", &scripts(&["latin"])));
        assert!(!is_written_in("12? 😀", &scripts(&["latin"])));
        assert_eq!(Script::named("old italic").map(Script::name), Some("Old_Italic"));
        assert_eq!((Script::named("Klingonese"), Script::named(""), Script::named("é")), (None, None, None));
    }

    #[test]
    fn a_language_is_told_only_where_it_is_clear() {
        let told = |text| Language::of(text).map(Language::code);
        assert_eq!(
            told("Could you please tell me where the nearest railway station is and when it opens?"),
            Some("eng")
        );
        assert_eq!(told("من فضلك أخبرني أين تقع أقرب محطة قطار ومتى تفتح أبوابها في الصباح"), Some("ara"));
        assert_eq!(told("ok"), None);
        assert_eq!(Language::coded("ENG"), Language::coded("eng"));
        assert_eq!(Language::coded("klingon"), None);
    }
}
