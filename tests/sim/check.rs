//! Whether what one client heard is something it may hear, told from the provider's own records and
//! nothing else.

use std::time::Duration;

use tokio::time::Instant;

use crate::answer::{Api, INPUT, Said, read_body, read_events};
use crate::provider::{Fate, Record, error_body};
use crate::settings::{Settings, TOTAL};
use crate::world::{Ask, End, Heard};

/// Statuses about the key or its allowance: never for a caller with another key.
const JUDGEMENTS: [u16; 4] = [401, 402, 403, 429];

/// One request and all that may have to do with it.
pub struct Case<'c> {
    /// The request.
    pub ask: &'c Ask,
    /// The settings it was served by.
    pub settings: &'c Settings,
    /// What was heard.
    pub heard: &'c Heard,
    /// Every call there was.
    pub log: &'c [Record],
}

type Verdict = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

impl Case<'_> {
    /// Judges the response.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Verdict {
        let heard = self.heard;
        match (heard.status.as_u16(), heard.end) {
            (200, End::Whole | End::Clean) => self.check_success(),
            (200, End::Broken(_)) => self.check_broken(),
            (status, End::Whole) => self.check_error(status),
            (status, end) => Err(format!("status {status} ended as {end:?}")),
        }
    }

    /// Whether an answer to this call may reach this client at all.
    fn in_scope(&self, record: &Record) -> bool {
        let (ask, asked) = (self.ask, &record.asked);
        let same_key = asked.credential == ask.credential;
        let shared = match self.settings.share {
            "credential" => same_key,
            "tenant" => asked.tenant == ask.tenant && (ask.tenant.is_some() || same_key),
            _ => true,
        };
        shared && asked.api == ask.api && asked.prompt == ask.prompt && asked.host == self.settings.host
    }

    /// Whether the call was under way while this client was being served.
    fn met(&self, record: &Record) -> bool {
        record.started <= self.heard.ended && record.ended.is_none_or(|ended| ended >= self.heard.started)
    }

    fn record(&self, call: u64) -> Result<&Record, String> {
        let record = self.log.get(usize::try_from(call).unwrap_or(usize::MAX));
        let record = record.ok_or_else(|| format!("an answer of call {call}, which never was"))?;
        ensure(self.in_scope(record), || format!("crossed a scope: {:?}", record.asked))?;
        Ok(record)
    }

    /// A call that went wrong while this client was served, and of which `is` holds.
    fn failed_call(&self, is: impl Fn(&Record) -> bool) -> Option<&Record> {
        self.log
            .iter()
            .find(|r| !r.script.complete && self.in_scope(r) && self.met(r) && is(r))
            .or_else(|| self.log.iter().find(|r| self.ran_out(r) && self.in_scope(r) && self.met(r) && is(r)))
    }

    /// A whole answer that came too slowly.
    fn ran_out(&self, record: &Record) -> bool {
        let whole = Duration::from_secs(TOTAL);
        let late = record.ended.is_some_and(|ended| ended - record.started >= whole);
        record.script.complete && (record.fate == Fate::Failed || (record.fate == Fate::Dropped && late))
    }

    fn streams(&self) -> bool {
        self.ask.stream && self.ask.api != Api::Embeddings
    }

    fn check_success(&self) -> Verdict {
        let heard = self.heard;
        if heard.headers.contains_key("content-encoding") {
            return self.check_untouched();
        }
        let read = if self.streams() && heard.header("content-type").starts_with("text/event-stream") {
            Some(read_events(self.ask.api, &heard.body)?)
        } else {
            read_body(self.ask.api, &heard.body)
        };
        let Some(said) = read.filter(|said| said.finished) else { return self.check_untouched() };
        if self.streams() {
            ensure(heard.header("content-type").starts_with("text/event-stream"), || "not a stream".into())?;
        }
        let call = said.call.ok_or("an answer that names no call")?;
        let record = self.record(call)?;
        ensure(record.script.complete && !record.script.coded, || {
            format!("call {call} had no whole answer")
        })?;
        ensure(said.closed && said.error.is_none(), || format!("no proper end: {said:?}"))?;
        ensure(said.text == record.script.mark.text(), || format!("call {call} said otherwise: {said:?}"))?;
        self.check_usage(&said, record)?;
        self.check_source(record)
    }

    fn check_usage(&self, said: &Said, record: &Record) -> Verdict {
        let output = if self.ask.api == Api::Embeddings { 0 } else { record.script.mark.words as u64 };
        let hidden = self.ask.api == Api::Chat && self.ask.stream && !self.ask.usage;
        let wanted = (!hidden).then_some((INPUT, output));
        ensure(said.usage == wanted, || format!("usage {:?}, not {wanted:?}", said.usage))?;
        if hidden {
            ensure(!self.heard.text().contains("\"usage\""), || "usage that nobody asked for".into())?;
        }
        Ok(())
    }

    /// Where the answer may have come from, by what `Cache-Status` says.
    fn check_source(&self, record: &Record) -> Verdict {
        let (heard, status) = (self.heard, self.heard.cache());
        let own = record.asked.credential == self.ask.credential && record.started >= heard.started;
        if status.starts_with("hit") {
            let ended = record.ended.filter(|_| record.fate == Fate::Delivered);
            let stored = ended.ok_or_else(|| format!("a hit of a call that was {:?}", record.fate))?;
            ensure(stored <= heard.head, || "a hit from the future".into())?;
            self.check_age(stored)?;
            ensure(self.settings.cache != "off" && self.settings.cache != "observe", || {
                format!("a hit with the cache {}", self.settings.cache)
            })?;
            // Of embeddings the vectors are kept, not the body.
            let replay = !self.streams() && !record.script.events && self.ask.api != Api::Embeddings;
            ensure(!replay || heard.body == record.raw(), || "not byte for byte".into())?;
            return ensure(heard.header("x-ratelimit-remaining-requests").is_empty(), || {
                "another's limits".into()
            });
        }
        ensure(self.met(record), || format!("{status}, but call {} was over", record.asked.number))?;
        let collapsed = status == "fwd=miss; collapsed";
        if collapsed {
            ensure(self.settings.coalesce == "on" || self.settings.coalesce == "50%", || {
                format!("collapsed with coalesce {}", self.settings.coalesce)
            })?;
            return ensure(!heard.headers.contains_key("x-ratelimit-remaining-requests"), || {
                "another's limits".into()
            });
        }
        // A call of its own, unless coalescing put this client on a flight under `fwd=bypass`.
        ensure(own, || format!("`{status}`, but the call was not this client's"))
    }

    fn check_age(&self, stored: Instant) -> Verdict {
        let heard = self.heard;
        let age: u64 = heard.header("age").parse().map_err(|_| "a hit without an age".to_owned())?;
        // The farewell of a stream passes between the provider's last byte and the storing.
        let real = heard.head - stored;
        ensure(real.as_secs().abs_diff(age) <= 1, || format!("age {age}, really {real:?}"))?;
        let directive = |name: &str| -> Option<u64> {
            let value = self.ask.control?.strip_prefix(name)?;
            value.parse().ok()
        };
        // Looked up before the provider failed; and windows are told in whole seconds.
        let found = (real - heard.waited()).as_secs();
        let stand_in = self.settings.if_error;
        ensure(directive("max-age=").is_none_or(|most| found <= most + stand_in + 1), || {
            format!("older than asked for: {real:?}")
        })?;
        let ttl = heard.cache().strip_prefix("hit; ttl=").and_then(|rest| rest.split(';').next());
        let ttl: i64 = ttl.and_then(|ttl| ttl.parse().ok()).ok_or("a hit without a ttl")?;
        let past = u64::try_from(-ttl).unwrap_or(0).saturating_sub(heard.waited().as_secs());
        let asked = directive("max-stale=").max(directive("stale-if-error=")).unwrap_or(0);
        let window = self.settings.while_revalidate.max(stand_in).max(asked);
        ensure(past <= window + 1, || format!("{past} s past its time, with {window} s allowed"))?;
        let long = directive("min-fresh=").filter(|_| stand_in == 0);
        ensure(long.is_none_or(|seconds| ttl + 1 >= seconds.cast_signed()), || format!("only {ttl} s left"))?;
        ensure(self.ask.control != Some("no-cache") && self.ask.control != Some("no-store"), || {
            format!("a hit in spite of {:?}", self.ask.control)
        })
    }

    /// A success that is no answer (cut JSON, an error with status 200, compressed) is the
    /// provider's own, byte for byte, and was heard only while its call was under way.
    fn check_untouched(&self) -> Verdict {
        let odd = |r: &Record| r.script.status == 200 && r.raw() == self.heard.body;
        let coded = |r: &&Record| r.script.coded && self.in_scope(r) && self.met(r) && odd(r);
        let found = self.failed_call(odd).or_else(|| self.log.iter().find(coded));
        ensure(found.is_some(), || format!("nobody said {:?}", self.heard.text()))?;
        ensure(!self.heard.cache().contains("hit") && !self.heard.cache().contains("stored"), || {
            format!("it was stored: {}", self.heard.cache())
        })
    }

    fn check_broken(&self) -> Verdict {
        let heard = self.heard;
        ensure(!heard.cache().starts_with("hit"), || "a broken hit".into())?;
        if !self.streams() {
            let found = self.failed_call(|r| r.raw().starts_with(&heard.body));
            return ensure(found.is_some(), || "a cut body that nobody sent".into());
        }
        let said = read_events(self.ask.api, &heard.body)?;
        ensure(said.error.is_some(), || format!("cut without an error event: {said:?}"))?;
        let closed = said.closed && self.ask.api != Api::Generate;
        ensure(!closed, || "an error and a clean end".into())?;
        let call = said.call;
        let is = |r: &Record| {
            let whole = r.script.mark.text();
            call.is_none_or(|call| call == r.asked.number) && whole.starts_with(&said.text)
        };
        let forever =
            |r: &Record| call == Some(r.asked.number) && said.text.starts_with(&r.script.mark.text());
        let found = self.failed_call(|r| is(r) || forever(r));
        ensure(found.is_some(), || format!("no call broke off like this: {said:?}"))
    }

    fn check_error(&self, status: u16) -> Verdict {
        let text = self.heard.text();
        if text.contains("\"pareto_") {
            return self.check_own_error(status, &text);
        }
        let found = self.failed_call(|r| {
            let told = text.contains(&format!("error of call {}\"", r.asked.number));
            let same = r.script.status == status && r.raw() == error_body(r.asked.number).as_bytes();
            // An error in the first event of a stream becomes a status of its own.
            let early = r.script.events && r.script.status == 200;
            told && (same || early)
        });
        let Some(record) = found else { return Err(format!("no call refused with {status}: {text}")) };
        let judged = JUDGEMENTS.contains(&status) && record.asked.credential != self.ask.credential;
        ensure(!judged, || format!("another's {status}"))
    }

    fn check_own_error(&self, status: u16, text: &str) -> Verdict {
        for never in ["Everyone who asked", "too far behind", "inside pareto", "without an answer"] {
            ensure(!text.contains(never), || format!("a client heard: {text}"))?;
        }
        if text.contains("pareto_not_cached") {
            let asked = self.ask.control == Some("only-if-cached") && status == 504;
            return ensure(asked, || format!("{status}: {text}"));
        }
        let timed_out = text.contains("pareto_upstream_timeout");
        let expected = if timed_out { 504 } else { 502 };
        ensure(status == expected, || format!("{status}: {text}"))?;
        let found = self.failed_call(|r| r.fate != Fate::Flying);
        ensure(found.is_some(), || format!("no call failed: {text}"))
    }
}

/// The most calls under way at once among those that could have shared one, over all such groups.
pub fn most_at_once(log: &[Record], scope: impl Fn(&Record) -> String) -> usize {
    let mut groups = std::collections::HashMap::<_, Vec<&Record>>::new();
    for record in log {
        let key = (record.asked.api, record.asked.prompt, record.asked.host.clone(), scope(record));
        groups.entry(key).or_default().push(record);
    }
    let over =
        |record: &Record, at: Instant| record.started <= at && record.ended.is_none_or(|ended| ended > at);
    let most = |group: &Vec<&Record>| {
        let at = |at: &&Record| group.iter().filter(|record| over(record, at.started)).count();
        group.iter().map(at).max().unwrap_or(0)
    };
    groups.values().map(most).max().unwrap_or(0)
}
