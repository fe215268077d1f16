//! The house rules, as a test: layers, sizes, openings, and what may not appear outside tests.
//!
//! Every test lists all offenders at once, as `file:line: what`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the ground up. A file uses its own room and rooms of lower rank; never a sibling
/// of the same rank, never upwards.
const LAYERS: [&[&str]; 12] = [
    &["text"],
    &["config", "sse", "json"],
    &["io"],
    &["error"],
    &["request"],
    &["response"],
    &["exchange"],
    &["dialect"],
    &["route"],
    &["cache", "coalesce", "embedding", "rules", "limits", "queue", "telemetry"],
    &["gateway"],
    &["server"],
];
/// Above all layers: these name every room, and no room names them.
const WIRING: [&str; 4] = ["main", "lib", "demo", "sidecar"];
/// Lines in a file, tests included.
const LONGEST: usize = 450;

/// One source file.
struct Source {
    path: PathBuf,
    text: String,
    /// The number of lines before the tests; all of a file of tests is tests.
    product: usize,
}

impl Source {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let inside = path.components().any(|part| part.as_os_str() == "tests")
            || path.file_name().is_some_and(|name| name == "tests.rs");
        let product = if inside { 0 } else { product_lines(&text) };
        Self { path, text, product }
    }

    /// The numbered lines of code outside tests, without their comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().take(self.product);
        lines.map(|(at, line)| (at + 1, without_comment(line)))
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }

    /// The room of a file under `src/`: its first directory, or its own name.
    fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src").unwrap();
        Path::new(inside.components().next().unwrap().as_os_str()).file_stem().unwrap().to_str().unwrap()
    }
}

/// Lines before `#[cfg(test)]` at the left margin that opens the tests, which come last in a file;
/// one that only names a file of tests (`mod tests;`) closes nothing.
fn product_lines(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let opens = |at: &usize| {
        lines[*at] == "#[cfg(test)]"
            && lines[at + 1..].iter().find(|line| !line.starts_with("#[")).is_some_and(|l| l.ends_with('{'))
    };
    (0..lines.len()).find(opens).unwrap_or(lines.len())
}

/// A line up to `//`, unless that stands inside a text (`https://`).
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let bytes = line.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if at == 0 || bytes[at - 1] != b'\\' => quoted = !quoted,
            b'/' if !quoted && bytes.get(at + 1) == Some(&b'/') => return &line[..at],
            _ => {}
        }
    }
    line
}

fn sources(root: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(root)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source::read(path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no source under {root}");
    found
}

fn rank(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms a line names by `crate::`: `crate::a::b`, or `crate::{a::b, c}` on one line.
fn rooms_named(line: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for (at, marker) in line.match_indices("crate::") {
        let rest = &line[at + marker.len()..];
        if at > 0 && line.as_bytes()[at - 1] == b'$' {
            continue;
        }
        match rest.strip_prefix('{') {
            None => rooms.push(name(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = 0;
                for (at, byte) in group.bytes().enumerate() {
                    match byte {
                        b'{' => depth += 1,
                        b'}' if depth == 0 => {
                            rooms.push(name(group[start..at].trim()));
                            break;
                        }
                        b'}' => depth -= 1,
                        b',' if depth == 0 => {
                            rooms.push(name(group[start..at].trim()));
                            start = at + 1;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

fn name(path: &str) -> &str {
    path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

fn none(offenders: &[String], rule: &str) {
    assert!(offenders.is_empty(), "{rule}\n{}", offenders.join("\n"));
}

#[test]
fn a_room_uses_lower_layers_only() {
    let mut offenders = Vec::new();
    for source in sources("src") {
        let room = source.room().to_owned();
        if WIRING.contains(&room.as_str()) {
            continue;
        }
        let Some(own) = rank(&room) else {
            offenders.push(source.at(1, &format!("the room `{room}` has no layer")));
            continue;
        };
        for (line, code) in source.code() {
            if code.trim_end().ends_with("crate::{") {
                offenders.push(source.at(line, "name each room on a line of its own"));
            }
            for named in rooms_named(code).into_iter().filter(|named| *named != room) {
                if rank(named).is_none_or(|rank| rank >= own) {
                    offenders.push(source.at(line, &format!("`{room}` uses `{named}`")));
                }
            }
        }
    }
    none(&offenders, "A room uses its own and lower layers only (see LAYERS in this file).");
}

#[test]
fn only_the_server_and_its_road_know_pingora() {
    let knows = |path: &Path| {
        ["src/server", "src/io/pingora", "src/io/pingora.rs"].iter().any(|place| path.starts_with(place))
    };
    let mut offenders = Vec::new();
    for source in sources("src").iter().filter(|source| !knows(&source.path)) {
        let uses = source.code().filter(|(_, code)| {
            ["pingora_core", "pingora_http", "pingora_proxy"].iter().any(|name| code.contains(name))
        });
        offenders.extend(uses.map(|(line, code)| source.at(line, code.trim())));
    }
    none(&offenders, "Only src/server and src/io/pingora know Pingora.");
}

#[test]
fn every_file_opens_with_what_it_is_and_is_short() {
    let mut offenders = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        if !source.text.starts_with("//! ") {
            offenders.push(source.at(1, "starts without `//! `"));
        }
        let lines = source.text.lines().count();
        if lines > LONGEST {
            offenders.push(source.at(LONGEST, &format!("{lines} lines")));
        }
    }
    none(&offenders, &format!("Files start with `//! ` and have up to {LONGEST} lines."));
}

#[test]
fn nothing_outside_tests_may_panic_or_be_unsafe() {
    const BANNED: [&str; 8] = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "todo!(",
        "unimplemented!(",
        "unreachable!(",
        "dbg!(",
        "unsafe ",
    ];
    let mut offenders = Vec::new();
    for source in sources("src") {
        for (line, code) in source.code() {
            let found = BANNED.iter().filter(|banned| code.contains(**banned));
            offenders.extend(found.map(|banned| source.at(line, banned)));
        }
    }
    none(&offenders, "No input may bring the program down, and nothing is unsafe.");
}

#[test]
fn no_test_waits_for_real_time() {
    let mut offenders = Vec::new();
    // The simulator's clock is paused: there a sleep is a statement about virtual time.
    let virtual_time = |path: &Path| path.starts_with("tests/sim") || path == Path::new("tests/tidy.rs");
    for source in sources("tests").into_iter().chain(sources("src")).filter(|s| !virtual_time(&s.path)) {
        let skipped = if source.path.starts_with("src") { source.product } else { 0 };
        for (at, line) in source.text.lines().enumerate().skip(skipped) {
            if without_comment(line).contains("sleep(") {
                offenders.push(source.at(at + 1, line.trim()));
            }
        }
    }
    none(&offenders, "Tests wait for events, never for time.");
}

#[test]
fn the_rules_see_what_they_look_for() {
    assert_eq!(rooms_named("use crate::{a::{b, c}, d}; crate::e::f"), ["a", "d", "e"]);
    assert_eq!(rooms_named("use super::a;"), Vec::<&str>::new());
    assert_eq!(without_comment(r#"let a = "http://b"; // .unwrap()"#), r#"let a = "http://b"; "#);
    assert_eq!(product_lines("a\n#[cfg(test)]\nmod tests {\n}"), 1);
    assert_eq!(product_lines("a\n#[cfg(test)]\nmod tests;\nb"), 4);
    assert_eq!((rank("text"), rank("response") < rank("gateway")), (Some(0), true));
}
