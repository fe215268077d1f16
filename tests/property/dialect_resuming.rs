//! Wherever a stream breaks off, whoever goes on and however that is cut: a client of any API reads one answer.

use pareto::dialect::Api;
use pareto::dialect::resume::Partial;
use pareto::response::shape::fold;
use pareto::response::usage::Usage;
use pareto::sse::Event;
use proptest::prelude::*;
use serde_json::Value;

use super::dialect::text;
use super::dialect_streams::{All, CLIENTS, End, PROVIDERS, Step, followed, spoken, translator};
use crate::golden::translate;

/// Tokens of the part that broke off.
fn before() -> Usage {
    Usage { input: 100, output: 10, ..Usage::default() }
}

/// What a client is told of `text` by a provider.
fn told(provider: Api, client: Api, text: &str) -> Vec<Event> {
    let stream = spoken(provider, &[Step::Text(text.to_owned())], End::Whole, "\n");
    translate(translator(provider, client), [stream.as_slice()])
}

/// How many places a stream could be gone on from, each of which was.
fn assert_goes_on(text: &str, client: Api, first: Api, second: Api, repeats: bool, chunk: usize) -> usize {
    let begun = told(first, client, text);
    let mut places = 0;
    for cut in 1..begun.len() {
        let Ok(partial) = Partial::heard(client, begun[..cut].iter()) else { continue };
        places += 1;
        assert!(text.starts_with(&partial.text));
        let repeated = if repeats { partial.prefix() } else { "" };
        let rest = format!("{repeated}{}", &text[partial.prefix().len()..]);
        let stream = spoken(second, &[Step::Text(rest)], End::Whole, "\n");
        let translator = translator(second, client).going_on(&partial, before(), repeated.to_owned());
        let mut whole = begun[..cut].to_vec();
        whole.extend(translate(translator, stream.chunks(chunk)));
        let (progress, failed) = followed(client, &whole);
        assert!(!failed && progress.storable().is_ok(), "{first:?} to {client:?}, then {second:?}, at {cut}");
        let usage = progress.usage().unwrap();
        assert!(usage.input > 100 && usage.output >= 10, "{usage:?}");
        let body: Value = serde_json::from_slice(&fold(client.shape(), &whole).unwrap()).unwrap();
        assert_eq!(All::told(client, &body).text, text, "{first:?} to {client:?}, then {second:?}: {body}");
    }
    places
}

proptest! {
    // Each case is every pair of providers for every client, cut everywhere.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_stream_cut_anywhere_and_gone_on_with_is_one_answer(
        text in text(), repeats: bool, chunk in 1..40_usize,
    ) {
        for client in CLIENTS {
            for first in PROVIDERS {
                for second in PROVIDERS {
                    let places = assert_goes_on(&text, client, first, second, repeats, chunk);
                    prop_assert!(places > 0, "{:?} to {:?} is never gone on from", first, client);
                }
            }
        }
    }
}
