//! What counts for the digest, what is refused, and what hostile input costs.

use super::*;

const NONE: Ignore = Ignore(&[]);

fn digest(json: &str) -> [u8; 32] {
    canonical(json.as_bytes(), &NONE).unwrap_or_else(|error| panic!("{json}: {error}")).digest
}

fn refusal(json: &[u8]) -> String {
    canonical(json, &NONE).unwrap_err().to_string()
}

#[test]
fn spelling_does_not_count() {
    for (a, b) in [
        (r#"{"a":1,"b":[1,2]}"#, " {\n\"b\" : [1.0, 2e0], \"a\" : 1 } "),
        ("0", "-0"),
        ("0", "-0.0e7"),
        ("100", "1e2"),
        ("-3", "-3.0"),
        ("0.5", "5e-1"),
        (r#""aé\/😀""#, r#""\u0061\u00e9/\ud83d\ude00""#),
        (r#"{"a":{"y":1,"x":2}}"#, r#"{"\u0061":{"x":2,"y":1}}"#),
    ] {
        assert_eq!(digest(a), digest(b), "{a} {b}");
    }
}

#[test]
fn meaning_counts() {
    let all = [
        "null",
        "false",
        "true",
        "0",
        "1",
        "-1",
        "0.5",
        "\"\"",
        "\"1\"",
        "\"a\"",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "[0]",
        "[[],[]]",
        "[[[]]]",
        r#"["a"]"#,
        r#""['a']""#,
        r#"["a","b"]"#,
        r#"["ab"]"#,
        r#"["a,b"]"#,
        r#"{"a":null}"#,
        r#"{"a":{}}"#,
        r#"{"a":"b"}"#,
        r#"["a","b","c"]"#,
        r#"{"ab":""}"#,
        r#"{"a":1,"b":{"c":2}}"#,
        r#"{"a":1,"b":{},"c":2}"#,
        r#"{"a":{"b":1},"c":2}"#,
        r#"{"a":{"b":1,"c":2}}"#,
        "9007199254740993",
        "9007199254740992",
        "18446744073709551615",
        "-9223372036854775808",
        "9223372036854775808",
        "\"\\u0000\"",
        "\"é\"",
        "\"e\\u0301\"",
        "\" a\"",
        "[1,2]",
        "[2,1]",
        "[12]",
        "0.1",
        "0.10000000000000002",
    ];
    for (index, a) in all.iter().enumerate() {
        for b in &all[index + 1..] {
            assert_ne!(digest(a), digest(b), "{a} {b}");
        }
    }
}

#[test]
fn what_parsers_disagree_on_is_refused() {
    assert!(refusal(br#"{"a":1,"b":2,"\u0061":1}"#).contains("given twice"));
    for number in ["18446744073709551616", "-9223372036854775809", "1e20", "9007199254740993.0", "1e400"] {
        assert!(refusal(number.as_bytes()).contains("number out of range"), "{number}");
    }
    for broken in [&b"{} {}"[..], b"", b"{\"a\":1,}", b"\"\\ud800\"", b"\"\xff\"", b"01", b"\"\x01\""] {
        refusal(broken);
    }
}

#[test]
fn ignored_members_do_not_count_but_only_on_their_path() {
    let ignore = Ignore(&[&["stream"], &["messages", "*", "content", "*", "cache_control"]]);
    let digest = |json: &str| canonical(json.as_bytes(), &ignore).unwrap().digest;
    let plain = r#"{"messages":[{"content":[{"text":"a"}]}],"n":1}"#;
    let marked = r#"{"stream":true,"messages":[{"content":[{"cache_control":{"x":[]},"text":"a"}]}],"n":1}"#;
    assert_eq!(digest(plain), digest(marked));
    for other in [
        r#"{"messages":[{"content":[{"text":"a"}],"stream":true}],"n":1}"#,
        r#"{"messages":[{"content":[{"text":"a","input":{"cache_control":1}}]}],"n":1}"#,
        r#"{"messages":[{"content":[{"text":"a"}]}],"n":1,"cache_control":1}"#,
        r#"{"messages":{"*":{"content":[{"text":"a","cache_control":1}]}},"n":1}"#,
    ] {
        assert_ne!(digest(plain), digest(other), "{other}");
    }
    assert_ne!(digest(r#"{"messages":{"*":{}}}"#), digest(r#"{"messages":[{}]}"#));
    assert!(canonical(br#"{"stream":true,"stream":false}"#, &ignore).is_err());
}

#[test]
fn what_is_hashed_in_pieces_still_counts_whole() {
    let long = |tail: &str| format!("\"{}{tail}\"", "x".repeat(2000));
    assert_ne!(digest(&long("a")), digest(&long("b")));
    let numbers = |last: u32| format!("[{}{last}]", "1000,".repeat(100_000));
    assert_eq!(digest(&numbers(7)), digest(&numbers(7).replace(',', " , ")));
    assert_ne!(digest(&numbers(7)), digest(&numbers(8)));
    assert_ne!(digest(&numbers(7)), digest(&format!("[{}]", numbers(7))));
    let members: Vec<_> = (0..2000).map(|n| format!("\"k{n}\":{n}")).collect();
    let object = |members: &[String]| format!("{{\"o\":{{{}}}}}", members.join(","));
    let reversed: Vec<_> = members.iter().rev().cloned().collect();
    assert_eq!(digest(&object(&members)), digest(&object(&reversed)));
    assert_ne!(digest(&object(&members)), digest(&object(&members[1..])));
}

#[test]
fn deep_nesting_is_refused_without_a_stack() {
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    assert!(canonical(&nested(127), &NONE).is_ok());
    assert!(refusal(&nested(16 << 20)).contains("recursion limit"));
    assert!(refusal(&b"{\"a\":".repeat(6 << 20)).contains("recursion limit"));
    let ignore = Ignore(&[&["x"]]);
    let ignored = [b"{\"x\":".as_slice(), &nested(1 << 20), b"}"].concat();
    assert!(canonical(&ignored, &ignore).is_ok());
}

#[test]
fn hostile_megabytes_keep_the_encoding_small() {
    let size = 8 << 20;
    let fill = |unit: &str| unit.repeat(size / unit.len());
    let names: String = (0..size / 1024).map(|n| format!("\"{}{n}\":0,", "k".repeat(1000))).collect();
    let chain = format!("{}0{},", "{\"b\":0,\"a\":".repeat(120), "}".repeat(120));
    for (open, unit, close) in [
        ("[", fill("[],"), "1]"),
        ("[", fill("0.5,"), "1]"),
        ("[", fill(&chain), "1]"),
        ("{", names, "\"x\":0}"),
        ("\"", fill("ab\\n"), "\""),
    ] {
        let body = [open, &unit, close].concat();
        let encoder = encode(body.as_bytes(), &NONE).unwrap();
        let held = encoder.out.capacity() + encoder.sorted.capacity() + 16 * encoder.members.capacity();
        assert!(held < size / 4, "{held} bytes for {}…", &body[..40]);
    }
    let many: String = (0..MAX_MEMBERS + 1).map(|n| format!("\"{n}\":0,")).collect();
    assert!(refusal(format!("{{{many}\"x\":0}}").as_bytes()).contains("too many members"));
}

#[test]
fn thirty_two_megabytes_of_strings_are_read() {
    let body = format!("[\"{}\"]", "x".repeat(32 << 20));
    let changed = body.replacen("x]", "y]", 1).replacen("x\"]", "y\"]", 1);
    assert_ne!(digest(&body), digest(&changed));
}
