//! A disk that takes nothing more for a while: no file may grow, then any may again.

use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::{Measured, found, milliseconds, offer};
use crate::measure::{Times, settled};
use crate::payload::{Payload, drawn, key};
use crate::store::Store;
use crate::{Outcome, Task};

/// SIGXFSZ, which ends who does not take it; 25 on Linux (`signal(7)`).
const TOO_LARGE: i32 = 25;
/// For so many milliseconds the disk is full.
const FULL: u64 = 3000;
/// For so many milliseconds it is stored afterwards.
const AFTER: u64 = 5000;

/// Stores while nothing can be, and afterwards.
pub async fn full<S: Store>(task: &Task) -> Outcome<Measured> {
    let _taken = signal(SignalKind::from_raw(TOO_LARGE))?;
    let payload = Payload::new(task.value);
    let store = S::open(&task.path, task.bound).await?;
    offer(&store, &payload, 0..task.entries, task.rate).await;
    settled().await;

    let free = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(1), maximum: free.maximum })?;
    let (mut puts, mut gets, mut hits) = (Times::default(), Times::default(), 0);
    let (mut ticks, mut number) = (milliseconds(), task.entries);
    for turn in 0..FULL {
        ticks.tick().await;
        for _ in 0..task.rate {
            let value = payload.value(number);
            let asked = Instant::now();
            store.put(key(number), value);
            puts.push(asked.elapsed());
            number += 1;
        }
        let asked = Instant::now();
        hits += u64::from(store.get(key(drawn(turn, task.entries))).await.is_some());
        gets.push(asked.elapsed());
    }
    setrlimit(Resource::Fsize, free)?;

    offer(&store, &payload, number..number + AFTER * task.rate, task.rate).await;
    settled().await;
    Ok(Measured::from([
        ("full_put".into(), puts.quantile(1.0) / 1e3),
        ("full_get".into(), gets.quantile(1.0) / 1e3),
        ("full_hits".into(), 100.0 * hits as f64 / FULL as f64),
    ]))
}

/// What another process finds of what was stored when the disk was no longer full: the first of it, and
/// how much of the last.
pub async fn after<S: Store>(task: &Task) -> Outcome<Measured> {
    let payload = Payload::new(task.value);
    let store = S::open(&task.path, task.bound).await?;
    let first = task.entries + FULL * task.rate;
    let all = AFTER * task.rate;
    let mut measured = Measured::new();
    for number in 0..all {
        if found(&store, &payload, std::iter::once(first + number)).await?.0 > 0 {
            measured.insert("back".into(), number as f64 / task.rate as f64 / 1e3);
            break;
        }
    }
    let (there, asked) = found(&store, &payload, first + all / 2..first + all).await?;
    measured.insert("back_stored".into(), 100.0 * there as f64 / asked as f64);
    Ok(measured)
}
