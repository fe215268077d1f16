//! Calls held back until they are whole, for APIs that cannot tell one between the pieces of another.

use std::collections::VecDeque;

use super::prompt::Signature;

/// The calls of one answer that were not told yet, in the order of their beginnings.
#[derive(Default)]
pub(super) struct HeldCalls(VecDeque<HeldCall>);

/// A call held back.
pub(super) struct HeldCall {
    /// Its number.
    pub(super) call: u32,
    /// Its id.
    pub(super) id: String,
    /// The tool.
    pub(super) name: String,
    /// The provider's proof that the call is its own.
    pub(super) signature: Option<Signature>,
    /// The pieces of its arguments so far.
    pub(super) json: String,
}

impl HeldCalls {
    /// A call begins.
    pub(super) fn begin(&mut self, call: u32, id: String, name: String, signature: Option<Signature>) {
        self.0.push_back(HeldCall { call, id, name, signature, json: String::new() });
    }

    /// More of a call's arguments; of a call that is not held, nothing.
    pub(super) fn add(&mut self, call: u32, json: &str) {
        if let Some(held) = self.0.iter_mut().find(|held| held.call == call) {
            held.json.push_str(json);
        }
    }

    /// Lets the first go.
    pub(super) fn pop(&mut self) -> Option<HeldCall> {
        self.0.pop_front()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &HeldCall> {
        self.0.iter()
    }
}
