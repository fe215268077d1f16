//! A disk that takes nothing more for a while: no file may grow, then any may again.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::{Measured, milliseconds, offer};
use crate::measure::{Times, settled};
use crate::payload::{Payload, drawn, key};
use crate::store::Store;
use crate::{Outcome, Task};

/// SIGXFSZ, which ends who does not take it; 25 on Linux (`signal(7)`).
const TOO_LARGE: i32 = 25;
/// For so many milliseconds the disk is full.
const FULL: u64 = 3000;
/// After so many milliseconds an entry is looked for.
const LATER: u64 = 100;
/// So long it may take to be of use again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stores while nothing can be, and until something is again.
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

    let (begun, first) = (Instant::now(), number);
    let mut measured = Measured::from([
        ("full_put".into(), puts.quantile(1.0) / 1e3),
        ("full_get".into(), gets.quantile(1.0) / 1e3),
        ("full_hits".into(), 100.0 * hits as f64 / FULL as f64),
    ]);
    while begun.elapsed() < PATIENCE {
        ticks.tick().await;
        store.put(key(number), payload.value(number));
        number += 1;
        // Looked for only once it has had the time to be written, and to be forgotten where it was not.
        if number > first + LATER && store.get(key(number - LATER)).await.is_some() {
            measured.insert("back".into(), (begun.elapsed().as_secs_f64() - LATER as f64 / 1e3).max(0.0));
            break;
        }
    }
    Ok(measured)
}
