//! What folds to what, and what never does.

use super::*;

fn fold(steps: &[Step], text: &str) -> String {
    steps.iter().copied().collect::<Folding>().fold(text).into_owned()
}

fn all(text: &str) -> String {
    fold(&Step::ALL, text)
}

#[test]
fn nothing_is_done_that_was_not_asked_for() {
    assert!(matches!(Folding::default().fold(" ＨＩ! "), Cow::Borrowed(" ＨＩ! ")));
    assert!(matches!(Folding::from_iter([Step::Case]).fold("hi"), Cow::Borrowed("hi")));
    assert_eq!(fold(&[Step::Case], " Hi,  THERE! "), " hi,  there! ");
    assert_eq!(fold(&[Step::Whitespace], " Hi,\n\t THERE! "), "Hi, THERE!");
    assert_eq!(fold(&[Step::Digits], "٣٫٥ و ۱۲"), "3.5 و 12");
}

#[test]
fn spellings_of_one_greeting_are_one() {
    for text in [
        "hello there",
        "Hello, there!",
        "  HELLO\u{a0}there ...",
        "hello 👋🏽 there 😀",
        "ｈｅｌｌｏ there?",
        "hel\u{ad}lo\u{200b} there",
    ] {
        assert_eq!(all(text), "hello there", "{text}");
    }
    assert_eq!(all("Don’t"), all("dont"));
    assert_eq!(all("STRASSE"), all("straße"));
    assert_eq!(all("well-known"), "well known");
}

#[test]
fn arabic_is_told_by_its_letters() {
    for (one, other) in [
        ("السَّلامُ عَلَيْكُم", "السلام عليكم"),
        ("شـــكرا", "شكراً"),
        ("أهلا", "اهلا"),
        ("إلى آخر ٱلمدرسة", "الي اخر المدرسه"),
        ("سؤال هيئة", "سوال هييه"),
        ("\u{627}\u{654}هلا", "أهلا"),
        ("ﻣﺮﺣﺒﺎ", "مرحبا"),
        ("فارسی", "فارسي"),
        ("شكرا،", "شكرا"),
    ] {
        assert_eq!(all(one), all(other));
    }
    assert_ne!(all("شيء"), all("شي"), "a hamza on the line is a letter");
    assert_eq!(fold(&[Step::Arabic], "café Ångström"), "café Ångström");
}

#[test]
fn numbers_keep_their_values() {
    for (one, other) in [
        ("1.5", "15"),
        ("1,000", "1000"),
        ("1.000", "1,000"),
        ("-5", "5"),
        (".5", "5"),
        ("5!", "5"),
        ("5%", "5"),
        ("3:30", "330"),
        ("5 - 3", "5 3"),
        ("10²", "102"),
        ("1½", "11⁄2"),
        ("5①", "51"),
        ("5㋀", "51月"),
        ("1😀5", "15"),
        ("1️⃣5️⃣", "15"),
        ("1ـ5", "15"),
        ("1 5", "15"),
        ("a != b", "a = b"),
        ("C#", "C"),
        ("C++", "C"),
        (".NET", "net"),
        ("a/b", "a b"),
    ] {
        assert_ne!(all(one), all(other), "{one} {other}");
    }
    assert_eq!(all("٣٫٥ kg?"), all("3.5 KG"));
    assert_eq!(all("Is it 5?"), "is it 5");
    assert_eq!(all("(5)"), "5");
    assert_eq!(all("５００"), "500");
    assert_eq!(all("5️⃣"), "5");
}

#[test]
fn code_is_never_touched() {
    let block = "```Rust\nLet  X = \"A, b!\";  // 😀\n\n  Y\n```";
    assert_eq!(all(&format!("Look,  HERE:\n\n{block}\nWhy?\n")), format!("look here\n{block}\nwhy"));
    assert_eq!(all("Why  `A.B  C`, ``D ` E``?"), "why `A.B  C` ``D ` E``");
    assert_eq!(all("Why:\n\n    Let X,  Y;\n\tZ\n\nNo!"), "why\n\n    Let X,  Y;\n\tZ\nno");
    assert_eq!(all("~~~\nA  B"), "~~~\nA  B", "an open fence ends with the text");
    assert_eq!(all("Hi,\n    There"), "hi there", "a paragraph goes on");
    assert_eq!(all("Half ` a Span"), "half ` a span");
    assert_eq!(fold(&[Step::Emoji], "`` 😀` ```"), "`` ` ```");
}

#[test]
fn a_text_is_not_folded_to_nothing() {
    for text in ["👍", "?", "   ", "\n", "👍🏽👍🏽"] {
        assert!(!all(text).is_empty(), "{text:?}");
    }
    assert_ne!(all("👍"), all("👎"));
    assert_ne!(all("!"), all("?"));
    assert_eq!(all("👍!"), all("👍"));
    assert_eq!(all(""), "");
}

#[test]
fn a_long_text_is_left_alone() {
    let long = "A".repeat(LONGEST + 1);
    assert!(matches!(Folding::from_iter(Step::ALL).fold(&long), Cow::Borrowed(_)));
}

#[test]
fn a_text_is_told_by_what_it_consists_of() {
    use Class::{Digits, Emoji, Punctuation, Whitespace};
    for text in ["😀", "👍🏽 👨‍👩‍👧", "🇪🇬", "❤", "❤️", "5️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
    {
        assert!(consists_of(text, &[Emoji]), "{text}");
        assert!(!consists_of(text, &[Punctuation, Digits, Whitespace]), "{text}");
    }
    assert!(consists_of("?! ...", &[Punctuation]));
    assert!(consists_of("؟", &[Punctuation]));
    assert!(consists_of("12 ٣٤", &[Digits]));
    assert!(!consists_of("1.5", &[Digits]));
    assert!(consists_of("👍!", &[Emoji, Punctuation]));
    assert!(consists_of("", &[Whitespace]));
    assert!(consists_of(" \u{a0}\u{200b}\n", &[Whitespace]));
    assert!(!consists_of(" ", &[Emoji]));
    for text in ["ok", "ok 😀", "مرحبا"] {
        assert!(!consists_of(text, &[Emoji, Punctuation, Digits, Whitespace]), "{text}");
    }
}
