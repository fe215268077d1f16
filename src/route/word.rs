//! What sidecars tell each other of a target and key, as it lies in Redis beside its time to live. Pure.
//!
//! The clock of one machine says nothing to another, so a word has durations alone and Redis counts them
//! down: from the word and what is left of its key's life a reader knows, by a clock of its own, when that
//! was which it tells of, and until when it holds. Who reads it late errs on the late side by the way of
//! the word, some milliseconds.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::breaker::LONGEST_REST;
use super::verdict::LONGEST_WAIT;

/// How long a word stays after what it tells is over: a sidecar that begins then still learns that a probe
/// is due, and one that was cut off for a moment that the rest was ended before its time.
pub const LINGER: Duration = Duration::from_secs(60);
/// What happened longer ago is no news.
const OLDEST: Duration = Duration::from_secs(86_400);
/// What is longer is no word.
const LARGEST: usize = 256;
/// Words of another version are not understood.
const VERSION: u8 = 1;

/// One of the sidecars, told from the others by a random number for as long as it runs.
pub type Sidecar = u64;

/// Why a target and key rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The key is refused, or has no money left.
    KeyRefused,
    /// There was too much load.
    RateLimited,
    /// The provider named a wait.
    AskedToWait,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Its breaker has opened, after so many failed probes.
    Opened(u32),
    /// Its breaker has closed.
    Closed,
    /// It rests.
    Rests(Reason),
    /// It rests no longer.
    Rested,
}

/// A word, who says it, when what it tells of happened and until when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Who has seen it.
    pub by: Sidecar,
    /// What was seen.
    pub word: Word,
    /// When.
    pub since: Instant,
    /// The end of the rest, of a word that tells of one.
    pub until: Instant,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u8,
    by: Sidecar,
    word: Word,
    /// Milliseconds from what happened to the writing.
    ago: u64,
    /// Milliseconds of rest from the writing on.
    rest: u64,
}

impl Reason {
    /// The name shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyRefused => "key refused",
            Self::RateLimited => "rate limited",
            Self::AskedToWait => "asked to wait",
        }
    }
}

impl Word {
    /// The longest rest it can tell of; who tells of a longer one makes it up.
    const fn longest(self) -> Duration {
        match self {
            Self::Opened(_) => LONGEST_REST,
            Self::Rests(_) => LONGEST_WAIT,
            Self::Closed | Self::Rested => Duration::ZERO,
        }
    }
}

impl Fact {
    /// The value of its key, and how long the key is to live.
    pub fn write(&self, now: Instant) -> (Vec<u8>, Duration) {
        let rest = self.until.saturating_duration_since(now).min(self.word.longest());
        let rest = Duration::from_millis(milliseconds(rest));
        let ago = now.saturating_duration_since(self.since).min(OLDEST);
        let written = Written {
            version: VERSION,
            by: self.by,
            word: self.word,
            ago: milliseconds(ago),
            rest: milliseconds(rest),
        };
        (serde_json::to_vec(&written).unwrap_or_default(), rest + LINGER)
    }

    /// Reads a value whose key lives for `left` yet; `None` where it is no word of this version, or tells
    /// of what cannot be.
    pub fn read(value: &[u8], left: Duration, now: Instant) -> Option<Self> {
        if value.len() > LARGEST {
            return None;
        }
        let Written { version, by, word, ago, rest } = serde_json::from_slice(value).ok()?;
        let (ago, rest) = (Duration::from_millis(ago), Duration::from_millis(rest));
        if version != VERSION || rest > word.longest() || ago > OLDEST {
            return None;
        }
        let passed = (rest + LINGER).checked_sub(left)?;
        let written = now.checked_sub(passed)?;
        Some(Self { by, word, since: written.checked_sub(ago)?, until: written + rest })
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
