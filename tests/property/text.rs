//! Folding comes to rest, leaves code and numbers alone, and never leaves nothing.

use pareto::text::{Folding, Step};
use proptest::prelude::*;

const STEPS: [Step; 6] =
    [Step::Whitespace, Step::Case, Step::Punctuation, Step::Digits, Step::Arabic, Step::Emoji];

fn folding() -> impl Strategy<Value = Folding> {
    proptest::sample::subsequence(STEPS.to_vec(), 0..=STEPS.len()).prop_map(Folding::from_iter)
}

/// Pieces that steps have something to do with, and that meet in odd ways.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z]{1,4}",
        4 => proptest::sample::select(vec![
            " ", "  ", "\n", "\n\n", "\t", "    ", "\n    ", "\r\n", "`", "``", "```", "\n```\n", "~~~", "!", "?", ".", ",",
            "-", "'", "(", ")", "#", "$", "=", "😀", "👍🏽", "❤️", "🇪🇬", "5️⃣", "\u{fe0f}", "\u{200d}", "\u{20e3}", "1", "42",
            "٣", "٫", "²", "½", "①", "ﷺ", "أ", "\u{64e}", "\u{654}", "ـ", "ة", "ﻻ", "ß", "İ", "ﬁ", "\u{a0}", "\u{200b}",
            "e\u{301}", "Ａ",
        ])
        .prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// The decimal numbers in a text, as they are written.
fn numbers(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')
        .map(|number| number.trim_matches(['.', ',']))
        .filter(|number| !number.is_empty())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn folding_what_is_folded_changes_nothing(folding in folding(), text in text()) {
        let once = folding.fold(&text);
        prop_assert_eq!(folding.fold(&once), once.clone());
    }

    #[test]
    fn a_text_that_says_something_is_never_folded_to_nothing(folding in folding(), text in text()) {
        let said = |text: &str| text.chars().any(|c| c.is_alphanumeric() || c.is_ascii_punctuation());
        prop_assert!(!said(&text) || !folding.fold(&text).trim().is_empty());
    }

    #[test]
    fn a_block_of_code_stays_as_it_is(
        folding in folding(), before in "[a-zA-Z ,.!😀\n]{0,20}", code in "[a-zA-Z0-9 .,!😀]{0,30}",
        after in "[a-zA-Z ,.!😀\n]{0,20}"
    ) {
        let block = format!("```\n{code}\n```");
        let folded = folding.fold(&format!("{before}\n{block}\n{after}")).into_owned();
        prop_assert!(folded.contains(&block), "{folded:?}");
        let span = format!("`{code}`");
        let folded = folding.fold(&format!("{} {span} {after}", before.replace('\n', " "))).into_owned();
        prop_assert!(folded.contains(&span), "{folded:?}");
    }

    #[test]
    fn numbers_keep_their_values(
        folding in folding(), whole in 0..10_000_u32, part in 0..1000_u32, before in "[a-z ]{0,5} ",
        after in "( [a-z,.!?😀]{0,5})?"
    ) {
        let text = format!("{before}{whole}.{part:03} 1,{part:03} -{whole}{after}");
        let folded = folding.fold(&text);
        prop_assert_eq!(numbers(&folded), numbers(&text));
    }
}
