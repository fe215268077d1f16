//! A digest of a JSON document that is the same for every spelling of the same value, and for nothing else.
//!
//! One pass, straight off the parser. The document is rewritten into a tagged, self-delimiting binary
//! form, members sorted, and that is hashed. Every part of it that grows is replaced by its own hash as
//! soon as it is whole (long strings at once, objects past 4 KiB, arrays every 64 KiB), so that memory
//! stays near the size of what is open, and a 5 MB image is never copied.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Strings above this many bytes stand in the encoding as their hash.
const LONG_STRING: usize = 1024;
/// Members' names above this many bytes stand in the encoding as their hash.
const LONG_NAME: usize = 128;
/// Objects whose encoding is above this many bytes stand in their parent as their hash.
const LONG_OBJECT: usize = 4 * 1024;
/// Arrays are hashed in pieces of about this many bytes.
const LONG_ARRAY: usize = 64 * 1024;
/// Members of all objects open at one time. Real requests have hundreds.
const MAX_MEMBERS: usize = 1 << 18;
/// 2^53: up to here every integer has a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

const NULL: u8 = b'n';
const FALSE: u8 = b'f';
const TRUE: u8 = b't';
const UNSIGNED: u8 = b'u';
const NEGATIVE: u8 = b'i';
const FLOAT: u8 = b'd';
const STRING: u8 = b's';
const STRING_HASH: u8 = b'S';
const ARRAY: u8 = b'a';
const ARRAY_HASH: u8 = b'A';
const OBJECT: u8 = b'o';
const OBJECT_HASH: u8 = b'O';
const END: u8 = b'z';

/// Why a document has no digest.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, not UTF-8, nested deeper than 128, or ambiguous: a member given twice, or a number
    /// that common parsers round. The message says which and where.
    #[error("{0}")]
    Refused(#[from] serde_json::Error),
}

/// The members a digest leaves out, as paths from the top: `["stream"]`, or
/// `["messages", "*", "content", "*", "cache_control"]`, where `*` is any element of an array. Paths,
/// not bare names: the same name inside a tool's schema or arguments is content. At most 64 paths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ignore<'a>(pub &'a [&'a [&'a str]]);

/// What a document means, in 256 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Canonical {
    /// BLAKE3 of the canonical encoding.
    pub digest: [u8; 32],
}

/// The digest of one JSON document. Member order, white space, string escapes and number spelling do
/// not count (1 = 1.0 = 1e0; fractions count as the 64-bit float they are read as); everything else does, except the members that `ignore` names.
pub fn canonical(body: &[u8], ignore: &Ignore) -> Result<Canonical, JsonError> {
    let encoder = encode(body, ignore)?;
    Ok(Canonical { digest: *blake3::hash(&encoder.out).as_bytes() })
}

fn encode<'i>(body: &[u8], ignore: &'i Ignore) -> Result<Encoder<'i>, JsonError> {
    let mut encoder = Encoder {
        out: Vec::with_capacity((body.len() + 64).min(LONG_ARRAY)),
        members: Vec::with_capacity(32),
        sorted: Vec::new(),
        ignore,
    };
    let mut parser = serde_json::Deserializer::from_slice(body);
    let paths = ignore.0.iter().take(64).enumerate().fold(0, |paths, (index, _)| paths | 1 << index);
    Value { encoder: &mut encoder, paths, depth: 0 }.deserialize(&mut parser)?;
    parser.end()?;
    Ok(encoder)
}

struct Encoder<'i> {
    out: Vec<u8>,
    /// The members of all open objects, innermost last.
    members: Vec<Member>,
    /// Where an object's members are put in order.
    sorted: Vec<u8>,
    ignore: &'i Ignore<'i>,
}

/// Where a member lies in the encoding: its name, then its value up to the next member.
#[derive(Clone, Copy)]
struct Member {
    start: u32,
    value: u32,
    end: u32,
    ignored: bool,
}

impl Encoder<'_> {
    fn unsigned(&mut self, tag: u8, value: u64) {
        let bytes = value.to_le_bytes();
        let len = bytes.len() - value.leading_zeros() as usize / 8;
        self.out.push(tag);
        self.out.push(len as u8);
        self.out.extend_from_slice(&bytes[..len]);
    }

    fn string(&mut self, text: &str, longest: usize) {
        let long = text.len() > longest;
        self.unsigned(if long { STRING_HASH } else { STRING }, text.len() as u64);
        if long {
            self.out.extend_from_slice(blake3::hash(text.as_bytes()).as_bytes());
        } else {
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    /// A number with a fraction or exponent, or an integer too big for 64 bits: the parser does not say which.
    fn float(&mut self, value: f64) -> Result<(), &'static str> {
        if value.fract() != 0.0 {
            self.out.push(FLOAT);
            self.out.extend_from_slice(&value.to_bits().to_le_bytes());
            return Ok(());
        }
        // From 2^53 on two integers may have become the same float.
        if value.abs() >= EXACT {
            return Err("number out of range: integers beyond 64 bits are ambiguous");
        }
        let magnitude = value.abs() as u64;
        self.unsigned(if value < 0.0 { NEGATIVE } else { UNSIGNED }, magnitude);
        Ok(())
    }

    /// The position where the next thing goes.
    fn position(&self) -> Result<u32, &'static str> {
        u32::try_from(self.out.len()).map_err(|_| "document too large")
    }

    /// Replaces everything since `start` by a hash.
    fn collapse(&mut self, start: usize, tag: u8, hash: blake3::Hash) {
        self.out.truncate(start);
        self.out.push(tag);
        self.out.extend_from_slice(hash.as_bytes());
    }

    /// Ends the object whose encoding starts at `start` and whose members are those since `first`.
    fn end_object(&mut self, start: usize, first: usize) -> Result<(), &'static str> {
        let Self { out, members, sorted, .. } = self;
        let own = &mut members[first..];
        let name = |member: &Member| &out[member.start as usize..member.value as usize];
        let in_order = own.windows(2).all(|pair| name(&pair[0]) < name(&pair[1]));
        if !in_order {
            own.sort_unstable_by(|a, b| name(a).cmp(name(b)));
            if own.windows(2).any(|pair| name(&pair[0]) == name(&pair[1])) {
                return Err("a member is given twice");
            }
        }
        let part = |member: &Member| &out[member.start as usize..member.end as usize];
        let kept = || own.iter().filter(|member| !member.ignored).map(part);
        if kept().map(<[u8]>::len).sum::<usize>() > LONG_OBJECT {
            let mut hasher = blake3::Hasher::new();
            kept().for_each(|part| {
                hasher.update(part);
            });
            let hash = hasher.finalize();
            members.truncate(first);
            self.collapse(start, OBJECT_HASH, hash);
            return Ok(());
        }
        if !in_order || own.iter().any(|member| member.ignored) {
            sorted.clear();
            kept().for_each(|part| sorted.extend_from_slice(part));
            out.truncate(start + 1);
            out.extend_from_slice(sorted);
        }
        members.truncate(first);
        out.push(END);
        Ok(())
    }
}

/// One value on its way into the encoding. `paths` are the ignored paths that lead through here, as bits.
struct Value<'e, 'i> {
    encoder: &'e mut Encoder<'i>,
    paths: u64,
    depth: usize,
}

impl Value<'_, '_> {
    /// The paths that go on with `name`, and whether one of them ends there.
    fn follow(&self, name: &str) -> (u64, bool) {
        let (mut on, mut ends, mut left) = (0, false, self.paths);
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            left &= left - 1;
            let Some(path) = self.encoder.ignore.0.get(index) else { continue };
            if path.get(self.depth).is_some_and(|step| *step == name) {
                on |= 1 << index;
                ends |= path.len() == self.depth + 1;
            }
        }
        (on, ends)
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.encoder.out.push(NULL);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.encoder.out.push(if value { TRUE } else { FALSE });
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.encoder.unsigned(UNSIGNED, value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.encoder.unsigned(if value < 0 { NEGATIVE } else { UNSIGNED }, value.unsigned_abs());
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.encoder.float(value).map_err(E::custom)
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.encoder.string(text, LONG_STRING);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let (paths, _) = self.follow("*");
        let encoder = self.encoder;
        let start = encoder.out.len();
        encoder.out.push(ARRAY);
        let mut hasher: Option<Box<blake3::Hasher>> = None;
        while items.next_element_seed(Value { encoder, paths, depth: self.depth + 1 })?.is_some() {
            if encoder.out.len() - start > LONG_ARRAY {
                hasher.get_or_insert_default().update(&encoder.out[start..]);
                encoder.out.truncate(start);
            }
        }
        encoder.out.push(END);
        if let Some(mut hasher) = hasher {
            let hash = hasher.update(&encoder.out[start..]).finalize();
            encoder.collapse(start, ARRAY_HASH, hash);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let start = self.encoder.out.len();
        let first = self.encoder.members.len();
        self.encoder.out.push(OBJECT);
        let encoder = &mut *self.encoder;
        let (parent, depth) = (self.paths, self.depth);
        loop {
            let from = encoder.position().map_err(A::Error::custom)?;
            let name = Name { value: Value { encoder, paths: parent, depth } };
            let Some((paths, ignored)) = entries.next_key_seed(name)? else { break };
            let value = encoder.position().map_err(A::Error::custom)?;
            if ignored {
                entries.next_value::<IgnoredAny>()?;
            } else {
                entries.next_value_seed(Value { encoder, paths, depth: depth + 1 })?;
            }
            let end = encoder.position().map_err(A::Error::custom)?;
            encoder.members.push(Member { start: from, value, end, ignored });
            if encoder.members.len() > MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
        }
        encoder.end_object(start, first).map_err(A::Error::custom)
    }
}

/// A member's name on its way into the encoding; tells how the ignored paths go on from it.
struct Name<'e, 'i> {
    value: Value<'e, 'i>,
}

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = (u64, bool);

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(u64, bool), D::Error> {
        parser.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = (u64, bool);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<(u64, bool), E> {
        self.value.encoder.string(name, LONG_NAME);
        // `*` in a path stands for array elements, never for a member of that name.
        if self.value.paths == 0 || name == "*" { Ok((0, false)) } else { Ok(self.value.follow(name)) }
    }
}

#[cfg(test)]
mod tests;
