//! pareto: a reverse-proxy caching sidecar for LLM and embedding APIs. This is the map.
//!
//! # Reading order
//! 1. [`gateway`]: [`gateway::Gateway::serve`] is the pipeline, from a request to its response.
//! 2. `gateway::decide` (what applies to a request), `respond` (stored, shared or fetched), `fly` and
//!    `record` (the one upstream call).
//! 3. [`response::recording`]: the one form all answers have, written once and read by many.
//! 4. [`request::facts`] and [`request::key`]: what makes two requests the same one.
//! 5. [`response::shape`]: one answer as a body or as events, for every API.
//! 6. `server::proxy`: where Pingora hands over, and what passes through untouched.
//!
//! # Rooms
//! Data walks down a corridor, the [`gateway`]; rooms open onto it and not onto each other.
//!
//! | room | has |
//! |---|---|
//! | [`io`] | the outside world as values: time, name look-ups, calls to providers over Pingora's connectors |
//! | [`config`] | the file: text, shape as written, checked values as meant, or every problem at once |
//! | [`text`] | what people type, folded so that spellings of the same words compare equal: pure |
//! | [`sse`], [`json`] | bytes to events and canonical JSON: pure, without a word of the domain |
//! | [`error`] | every "no" of ours: its status and its OpenAI body |
//! | [`request`] | one understood request: endpoint, facts, identity, wishes, key, plan |
//! | [`response`] | one answer: recording, shapes, usage, price |
//! | [`exchange`] | the notes of one request, settled exactly once |
//! | [`dialect`] | one conversation in any provider's words: requests and replies translated |
//! | [`route`] | who is asked, with which path, headers and key |
//! | [`cache`] | what is stored, answers and vectors: found, proved, judged fresh or stale, purged |
//! | [`coalesce`] | flights: one call for all who ask the same at the same time |
//! | [`limits`] | counts and budgets: who is let through, waits or is refused; reserved before, settled after |
//! | [`embedding`] | vectors by the input: found, shared while being fetched, gathered into calls |
//! | [`rules`] | what is answered here, refused, changed or cached otherwise, and why |
//! | [`telemetry`] | the books: metrics and a log line out of each settled exchange |
//! | [`gateway`] | the pipeline; one generation of the configuration at work |
//! | [`server`] | Pingora's side: sockets, the phases, the writer, the operators' listener, reload, life and end |
//! | [`sidecar`] | all parts put together: what `main` runs, the demo shows and tests drive |
//! | [`demo`] | `pareto demo`; its simulated provider is the one the tests use |
//!
//! # Layers
//! A file uses its own room and lower layers; never a sibling room, never upwards.
//!
//! | layer | rooms | extra rule |
//! |---|---|---|
//! | 6 | `main`, [`demo`] over [`sidecar`] | wiring; nothing below knows of them |
//! | 5 | [`server`] | with `io::pingora` the only code that knows Pingora |
//! | 4 | [`gateway`] | the only one that knows all rooms; carries values between them |
//! | 3 | [`cache`], [`coalesce`], [`embedding`], [`limits`], [`rules`], [`telemetry`] | siblings never meet |
//! | 2 | [`route`] over [`dialect`] | `dialect` is pure: no async, no clock, no network |
//! | 1 | [`exchange`] over [`response`] over [`request`] over [`error`] | values |
//! | 0 | [`io`] over [`config`] over [`text`]; [`sse`], [`json`] | the ground |
//!
//! # What holds it up
//! - Every answer, live, shared, stored or refused, is one recording being played. The upstream call is
//!   a task of its own; even the client that caused it is only a reader and may hang up.
//! - `stream` is not in the key: one stored answer serves both kinds of client, each in its own form.
//! - Only an answer proved complete is stored.
//! - Whoever may not share an answer has another key: isolation is in the key, not in a check.
//! - A reload builds a new [`gateway::Gateway`] beside the old one and swaps one pointer; a request
//!   ends on the generation it began on. What outlives generations is [`gateway::Kept`].
//! - Features are values decided once per request, carried in a [`request::plan::Plan`].
//! - What can grow has a bound, and the bound has a name.
//!
//! # Not here
//! No plug-ins, no database, no page of its own, no TLS towards clients: a sidecar's client is local.

pub mod cache;
pub mod coalesce;
pub mod config;
pub mod demo;
pub mod dialect;
pub mod embedding;
pub mod error;
pub mod exchange;
pub mod gateway;
pub mod io;
pub mod json;
pub mod limits;
pub mod request;
pub mod response;
pub mod route;
pub mod rules;
pub mod server;
pub mod sidecar;
pub mod sse;
pub mod telemetry;
pub mod text;
