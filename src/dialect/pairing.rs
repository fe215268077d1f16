//! Calls and their results, which Anthropic and Gemini want one after the other.

use std::collections::HashSet;

use super::prompt::{Part, Prompt, Role};
use super::{Field, Unsayable};

/// Proves that the results of all calls of a turn are in the next one, and no others.
pub(super) fn prove(prompt: &Prompt) -> Result<(), Unsayable> {
    let mut open: HashSet<&str> = HashSet::new();
    for turn in &prompt.turns {
        for result in turn.parts.iter().filter_map(Part::as_result) {
            if !open.remove(result.id.as_str()) {
                return Err(Unsayable(Field::Turn(turn.at), "answers a call that was not made before it"));
            }
        }
        if turn.role != Role::System && !open.is_empty() {
            return Err(Unsayable(Field::Turn(turn.at), "leaves a tool call before it without a result"));
        }
        open.extend(turn.parts.iter().filter_map(Part::as_call).map(|call| call.id.as_str()));
    }
    if open.is_empty() {
        return Ok(());
    }
    let last = prompt.turns.last().map_or(0, |turn| turn.at);
    Err(Unsayable(Field::Turn(last), "calls a tool and is not followed by a result"))
}
