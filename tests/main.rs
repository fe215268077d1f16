//! The tests at the height a user sees, in one binary: clients, a sidecar and a simulated provider
//! on real sockets, and the laws of the pure parts on generated input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod feature;
mod golden;
mod harness;
mod property;
mod wire;
