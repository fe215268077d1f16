//! Gathering embedding inputs into calls, checked.

use std::time::Duration;

/// How embedding inputs are gathered into calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The longest wait for others' inputs; above zero.
    pub window: Duration,
    /// The most inputs of one call, 1 to 2048.
    pub max_inputs: usize,
    /// Calls under way from which on inputs gather, and calls of one large request at a time; at
    /// least 1.
    pub parallel: usize,
}
