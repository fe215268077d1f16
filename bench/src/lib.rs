//! What the bench binaries share: the one request and the one answer they all exchange.

pub mod payload;
