//! What is done to a candidate, each in a process of its own.

mod bound;
mod full;
mod killed;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::payload::{Payload, key};
use crate::store::{Candidate, Store};
use crate::stores::{files::Files, memory::Memory, threaded::Threaded};
use crate::{Outcome, Task};

/// What was measured, by name.
pub type Measured = BTreeMap<String, f64>;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// Entries are stored and found, and looked for in vain.
    Work,
    /// Far more is stored than there is room for.
    Fill,
    /// What was stored by another process is opened.
    Open,
    /// Entries are stored until somebody kills it.
    Write,
    /// What a killed process stored is looked for.
    Find,
    /// The disk is full for a while.
    Full,
    /// What was stored after that is looked for.
    After,
}

/// Does what the task says.
pub async fn run(task: &Task) -> Outcome<Measured> {
    match task.candidate {
        #[cfg(feature = "pareto")]
        Candidate::Fjall => phase::<pareto::cache::disk::Disk>(task).await,
        #[cfg(feature = "foyer")]
        Candidate::Foyer => phase::<crate::stores::foyer::Foyer>(task).await,
        #[cfg(feature = "redb")]
        Candidate::Redb => phase::<Threaded<crate::stores::redb::Redb>>(task).await,
        Candidate::Files => phase::<Threaded<Files>>(task).await,
        Candidate::Memory => phase::<Threaded<Memory>>(task).await,
    }
}

async fn phase<S: Store>(task: &Task) -> Outcome<Measured> {
    match task.phase {
        Phase::Work => work::work::<S>(task).await,
        Phase::Fill => bound::fill::<S>(task).await,
        Phase::Open => bound::open::<S>(task).await,
        Phase::Write => killed::write::<S>(task).await,
        Phase::Find => killed::find::<S>(task).await,
        Phase::Full => full::full::<S>(task).await,
        Phase::After => full::after::<S>(task).await,
    }
}

/// Milliseconds, none left out.
fn milliseconds() -> Interval {
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

/// Offers entries with these numbers at the task's rate.
async fn offer<S: Store>(store: &S, payload: &Payload, numbers: std::ops::Range<u64>, rate: u64) {
    let mut ticks = milliseconds();
    let mut number = numbers.start;
    while number < numbers.end {
        ticks.tick().await;
        for _ in 0..rate.min(numbers.end - number) {
            store.put(key(number), payload.value(number));
            number += 1;
        }
    }
}

/// How many of the entries with these numbers are found. A wrong one ends the run.
async fn found<S: Store>(
    store: &S,
    payload: &Payload,
    numbers: impl Iterator<Item = u64>,
) -> Outcome<(u64, u64)> {
    let (mut found, mut asked) = (0, 0);
    for number in numbers {
        asked += 1;
        if let Some(value) = store.get(key(number)).await {
            if !payload.is(number, &value) {
                return Err(format!("entry {number} is another").into());
            }
            found += 1;
        }
    }
    Ok((found, asked))
}
