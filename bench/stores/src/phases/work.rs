//! What storing, finding and not finding cost, and how long a hit takes.

use std::time::Instant;

use super::{Measured, found, milliseconds, offer};
use crate::measure::{Times, cpu, micros, on_disk, peak_memory, settled, written};
use crate::payload::{Payload, absent, drawn, key};
use crate::store::Store;
use crate::{Outcome, Task};

/// Bytes of a key.
const KEY: u64 = 32;
/// Look-ups of one kind, per entry stored at most.
const LOOKUPS: u64 = 20_000;
/// Milliseconds for which hits are timed while entries are stored.
const BESIDE: u64 = 3000;
/// Entries that are looked for to see how many were stored at all.
const SAMPLE: u64 = 1000;

/// Stores the task's entries at its rate, then looks for them, for others, and for them while storing.
pub async fn work<S: Store>(task: &Task) -> Outcome<Measured> {
    let mut measured = Measured::new();
    let payload = Payload::new(task.value);
    let lookups = LOOKUPS.min(task.entries);
    let store = S::open(&task.path, task.bound).await?;
    settled().await;

    let (before, wrote) = (cpu(), written());
    offer(&store, &payload, 0..task.entries, task.rate).await;
    settled().await;
    let (spent, wrote) = (cpu() - before, written() - wrote);
    let taken = on_disk(&task.path);
    let step = (task.entries / SAMPLE).max(1) as usize;
    let (there, asked) = found(&store, &payload, (0..task.entries).step_by(step)).await?;
    let stored = task.entries as f64 * there as f64 / asked as f64;
    let bytes = stored * (task.value as u64 + KEY) as f64;
    measured.insert("stored".into(), 100.0 * stored / task.entries as f64);
    measured.insert("store_cpu".into(), micros(spent) / stored);
    measured.insert("amplification".into(), wrote as f64 / bytes);
    measured.insert("taken".into(), taken as f64 / bytes);

    let (before, mut times) = (cpu(), Times::default());
    for turn in 0..lookups {
        let number = drawn(turn, task.entries);
        let asked = Instant::now();
        let value = store.get(key(number)).await;
        times.push(asked.elapsed());
        if value.is_some_and(|value| !payload.is(number, &value)) {
            return Err(format!("entry {number} is another").into());
        }
    }
    measured.insert("hit_cpu".into(), micros(cpu() - before) / lookups as f64);
    measured.insert("hit_p50".into(), times.quantile(0.5));
    measured.insert("hit_p99".into(), times.quantile(0.99));

    let before = cpu();
    for turn in 0..lookups {
        if store.get(absent(turn)).await.is_some() {
            return Err("found what was never stored".into());
        }
    }
    measured.insert("miss_cpu".into(), micros(cpu() - before) / lookups as f64);

    let (mut times, mut puts, mut ticks) = (Times::default(), Times::default(), milliseconds());
    for turn in 0..BESIDE.min(task.entries) {
        ticks.tick().await;
        let first = task.entries + turn * task.rate;
        for number in first..first + task.rate {
            let value = payload.value(number);
            let asked = Instant::now();
            store.put(key(number), value);
            puts.push(asked.elapsed());
        }
        let asked = Instant::now();
        store.get(key(drawn(turn, task.entries))).await;
        times.push(asked.elapsed());
    }
    measured.insert("beside_p50".into(), times.quantile(0.5));
    measured.insert("beside_p99".into(), times.quantile(0.99));
    measured.insert("put_longest".into(), puts.quantile(1.0) / 1e3);
    settled().await;
    measured.insert("memory".into(), peak_memory() as f64 / f64::from(1 << 20));
    Ok(measured)
}
