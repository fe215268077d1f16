//! Configurations, drawn by chance or written out.

use std::fmt::Write;

use rand::RngExt;
use rand::rngs::StdRng;

/// Longest first byte, idle and whole call in seconds, in every generation of a storm.
pub const FIRST_BYTE: u64 = 20;
/// See [`FIRST_BYTE`].
pub const IDLE: u64 = 10;
/// See [`FIRST_BYTE`].
pub const TOTAL: u64 = 60;

/// One generation's settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `cache.share`.
    pub share: &'static str,
    /// `features.cache`.
    pub cache: &'static str,
    /// `features.coalesce`.
    pub coalesce: &'static str,
    /// `coalesce.abandoned`.
    pub abandoned: &'static str,
    /// `coalesce.max_waiters`.
    pub max_waiters: u32,
    /// `cache.exact.ttl`, seconds.
    pub ttl: u64,
    /// `cache.stale.while_revalidate`, seconds.
    pub while_revalidate: u64,
    /// `cache.stale.if_error`, seconds.
    pub if_error: u64,
    /// The provider's host.
    pub host: &'static str,
}

impl Settings {
    /// Everything on, nothing stale, no limits reached.
    pub fn plain() -> Self {
        Self {
            share: "credential",
            cache: "on",
            coalesce: "on",
            abandoned: "stop",
            max_waiters: 10_000,
            ttl: 30,
            while_revalidate: 0,
            if_error: 0,
            host: "one.test",
        }
    }

    /// Any.
    pub fn drawn(chance: &mut StdRng) -> Self {
        let mut of = |choices: &[&'static str]| choices[chance.random_range(0..choices.len())];
        let share = of(&["credential", "credential", "tenant", "everyone"]);
        let cache = of(&["on", "on", "on", "observe", "off", "50%"]);
        let coalesce = of(&["on", "on", "on", "observe", "off", "50%"]);
        let abandoned = of(&["stop", "finish"]);
        let host = of(&["one.test", "one.test", "two.test"]);
        let mut number = |choices: &[u64]| choices[chance.random_range(0..choices.len())];
        Self {
            share,
            cache,
            coalesce,
            abandoned,
            host,
            max_waiters: if number(&[0, 1, 2]) == 0 { 2 } else { 10_000 },
            ttl: number(&[5, 30, 300]),
            while_revalidate: number(&[0, 0, 20]),
            if_error: number(&[0, 60]),
        }
    }

    /// The file that says this.
    pub fn yaml(&self) -> String {
        let mut file = format!(
            "providers: {{p: {{url: \"https://{}/v1\", timeouts: {{connect: 5s, first_byte: {FIRST_BYTE}s, idle: {IDLE}s, total: {TOTAL}s}}}}}}\n",
            self.host
        );
        let Self { share, cache, coalesce, abandoned, max_waiters, ttl, while_revalidate, if_error, .. } =
            self;
        let _ = write!(
            file,
            "cache: {{share: {share}, max_entry: 1MiB, exact: {{ttl: {ttl}s}}, stale: {{while_revalidate: {while_revalidate}s, if_error: {if_error}s}}}}\n\
             coalesce: {{abandoned: {abandoned}, max_waiters: {max_waiters}}}\n\
             features: {{cache: {cache}, coalesce: {coalesce}}}\n"
        );
        file
    }
}
