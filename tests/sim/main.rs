//! The seeded simulator: the gateway between scripted providers and virtual clients, on a paused
//! clock and without a socket. Hours of traffic pass in seconds, the same twice.
//!
//! `storm` draws everything by chance from a seed and `check` judges what was heard; `plays`
//! are short, of one rule each; `stress` is the same gateway on real threads. Reading order: `world`, `provider`, `answer`, `check`, `storm`.
//!
//! `SIM_SEED=… SIM_STEPS=… cargo test --test sim storm` runs one storm again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a failed run says how to repeat it")]

mod answer;
mod check;
mod plays;
mod provider;
mod settings;
mod storm;
mod stress;
mod world;
