//! Everything a simulated provider can do wrong.

use std::fmt;
use std::str::FromStr;

/// One way to misbehave. Its kebab-case name works in the request header `x-sim-fault`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection is reset before anything is read; by header, after the request.
    Refuse,
    /// Reset once the request is read.
    ResetBeforeHead,
    /// Reset once the head is written.
    ResetAfterHead,
    /// Reset in the middle of the body.
    ResetMidStream,
    /// The connection ends in the middle of the body, in order for TCP but not for HTTP.
    FinMidStream,
    /// The body ends well after half the events: no finish reason, no usage, no terminal event.
    NoFinish,
    /// The terminal `data: [DONE]` is missing; all else is complete.
    NoDone,
    /// The answer does not say what it consumed, as many servers of one's own do not.
    NoUsage,
    /// One event in the middle, or the whole JSON body, is cut short and no JSON.
    Malformed,
    /// 429 that says `Retry-After: 1`.
    RateLimited,
    /// 429 that says `Retry-After:` and this many seconds.
    RateLimitedFor(u16),
    /// 429 that says `retry-after-ms: 30`.
    RateLimitedMs,
    /// 429 for lack of money: waiting does not help and no wait is named.
    Quota,
    /// This status, with the dialect's usual error body.
    Status(u16),
    /// 503 with a load balancer's HTML page.
    UnavailableHtml,
    /// 400: the request does not fit the model's context window, in the dialect's words.
    ContextTooLong,
    /// 400: a call in the request has a proof that is not the model's.
    Unproved,
    /// 200 whose body, or first event, is an error.
    ErrorInBody,
    /// A stream whose second half is replaced by an error event and a clean end.
    ErrorMidStream,
    /// 200 and an empty body of the right content type.
    Empty,
    /// Every byte of the body by its own, with a pause.
    SlowDrip,
    /// A stream that goes on for ever; a JSON body becomes endless whitespace.
    NeverEnds,
    /// The request is read and nothing comes, ever.
    NeverAnswers,
    /// Nothing comes after the head.
    HangAfterHead,
    /// Nothing comes after half the body.
    HangMidStream,
    /// An answer of 64 MiB, one member or event of which is most of it.
    Huge,
    /// Lines of the stream end with CR LF.
    CrLf,
    /// Lines of the stream end with CR.
    Cr,
    /// Every byte of the answer by its own write, without a pause.
    ByteWrites,
    /// Comment lines between the events of a stream.
    Comments,
    /// A byte order mark before the body.
    Bom,
    /// The body is gzipped though nobody asked.
    Gzip,
    /// `Content-Length` is 100 more than what comes.
    LengthTooLong,
    /// `Content-Length` is 10 less than what comes.
    LengthTooShort,
    /// No length and no chunks: the end of the connection is the end of the body.
    CloseDelimited,
    /// Chunks, and a trailer after the last.
    Trailers,
    /// An interim `100 Continue` that nobody asked for; some clients, undici among them, refuse it.
    Continue,
    /// An interim `103 Early Hints` before the answer.
    EarlyHints,
    /// 413 and the end of the connection, without reading the body.
    TooLarge,
    /// What is written is no HTTP.
    NotHttp,
    /// The vectors of an embeddings answer stand in another order than asked, each with its own index.
    VectorsSwapped,
    /// The last vector of an embeddings answer is missing.
    VectorsMissing,
    /// Two vectors of an embeddings answer have the same index.
    VectorsTwice,
    /// An embeddings answer writes numbers where base64 was asked for, as some servers do.
    VectorsAsNumbers,
}

/// The faults that have a fixed name; `Status` is written `status-NNN`, `RateLimitedFor` `rate-limited-N`.
const NAMES: [(Fault, &str); 43] = [
    (Fault::Refuse, "refuse"),
    (Fault::ResetBeforeHead, "reset-before-head"),
    (Fault::ResetAfterHead, "reset-after-head"),
    (Fault::ResetMidStream, "reset-mid-stream"),
    (Fault::FinMidStream, "fin-mid-stream"),
    (Fault::NoFinish, "no-finish"),
    (Fault::NoDone, "no-done"),
    (Fault::NoUsage, "no-usage"),
    (Fault::Malformed, "malformed"),
    (Fault::RateLimited, "rate-limited"),
    (Fault::RateLimitedMs, "rate-limited-ms"),
    (Fault::Quota, "quota"),
    (Fault::UnavailableHtml, "unavailable-html"),
    (Fault::ContextTooLong, "context-too-long"),
    (Fault::Unproved, "unproved"),
    (Fault::ErrorInBody, "error-in-body"),
    (Fault::ErrorMidStream, "error-mid-stream"),
    (Fault::Empty, "empty"),
    (Fault::SlowDrip, "slow-drip"),
    (Fault::NeverEnds, "never-ends"),
    (Fault::NeverAnswers, "never-answers"),
    (Fault::HangAfterHead, "hang-after-head"),
    (Fault::HangMidStream, "hang-mid-stream"),
    (Fault::Huge, "huge"),
    (Fault::CrLf, "crlf"),
    (Fault::Cr, "cr"),
    (Fault::ByteWrites, "byte-writes"),
    (Fault::Comments, "comments"),
    (Fault::Bom, "bom"),
    (Fault::Gzip, "gzip"),
    (Fault::LengthTooLong, "length-too-long"),
    (Fault::LengthTooShort, "length-too-short"),
    (Fault::CloseDelimited, "close-delimited"),
    (Fault::Trailers, "trailers"),
    (Fault::Continue, "continue"),
    (Fault::EarlyHints, "early-hints"),
    (Fault::TooLarge, "too-large"),
    (Fault::NotHttp, "not-http"),
    (Fault::VectorsSwapped, "vectors-swapped"),
    (Fault::VectorsMissing, "vectors-missing"),
    (Fault::VectorsTwice, "vectors-twice"),
    (Fault::VectorsAsNumbers, "vectors-as-numbers"),
    (Fault::Status(500), "server-error"),
];

impl Fault {
    /// Every fault, `Status` with those a provider is known to send.
    pub fn all() -> impl Iterator<Item = Self> {
        let statuses = [400, 401, 403, 404, 408, 409, 422, 502, 503, 504, 529].map(Self::Status);
        NAMES.iter().map(|(fault, _)| *fault).chain(statuses)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if let Some((fault, _)) = NAMES.iter().find(|(_, known)| *known == name) {
            return Ok(*fault);
        }
        if let Some(seconds) = name.strip_prefix("rate-limited-").and_then(|seconds| seconds.parse().ok()) {
            return Ok(Self::RateLimitedFor(seconds));
        }
        name.strip_prefix("status-")
            .and_then(|status| status.parse().ok())
            .filter(|status| (400..600).contains(status))
            .map(Self::Status)
            .ok_or_else(|| format!("no fault is called {name:?}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (NAMES.iter().find(|(fault, _)| fault == self), self) {
            (Some((_, name)), _) => out.write_str(name),
            (None, Self::Status(status)) => write!(out, "status-{status}"),
            (None, Self::RateLimitedFor(seconds)) => write!(out, "rate-limited-{seconds}"),
            (None, _) => fmt::Debug::fmt(self, out),
        }
    }
}
