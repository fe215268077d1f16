//! The figures as one Markdown table: a row for each measure, a column for each candidate.

use std::fmt::Write;

use crate::store::Candidate;
use crate::turns::{Figures, VALUES};

/// How the figures of several turns become one.
#[derive(Clone, Copy)]
enum Over {
    /// The least disturbed by others.
    Least,
    /// The one in the middle.
    Median,
    /// The worst.
    Most,
    /// How many there are.
    Count,
}

/// A row: what it says, the figure, how many decimals, and how turns become one.
struct Row(&'static str, &'static str, usize, Over);

/// Rows for each size of values.
const SIZED: [Row; 16] = [
    Row("CPU per entry stored, µs", "store_cpu", 1, Over::Least),
    Row("CPU per hit, µs", "hit_cpu", 1, Over::Least),
    Row("CPU per look-up in vain, µs", "miss_cpu", 1, Over::Least),
    Row("hit, p50, µs", "hit_p50", 0, Over::Median),
    Row("hit, p99, µs", "hit_p99", 0, Over::Median),
    Row("hit while storing, p50, µs", "beside_p50", 0, Over::Median),
    Row("hit while storing, p99, µs", "beside_p99", 0, Over::Median),
    Row("longest call that stores, ms", "put_longest", 2, Over::Median),
    Row("bytes written per byte stored", "amplification", 2, Over::Median),
    Row("bytes on disk per byte stored", "taken", 2, Over::Median),
    Row("peak memory, MiB", "memory", 0, Over::Median),
    Row("offered entries that were stored, %", "stored", 1, Over::Least),
    Row("written far beyond its bound: most bytes on disk, % of it", "peak", 0, Over::Most),
    Row("then: values held, % of the bound", "held", 0, Over::Most),
    Row("then: opening, to the first hit, ms", "open", 0, Over::Most),
    Row("then: peak memory of that, MiB", "open_memory", 0, Over::Most),
];
/// The others.
const WHOLE: [Row; 10] = [
    Row("kill -9: times", "killed", 0, Over::Count),
    Row("kill -9: opened again, times", "after_kill", 0, Over::Count),
    Row("kill -9: opening, ms", "after_kill", 0, Over::Most),
    Row("kill -9: entries lost of 20,000 handed over", "lost", 0, Over::Most),
    Row("kill -9: wrong values", "wrong", 0, Over::Most),
    Row("full disk: longest call that stores, ms", "full_put", 2, Over::Most),
    Row("full disk: longest look-up, ms", "full_get", 1, Over::Most),
    Row("full disk: hits of what was stored before, %", "full_hits", 0, Over::Most),
    Row("full disk no longer: stores again after, s", "back", 1, Over::Most),
    Row("then: offered entries that were stored, %", "back_stored", 0, Over::Least),
];

/// The table.
pub fn markdown(candidates: &[Candidate], figures: &Figures) -> String {
    let mut table = String::from("| | value |");
    for candidate in candidates {
        let _ = write!(table, " {} |", candidate.name());
    }
    table += "\n|---|---|";
    table += &"---:|".repeat(candidates.len());
    for row in &SIZED {
        for (value, ..) in VALUES {
            line(&mut table, row, value, candidates, figures);
        }
    }
    for row in &WHOLE {
        line(&mut table, row, 0, candidates, figures);
    }
    table
}

fn line(table: &mut String, row: &Row, value: usize, candidates: &[Candidate], figures: &Figures) {
    let size = if value == 0 { String::new() } else { format!("{} KiB", value >> 10) };
    let _ = write!(table, "\n| {} | {size} |", row.0);
    for candidate in candidates {
        let turns = figures.get(&(candidate.name(), value, row.1.to_owned()));
        match turns.and_then(|turns| one(turns, row.3)) {
            Some(figure) => _ = write!(table, " {figure:.*} |", row.2),
            None => *table += " - |",
        }
    }
}

fn one(turns: &[f64], over: Over) -> Option<f64> {
    let mut sorted = turns.to_vec();
    sorted.sort_by(f64::total_cmp);
    match over {
        Over::Least => sorted.first().copied(),
        Over::Median => sorted.get(sorted.len() / 2).copied(),
        Over::Most => sorted.last().copied(),
        Over::Count => Some(sorted.len() as f64),
    }
}
