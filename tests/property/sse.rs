//! However a stream is cut into chunks and spelled, it reads the same.

use bytes::Bytes;
use pareto::sse::{Decoder, Event, Item, Tail, TooLong};
use proptest::prelude::*;
use proptest::sample::Index;

/// One line of a stream, or an event, in some spelling.
#[derive(Clone, Debug)]
enum Part {
    Event { name: Option<String>, data: Vec<String>, space: bool, extra: bool },
    Comment(String),
    Nameless(String),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,30}", "[a-zé€😀ا-ي]{1,12}", Just("{\"a\":\"b: c\"}".to_owned())]
}

fn part() -> impl Strategy<Value = Part> {
    let event = (
        proptest::option::of("[a-z._]{1,12}"),
        proptest::collection::vec(text(), 1..3),
        any::<bool>(),
        proptest::bool::weighted(0.2),
    );
    prop_oneof![
        6 => event.prop_map(|(name, data, space, extra)| Part::Event { name, data, space, extra }),
        1 => text().prop_map(Part::Comment),
        1 => "[a-z]{1,6}".prop_map(Part::Nameless),
    ]
}

fn spell(parts: &[Part], ending: &str) -> (Vec<u8>, Vec<Item>) {
    let mut out = String::new();
    let mut items = Vec::new();
    for part in parts {
        match part {
            Part::Event { name, data, space, extra } => {
                // Without a space after the colon, data that begin with one would lose it.
                let space = if *space || data.iter().any(|line| line.starts_with(' ')) { " " } else { "" };
                if let Some(name) = name {
                    out += &format!("event:{space}{name}{ending}");
                }
                if *extra {
                    out += &format!("id: 7{ending}retry: 100{ending}");
                }
                for line in data {
                    out += &format!("data:{space}{line}{ending}");
                }
                out += ending;
                items.push(Item::Event(Event::new(name.as_deref(), data.join("\n").as_bytes())));
            }
            Part::Comment(text) => {
                out += &format!(":{text}{ending}{ending}");
                items.push(Item::Comment(format!(":{text}\n\n").into()));
            }
            Part::Nameless(field) => out += &format!("{field}x{ending}{ending}"),
        }
    }
    (out.into_bytes(), items)
}

fn read(limit: usize, bytes: &[u8], cuts: &[Index]) -> (Vec<Item>, Result<Option<Tail>, TooLong>) {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    let mut decoder = Decoder::new(limit);
    let mut items = Vec::new();
    for pair in at.windows(2) {
        decoder.push(Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]));
        loop {
            match decoder.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
    }
    (items, Ok(decoder.finish()))
}

proptest! {
    #[test]
    fn any_chunking_and_spelling_reads_the_same(
        parts in proptest::collection::vec(part(), 0..8),
        cuts in proptest::collection::vec(any::<Index>(), 0..12),
        ending in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        mark in any::<bool>(),
    ) {
        let (mut bytes, expected) = spell(&parts, ending);
        if mark {
            bytes.splice(0..0, "\u{feff}".bytes());
        }
        prop_assert_eq!(read(1 << 20, &bytes, &cuts), (expected.clone(), Ok(None)));
        let dripped: Vec<u8> = bytes;
        let every: (Vec<Item>, _) = {
            let mut decoder = Decoder::new(1 << 20);
            let mut items = Vec::new();
            for byte in &dripped {
                decoder.push(Bytes::copy_from_slice(std::slice::from_ref(byte)));
                while let Ok(Some(item)) = decoder.next_item() {
                    items.push(item);
                }
            }
            (items, decoder.finish())
        };
        prop_assert_eq!(every, (expected, None));
    }

    #[test]
    fn any_bytes_at_all_read_the_same_in_any_chunking_also_at_a_limit(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), Just(0xEF), Just(0xBB), Just(0xBF), any::<u8>()],
            0..60,
        ),
        head in prop_oneof![Just(""), Just("data: "), Just("event: x\ndata:"), Just(": c"), Just("data: a\n\ndata: [DONE]")],
        cuts in proptest::collection::vec(any::<Index>(), 0..12),
        limit in prop_oneof![Just(1 << 20), 1_usize..40],
    ) {
        let bytes = [head.as_bytes(), &bytes].concat();
        prop_assert_eq!(read(limit, &bytes, &cuts), read(limit, &bytes, &[]));
    }

    #[test]
    fn what_is_written_reads_back(
        events in proptest::collection::vec((proptest::option::of("[a-z.]{1,9}"), text()), 0..9),
        cuts in proptest::collection::vec(any::<Index>(), 0..9),
    ) {
        let events: Vec<_> =
            events.iter().map(|(name, data)| Event::new(name.as_deref(), data.as_bytes())).collect();
        let wire: Vec<u8> = events.iter().flat_map(|event| event.bytes().to_vec()).collect();
        let items: Vec<_> = events.into_iter().map(Item::Event).collect();
        prop_assert_eq!(read(1 << 20, &wire, &cuts), (items, Ok(None)));
    }

    #[test]
    fn a_stream_without_its_last_blank_line_still_ends_with_done(
        data in proptest::collection::vec("[a-z]{1,9}", 0..5),
        ending in prop_oneof![Just(""), Just("\n"), Just("\r\n"), Just("\r")],
        cuts in proptest::collection::vec(any::<Index>(), 0..9),
    ) {
        let head: String = data.iter().map(|data| format!("data: \"{data}\"\n\n")).collect();
        let (items, tail) = read(1 << 20, format!("{head}data: [DONE]{ending}").as_bytes(), &cuts);
        prop_assert_eq!(items.len(), data.len());
        prop_assert_eq!(tail, Ok(Some(Tail::Event(Event::done()))));
        if let Some((last, _)) = data.split_last() {
            let whole = format!("data: {{\"a\":\"{last}\"}}");
            let cut = &whole[..whole.len() - 1];
            let (_, whole) = read(1 << 20, whole.as_bytes(), &cuts);
            prop_assert!(matches!(whole, Ok(Some(Tail::Event(_)))));
            let (_, cut) = read(1 << 20, cut.as_bytes(), &cuts);
            prop_assert!(matches!(cut, Ok(Some(Tail::Truncated(_)))));
        }
    }
}
