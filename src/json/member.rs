//! Finding, taking out and setting one member of a JSON object, byte by byte.
//!
//! The document is scanned, not parsed: what is outside the member is neither judged nor changed.
//! Input that is not an object gives `None`, never a panic.

use std::ops::Range;

/// Where a member lies in its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSpan {
    /// From the name's opening quote to the end of the value.
    pub whole: Range<usize>,
    /// The value.
    pub value: Range<usize>,
}

/// Finds the first member called `name` of the object that `json` is. Nothing behind it is read.
pub fn member_span(json: &[u8], name: &str) -> Option<MemberSpan> {
    let mut members = Members::of(json)?;
    while let Some(member) = members.next() {
        if members.is_named(&member, name) {
            return Some(member);
        }
    }
    None
}

/// The bytes to cut so that the first member called `name` is gone, its comma and white space with it.
pub fn removal_span(json: &[u8], name: &str) -> Option<Range<usize>> {
    let MemberSpan { whole, .. } = member_span(json, name)?;
    let after = skip_space(json, whole.end);
    if json.get(after) == Some(&b',') {
        return Some(whole.start..skip_space(json, after + 1));
    }
    // The last member: the comma before it goes.
    let before = json[..whole.start].trim_ascii_end();
    Some(if before.ends_with(b",") { before.len() - 1..whole.end } else { whole })
}

/// The document without any member called `name`; `None` where it has none (or is no object).
pub fn without_member(json: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut members = Members::of(json)?;
    let mut left = Vec::new();
    let mut kept = 0;
    while let Some(member) = members.next() {
        if !members.is_named(&member, name) {
            continue;
        }
        left.reserve(json.len());
        left.extend_from_slice(&json[kept..member.whole.start]);
        kept = if members.more { members.at } else { member.whole.end };
        let before = left.trim_ascii_end();
        if !members.more && before.ends_with(b",") {
            left.truncate(before.len() - 1);
        }
    }
    left.extend_from_slice(&json[kept..]);
    (kept > 0).then_some(left)
}

/// The document with its member `name` set to `value`, which must be JSON: replaced where it stands
/// (a second one of that name goes), else added as the last. `None` where `json` is no whole object.
pub fn with_member(json: &[u8], name: &str, value: &[u8]) -> Option<Vec<u8>> {
    let mut members = Members::of(json)?;
    let (mut first, mut again, mut last) = (None, false, None);
    while let Some(member) = members.next() {
        if members.is_named(&member, name) {
            again |= first.is_some();
            first.get_or_insert(member.value.clone());
        }
        last = Some(member.whole.end);
    }
    let close = members.end()?;
    let splice = |at: Range<usize>, parts: &[&[u8]]| {
        let all = [&[&json[..at.start]], parts, &[&json[at.end..]]].concat();
        Some(all.concat())
    };
    match first {
        Some(at) if again => {
            let head = [&json[..at.start], value].concat();
            // Behind the first one lies the rest of the same object.
            let rest = [b"{\"\":0", &json[at.end..]].concat();
            let rest = without_member(&rest, name).unwrap_or(rest);
            Some([head.as_slice(), rest.get(5..)?].concat())
        }
        Some(at) => splice(at, &[value]),
        None => {
            let quoted = serde_json::to_vec(name).ok()?;
            let comma: &[u8] = if last.is_some() { b"," } else { b"" };
            let at = last.unwrap_or(close);
            splice(at..at, &[comma, &quoted, b":", value])
        }
    }
}

/// Where the elements of an array lie; `None` where `json` is no whole array.
pub fn elements(json: &[u8]) -> Option<Vec<Range<usize>>> {
    let open = skip_space(json, 0);
    if json.get(open) != Some(&b'[') {
        return None;
    }
    let mut found = Vec::new();
    let mut at = skip_space(json, open + 1);
    let mut close = json.get(at) == Some(&b']');
    while !close {
        let end = value_end(json, at)?;
        found.push(at..end);
        let after = skip_space(json, end);
        close = json.get(after) == Some(&b']');
        if !close && json.get(after) != Some(&b',') {
            return None;
        }
        at = if close { after } else { skip_space(json, after + 1) };
    }
    (skip_space(json, at + 1) == json.len()).then_some(found)
}

/// The members of one object, in order.
struct Members<'a> {
    json: &'a [u8],
    at: usize,
    /// A comma has promised another member.
    more: bool,
    whole: bool,
}

impl<'a> Members<'a> {
    fn of(json: &'a [u8]) -> Option<Self> {
        let open = skip_space(json, 0);
        let first = skip_space(json, open + 1);
        (json.get(open) == Some(&b'{')).then_some(Self { json, at: first, more: false, whole: false })
    }

    fn next(&mut self) -> Option<MemberSpan> {
        if !self.more && self.json.get(self.at) == Some(&b'}') {
            self.whole = true;
            return None;
        }
        let start = self.at;
        let name_end = string_end(self.json, start)?;
        let colon = skip_space(self.json, name_end);
        if self.json.get(colon) != Some(&b':') {
            return None;
        }
        let from = skip_space(self.json, colon + 1);
        let to = value_end(self.json, from)?;
        let after = skip_space(self.json, to);
        self.more = self.json.get(after) == Some(&b',');
        if !self.more && self.json.get(after) != Some(&b'}') {
            return None;
        }
        self.at = if self.more { skip_space(self.json, after + 1) } else { after };
        Some(MemberSpan { whole: start..to, value: from..to })
    }

    fn is_named(&self, member: &MemberSpan, name: &str) -> bool {
        let key = &self.json[member.whole.clone()];
        let Some(end) = string_end(key, 0) else { return false };
        let text = &key[1..end - 1];
        if memchr::memchr(b'\\', text).is_none() {
            return text == name.as_bytes();
        }
        serde_json::from_slice::<String>(&key[..end]).is_ok_and(|key| key == name)
    }

    /// The position of the closing brace, once `next` has come to it and nothing follows.
    fn end(&self) -> Option<usize> {
        let nothing_follows = skip_space(self.json, self.at + 1) == self.json.len();
        (self.whole && nothing_follows).then_some(self.at)
    }
}

fn skip_space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The position behind the closing quote of the string that starts at `at`.
fn string_end(json: &[u8], at: usize) -> Option<usize> {
    if json.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The position behind the value that starts at `at`.
fn value_end(json: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match json.get(at)? {
            b'"' => at = string_end(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => {
                at += 1;
                continue;
            }
            _ => {
                let rest = json.get(at..)?;
                let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
                if len == 0 {
                    return None;
                }
                at += len;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(json: &str, name: &str) -> Option<String> {
        without_member(json.as_bytes(), name).map(|left| String::from_utf8(left).unwrap())
    }

    fn set(json: &str, name: &str, value: &str) -> Option<String> {
        with_member(json.as_bytes(), name, value.as_bytes()).map(|all| String::from_utf8(all).unwrap())
    }

    #[test]
    fn a_member_goes_with_one_comma_and_nothing_else() {
        assert_eq!(
            cut(r#"{"a":1, "b":[2,{"a":3}],"c":"\"a\":"}"#, "a").unwrap(),
            r#"{"b":[2,{"a":3}],"c":"\"a\":"}"#
        );
        assert_eq!(cut(r#"{ "a" : 1 , "b" : null }"#, "b").unwrap(), r#"{ "a" : 1  }"#);
        assert_eq!(cut(r#"{"x":1,"b":{"u":[1,2]},"y":2}"#, "b").unwrap(), r#"{"x":1,"y":2}"#);
        assert_eq!(cut(r#"{"a":-1.5e+3}"#, "a").unwrap(), "{}");
        assert_eq!(cut(r#"{"\u0061":1,"a":2,"b":3}"#, "a").unwrap(), r#"{"b":3}"#);
        assert_eq!(cut(r#"{"b":0,"a":1,"a":2}"#, "a").unwrap(), r#"{"b":0}"#);
        assert_eq!(cut(r#"{"b":{"a":1}}"#, "a"), None);
    }

    #[test]
    fn a_member_is_set_where_it_stands_or_at_the_end() {
        assert_eq!(set(r#"{"a":1,"b": 2 }"#, "b", "[3]").unwrap(), r#"{"a":1,"b": [3] }"#);
        assert_eq!(set("{\"a\":1\n}", "b", "true").unwrap(), "{\"a\":1,\"b\":true\n}");
        assert_eq!(set(" { } ", "b", "{}").unwrap(), " { \"b\":{}} ");
        assert_eq!(set(r#"{"a":1,"b":2,"a":3}"#, "a", "4").unwrap(), r#"{"a":4,"b":2}"#);
        assert_eq!(set("{}", "q\"\n", "1").unwrap(), r#"{"q\"\n":1}"#);
    }

    #[test]
    fn the_elements_of_an_array_are_found() {
        let found = |json: &'static str| {
            let found = elements(json.as_bytes())?;
            Some(found.into_iter().map(|at| &json[at]).collect::<Vec<_>>())
        };
        assert_eq!(found(" [ ] "), Some(vec![]));
        assert_eq!(found(r#"[1, {"a":[2,"]"]} ,"x,"]"#), Some(vec!["1", r#"{"a":[2,"]"]}"#, r#""x,""#]));
        for json in ["", "{}", "[", "[1", "[1,]", "[1 2]", "[]x", "[1,,2]"] {
            assert_eq!(found(json), None, "{json}");
        }
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for json in [
            "",
            "[]",
            "7",
            "\"{\"",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1}}",
            "{a:1}",
            "{\"a\":\"\\",
            "{\"a\":1,}",
            "nul",
        ] {
            assert_eq!(set(json, "b", "1"), None, "{json}");
        }
        assert_eq!(member_span(b"{\"a\":\"\\", "a"), None);
        assert_eq!(member_span(b"{\"a\":]", "a"), None);
    }
}
