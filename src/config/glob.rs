//! Names with wild cards.

use serde_json::Value;

use super::scalar::{Scalar, scalars};

scalars!(Glob);

/// A name, in which `*` stands for any characters and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(pub Box<str>);

impl Glob {
    /// Whether `name` is meant, letters as they are written.
    pub fn matches(&self, name: &str) -> bool {
        self.fits(name, |one, other| one == other)
    }

    /// Whether `name` is meant, capital and small letters (of ASCII) alike: for names of models, which
    /// the same provider takes in either.
    pub fn matches_any_case(&self, name: &str) -> bool {
        self.fits(name, |one, other| one.eq_ignore_ascii_case(&other))
    }

    /// Takes time in proportion to the pattern times the name, however many stars there are.
    fn fits(&self, name: &str, same: impl Fn(u8, u8) -> bool) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where the last star was, and how far it reaches: only that one is ever tried again.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(b'?') => {
                    p += 1;
                    n += character(name, n);
                }
                Some(byte) if same(*byte, name[n]) => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((at, reach)) = star else { return false };
                    star = Some((at, reach + 1));
                    p = at + 1;
                    n = reach + 1;
                }
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }

    /// The only name that is meant, where there is one.
    pub fn exact(&self) -> Option<&str> {
        (!self.0.contains(['*', '?'])).then_some(&self.0)
    }
}

/// The bytes of the character at `at`.
fn character(text: &[u8], at: usize) -> usize {
    1 + text[at + 1..].iter().take_while(|byte| **byte & 0xC0 == 0x80).count()
}

impl Scalar for Glob {
    const NAME: &'static str = "Glob";
    const EXPECTS: &'static str = "a name, in which * stands for any characters, such as gpt-4o*";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = ".+";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; write a name, or * for any".to_owned());
        }
        Ok(Self(text.into()))
    }

    fn json(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by definition: a star is nothing, or one character and a star.
    fn by_definition(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, _) => name.is_empty(),
            (Some(('*', rest)), None) => by_definition(rest, name),
            (Some(('*', rest)), Some((_, less))) => by_definition(rest, name) || by_definition(pattern, less),
            (Some(_), None) => false,
            (Some((one, rest)), Some((c, less))) => (*one == '?' || one == c) && by_definition(rest, less),
        }
    }

    proptest! {
        #[test]
        fn a_glob_means_what_its_definition_says(pattern in "[ab*?é]{1,7}", name in "[abé]{0,7}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(
                Glob(pattern.as_str().into()).matches(&name),
                by_definition(&chars(&pattern), &chars(&name))
            );
        }
    }

    #[test]
    fn case_counts_but_where_it_is_said_not_to() {
        let glob = Glob("GPT-4o*".into());
        assert!(glob.matches("GPT-4o-mini") && !glob.matches("gpt-4o-mini"));
        assert!(glob.matches_any_case("gpt-4O-mini") && !glob.matches_any_case("gpt-4"));
    }

    #[test]
    fn many_stars_take_no_longer() {
        let pattern = Glob("*a".repeat(40).into_boxed_str());
        assert!(!pattern.matches(&"a".repeat(39)));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(10_000))));
    }
}
