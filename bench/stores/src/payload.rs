//! Numbered entries: a key and a value that follow from the number, and do not compress, as sealed ones.

/// What an entry is found by, as the product's: 32 bytes of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub [u8; 32]);

/// Bytes that values are cut from.
const POOL: usize = 1 << 20;
/// Numbers from here on are never stored.
const ABSENT: u64 = 1 << 40;

/// Makes entries with values of one size.
pub struct Payload {
    pool: Vec<u8>,
    size: usize,
}

impl Payload {
    /// For values of `size` bytes, 8 at least.
    pub fn new(size: usize) -> Self {
        let pool = (0..POOL as u64 / 8).flat_map(|at| mixed(at).to_le_bytes()).collect();
        Self { pool, size: size.max(8) }
    }

    /// The value with this number: the number, then bytes that look random.
    pub fn value(&self, number: u64) -> Vec<u8> {
        let mut value = Vec::with_capacity(self.size);
        value.extend_from_slice(&number.to_le_bytes());
        value.extend_from_slice(self.rest(number));
        value
    }

    /// Whether a value is the one with this number.
    pub fn is(&self, number: u64, value: &[u8]) -> bool {
        value.len() == self.size && value[..8] == number.to_le_bytes() && value[8..] == *self.rest(number)
    }

    fn rest(&self, number: u64) -> &[u8] {
        let length = self.size - 8;
        let from = (mixed(number) % (POOL - length) as u64) as usize;
        &self.pool[from..from + length]
    }
}

/// The key of the entry with this number.
pub fn key(number: u64) -> Key {
    let mut key = [0; 32];
    for (at, part) in (0..4u64).zip(key.chunks_exact_mut(8)) {
        part.copy_from_slice(&mixed(number.wrapping_mul(4).wrapping_add(at)).to_le_bytes());
    }
    Key(key)
}

/// A key under which nothing is stored.
pub fn absent(number: u64) -> Key {
    key(ABSENT + number)
}

/// A number below `below` that looks random.
pub fn drawn(turn: u64, below: u64) -> u64 {
    mixed(turn ^ 0x5eed) % below.max(1)
}

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
