//! What is around an entry, or a part of one, outside this process: a version, and a proof that it is whole: a checksum,
//! or with a key an AEAD's tag over a text that only the key opens.
//!
//! ```text
//! version 2 | flags 1 | … payload … | XXH3-64 of all before it and the entry's key, 8
//! version 2 | flags 1 | key id 4 | salt 24 | … sealed payload … | tag 16
//! ```
//! Sealing is AES-256-GCM under a key made for each entry from its random salt, so that no number of
//! entries wears a key out (random 96-bit nonces would after 2^32: NIST SP 800-38D section 8.3). The
//! entry's own key is authenticated with it: an entry moved under another key does not open.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use xxhash_rust::xxh3::Xxh3Default;

use crate::config::Secret;

/// The version written. Another version's entry is no entry.
const VERSION: u8 = 2;
/// Flag: the payload is compressed (zstd).
const COMPRESSED: u8 = 1;
/// Flag: the payload is sealed.
const SEALED: u8 = 2;
/// Payloads below this many bytes gain nothing worth the time from being compressed.
const COMPRESS_FROM: usize = 1024;
/// zstd's fastest ordinary level: a third of the size of JSON for some 10 us a KB.
const LEVEL: i32 = 1;

const HEAD: usize = 2;
const ID: usize = 4;
const SALT: usize = 24;
const TAG: usize = 16;
const CHECKSUM: usize = 8;

/// Wraps payloads and opens them again.
pub struct Envelope {
    /// The first seals, all open.
    keys: Vec<SealingKey>,
    /// The most bytes a payload may unpack to.
    largest: usize,
}

struct SealingKey {
    id: [u8; ID],
    master: [u8; 32],
}

/// Why something is no entry of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another version's.
    Version,
    /// Sealed with a key we do not have, or not sealed where it must be.
    Key,
    /// Cut, changed, or moved under another key.
    Damaged,
}

impl Refused {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Key => "key",
            Self::Damaged => "damaged",
        }
    }
}

impl SealingKey {
    fn new(secret: &Secret) -> Self {
        let secret = secret.expose().as_bytes();
        let mut id = [0; ID];
        id.copy_from_slice(&blake3::derive_key("pareto 2026 id of a sealing key", secret)[..ID]);
        Self { id, master: blake3::derive_key("pareto 2026 sealing of entries", secret) }
    }

    /// The key of one entry.
    fn of(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let key = blake3::keyed_hash(&self.master, salt);
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_bytes()).ok()?))
    }
}

/// Each key seals one text, so its nonce need not differ.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// What is authenticated beside the text: the head, and the key the entry lies under.
fn bound(head: &[u8], key: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([head, key].concat())
}

impl Envelope {
    /// An envelope that seals with the first of `keys`, or with none only proves wholeness. A payload
    /// that unpacks to more than `largest` bytes is not opened.
    pub fn new(keys: &[Secret], largest: usize) -> Self {
        Self { keys: keys.iter().map(SealingKey::new).collect(), largest }
    }

    /// The payload as it is written under `key`, made smaller where that is worth it and `compresses`
    /// does not say that it cannot be; `None` where the cipher refuses (a text of 64 GiB).
    pub fn wrap(&self, key: &[u8], payload: &[u8], compresses: bool) -> Option<Vec<u8>> {
        let packed = (compresses && payload.len() >= COMPRESS_FROM)
            .then(|| zstd::bulk::compress(payload, LEVEL).ok())
            .flatten()
            .filter(|packed| packed.len() < payload.len());
        let compressed = if packed.is_some() { COMPRESSED } else { 0 };
        let text = packed.as_deref().unwrap_or(payload);
        let mut wrapped = Vec::with_capacity(HEAD + ID + SALT + text.len() + TAG);
        let Some(sealing) = self.keys.first() else {
            wrapped.extend_from_slice(&[VERSION, compressed]);
            wrapped.extend_from_slice(text);
            let checksum = checksum(&wrapped, key);
            wrapped.extend_from_slice(&checksum);
            return Some(wrapped);
        };
        let salt: [u8; SALT] = rand::random();
        wrapped.extend_from_slice(&[VERSION, compressed | SEALED]);
        wrapped.extend_from_slice(&sealing.id);
        wrapped.extend_from_slice(&salt);
        let bound = bound(&wrapped, key);
        let start = wrapped.len();
        wrapped.extend_from_slice(text);
        let tag =
            sealing.of(&salt)?.seal_in_place_separate_tag(nonce(), bound, &mut wrapped[start..]).ok()?;
        wrapped.extend_from_slice(tag.as_ref());
        Some(wrapped)
    }

    /// The payload that was wrapped for `key`.
    ///
    /// # Errors
    /// It is not one of ours, or no longer as we wrote it.
    pub fn open(&self, key: &[u8], mut wrapped: Vec<u8>) -> Result<Vec<u8>, Refused> {
        let &[version, flags, ..] = wrapped.as_slice() else { return Err(Refused::Damaged) };
        if version != VERSION || flags & !(COMPRESSED | SEALED) != 0 {
            return Err(Refused::Version);
        }
        // With a key, what anybody could have written is not taken for ours.
        if (flags & SEALED != 0) == self.keys.is_empty() {
            return Err(Refused::Key);
        }
        let text: &[u8] = if flags & SEALED == 0 {
            let end = wrapped.len().checked_sub(CHECKSUM).filter(|end| *end >= HEAD);
            let end = end.ok_or(Refused::Damaged)?;
            if checksum(&wrapped[..end], key) != wrapped[end..] {
                return Err(Refused::Damaged);
            }
            &wrapped[HEAD..end]
        } else {
            let start = HEAD + ID + SALT;
            let head: [u8; HEAD + ID + SALT] =
                wrapped.get(..start).and_then(|head| head.try_into().ok()).ok_or(Refused::Damaged)?;
            let sealing = self.keys.iter().find(|key| key.id == head[HEAD..HEAD + ID]).ok_or(Refused::Key)?;
            let opener = sealing.of(&head[HEAD + ID..]).ok_or(Refused::Damaged)?;
            let opened = opener.open_in_place(nonce(), bound(&head, key), &mut wrapped[start..]);
            opened.map_err(|_| Refused::Damaged)?
        };
        if flags & COMPRESSED == 0 {
            return Ok(text.to_vec());
        }
        zstd::bulk::decompress(text, self.largest).map_err(|_| Refused::Damaged)
    }
}

fn checksum(bytes: &[u8], key: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = Xxh3Default::new();
    hasher.update(bytes);
    hasher.update(key);
    hasher.digest().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: usize = 1 << 20;

    fn sealed_by(keys: &[&str]) -> Envelope {
        let keys: Vec<Secret> = keys.iter().map(|key| Secret::from(*key)).collect();
        Envelope::new(&keys, LARGEST)
    }

    fn key(number: u8) -> [u8; 32] {
        [number; 32]
    }

    fn text() -> Vec<u8> {
        b"What is the capital of France? ".repeat(100)
    }

    #[test]
    fn what_was_wrapped_opens_and_nothing_of_it_shows() {
        for keys in [&[][..], &["one"][..]] {
            for payload in [Vec::new(), b"short".to_vec(), text()] {
                let envelope = sealed_by(keys);
                let wrapped = envelope.wrap(&key(1), &payload, true).unwrap();
                assert_eq!(envelope.open(&key(1), wrapped.clone()).unwrap(), payload);
                let shows = memchr::memmem::find(&wrapped, b"short").is_some();
                assert_eq!(shows, keys.is_empty() && payload == b"short");
                assert!(payload.len() < COMPRESS_FROM || wrapped.len() < payload.len() / 4);
            }
        }
        let envelope = sealed_by(&["one"]);
        assert_ne!(envelope.wrap(&key(1), b"same", true), envelope.wrap(&key(1), b"same", true));
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        for keys in [&[][..], &["one"][..]] {
            let envelope = sealed_by(keys);
            let wrapped = envelope.wrap(&key(1), &text(), true).unwrap();
            for at in 0..wrapped.len() {
                let mut changed = wrapped.clone();
                changed[at] ^= 0x40;
                assert!(envelope.open(&key(1), changed).is_err(), "byte {at}");
                assert!(envelope.open(&key(1), wrapped[..at].to_vec()).is_err(), "cut at {at}");
            }
            assert_eq!(envelope.open(&key(2), wrapped), Err(Refused::Damaged));
        }
    }

    #[test]
    fn an_old_key_opens_and_an_unknown_one_does_not() {
        let old = sealed_by(&["old"]).wrap(&key(1), b"text", true).unwrap();
        assert_eq!(sealed_by(&["new", "old"]).open(&key(1), old.clone()).unwrap(), b"text");
        assert_eq!(sealed_by(&["new"]).open(&key(1), old.clone()), Err(Refused::Key));
        assert_eq!(sealed_by(&[]).open(&key(1), old), Err(Refused::Key));
        let plain = sealed_by(&[]).wrap(&key(1), b"text", true).unwrap();
        assert_eq!(sealed_by(&["new"]).open(&key(1), plain), Err(Refused::Key));
        let new = sealed_by(&["new", "old"]).wrap(&key(1), b"text", true).unwrap();
        assert_eq!(sealed_by(&["old"]).open(&key(1), new), Err(Refused::Key));
    }

    #[test]
    fn another_version_is_no_entry() {
        let envelope = sealed_by(&[]);
        let mut wrapped = envelope.wrap(&key(1), b"text", true).unwrap();
        wrapped[0] = VERSION + 1;
        assert_eq!(envelope.open(&key(1), wrapped), Err(Refused::Version));
    }

    #[test]
    fn a_payload_that_unpacks_to_too_much_is_not_unpacked() {
        let envelope = sealed_by(&[]);
        let bomb = vec![0; LARGEST + 1];
        let wrapped = envelope.wrap(&key(1), &bomb, true).unwrap();
        assert!(wrapped.len() < 1024);
        assert_eq!(envelope.open(&key(1), wrapped), Err(Refused::Damaged));
    }
}
