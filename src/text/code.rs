//! Where code stands in a text: fenced and indented blocks and spans between backticks, as CommonMark
//! 0.31 tells them (sections 4.4, 4.5 and 6.1), but without lists: what looks like code is code.

use std::borrow::Cow;

use super::{Edge, Place};

/// Longer runs of backticks make no span (as in cmark, CommonMark's reference implementation).
const LONGEST_RUN: usize = 80;

/// A stretch of text, or of code.
pub(super) enum Part<'a> {
    Text { text: Cow<'a, str>, place: Place },
    Code(&'a str),
}

impl Part<'_> {
    /// The part with one step taken, code as it is.
    pub(super) fn stepped(&self, step: impl Fn(&str, Place) -> String) -> Self {
        const BETWEEN_SPANS: Place = Place { before: Edge::Inline, after: Edge::Inline };
        match self {
            Self::Code(code) => Self::Code(code),
            Self::Text { text, place } => {
                let mut text = step(text, *place);
                // Two spans side by side would be one.
                if text.is_empty() && *place == BETWEEN_SPANS {
                    text.push(' ');
                }
                Self::Text { text: Cow::Owned(text), place: *place }
            }
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Text { text, .. } => text,
            Self::Code(code) => code,
        }
    }
}

/// A stretch of code found, in bytes of the text.
struct Found {
    from: usize,
    to: usize,
    kind: Edge,
}

/// The parts of `text`, in order: together they are all of it. Line breaks around a block belong to
/// the text.
pub(super) fn split(text: &str) -> Vec<Part<'_>> {
    let found = if may_have_code(text) { find(text) } else { Vec::new() };
    let mut parts = Vec::with_capacity(found.len() * 2 + 1);
    let (mut at, mut before) = (0, Edge::End);
    for Found { from, to, kind } in found {
        push_text(&mut parts, &text[at..from], Place { before, after: kind });
        parts.push(Part::Code(&text[from..to]));
        (at, before) = (to, kind);
    }
    push_text(&mut parts, &text[at..], Place { before, after: Edge::End });
    parts
}

fn push_text<'a>(parts: &mut Vec<Part<'a>>, text: &'a str, place: Place) {
    if !text.is_empty() {
        parts.push(Part::Text { text: Cow::Borrowed(text), place });
    }
}

/// Whether there is anything to look for; most texts have no code.
fn may_have_code(text: &str) -> bool {
    text.contains(['`', '\t']) || text.contains("~~~") || text.contains("    ")
}

/// How a line is read.
enum Line {
    /// It shows nothing.
    Blank,
    /// It is indented by four columns or a tab.
    Indented,
    /// It opens or closes a fence of so many of this character; with `info` it can only open one.
    Fence {
        mark: char,
        length: usize,
        info: bool,
    },
    Prose,
}

fn read(line: &str) -> Line {
    let content = line.trim_start_matches(' ');
    let Some(mark) = content.trim().chars().next() else { return Line::Blank };
    if line.len() - content.len() >= 4 || content.starts_with('\t') {
        return Line::Indented;
    }
    let info = content.trim_start_matches(mark);
    let length = content.len() - info.len();
    let fence = length >= 3 && (mark == '~' || (mark == '`' && !info.contains('`')));
    if fence { Line::Fence { mark, length, info: !info.trim().is_empty() } } else { Line::Prose }
}

fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    // Where the paragraph began that is being read, and whether an indented line may open a block.
    let (mut paragraph, mut fresh) = (0, true);
    let mut lines = lines(text).peekable();
    while let Some((from, line)) = lines.next() {
        let mut to = from + line.len();
        match read(line) {
            Line::Blank => {
                find_spans(text, paragraph..from, &mut found);
                (paragraph, fresh) = (to, true);
            }
            Line::Indented if fresh => {
                while let Some((at, line)) = lines.next_if(|(_, line)| matches!(read(line), Line::Indented)) {
                    to = at + line.len();
                }
                found.push(Found { from, to, kind: Edge::Indented });
                paragraph = to;
            }
            Line::Fence { mark, length, .. } => {
                find_spans(text, paragraph..from, &mut found);
                for (at, line) in lines.by_ref() {
                    to = at + line.len();
                    if matches!(read(line), Line::Fence { mark: m, length: l, info: false } if m == mark && l >= length)
                    {
                        break;
                    }
                }
                found.push(Found { from, to, kind: Edge::Block });
                (paragraph, fresh) = (to, true);
            }
            Line::Indented | Line::Prose => fresh = false,
        }
    }
    find_spans(text, paragraph..text.len(), &mut found);
    found
}

/// Each line without its end, and where it begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split('\n').map(move |line| {
        let from = at;
        at += line.len() + 1;
        (from, line.strip_suffix('\r').unwrap_or(line))
    })
}

/// Finds the spans between backticks of one paragraph: from a run of backticks to the next run of
/// the same length.
fn find_spans(text: &str, paragraph: std::ops::Range<usize>, found: &mut Vec<Found>) {
    let (base, paragraph) = (paragraph.start, &text.as_bytes()[paragraph]);
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut last = [0; LONGEST_RUN + 1];
    let mut at = 0;
    while let Some(start) = memchr::memchr(b'`', &paragraph[at..]).map(|next| at + next) {
        let length = paragraph[start..].iter().take_while(|byte| **byte == b'`').count();
        if length <= LONGEST_RUN {
            last[length] = runs.len();
            runs.push((start, length));
        }
        at = start + length;
    }
    let mut open = 0;
    while let Some((start, length)) = runs.get(open).copied() {
        open += 1;
        // A run that is the last of its length closes nothing: no need to look.
        if last[length] < open {
            continue;
        }
        while let Some((end, closing)) = runs.get(open).copied() {
            open += 1;
            if closing == length {
                found.push(Found { from: base + start, to: base + end + length, kind: Edge::Inline });
                break;
            }
        }
    }
}
