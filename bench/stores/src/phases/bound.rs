//! Whether a store stays below its bound, what it holds then, and how long it takes to be opened again.

use std::time::Instant;

use super::{Measured, found, offer};
use crate::measure::{peak_memory, settled};
use crate::payload::{Payload, key};
use crate::store::Store;
use crate::{Outcome, Task};

/// One in so many entries is looked for.
const STEP: usize = 8;

/// Stores the task's entries, several times what there is room for. Who started this watches the disk.
pub async fn fill<S: Store>(task: &Task) -> Outcome<Measured> {
    let payload = Payload::new(task.value);
    let store = S::open(&task.path, task.bound).await?;
    offer(&store, &payload, 0..task.entries, task.rate).await;
    settled().await;
    let (there, _) = found(&store, &payload, (0..task.entries).step_by(STEP)).await?;
    let held = there * STEP as u64 * task.value as u64;
    Ok(Measured::from([("held".into(), 100.0 * held as f64 / task.bound as f64)]))
}

/// Opens what was filled, and waits for the first hit among the newest.
pub async fn open<S: Store>(task: &Task) -> Outcome<Measured> {
    let payload = Payload::new(task.value);
    let begun = Instant::now();
    let store = S::open(&task.path, task.bound).await?;
    let mut number = task.entries;
    while number > 0 {
        number -= 1;
        if store.get(key(number)).await.is_some_and(|value| payload.is(number, &value)) {
            break;
        }
    }
    let ready = begun.elapsed();
    Ok(Measured::from([
        ("open".into(), ready.as_secs_f64() * 1e3),
        ("open_memory".into(), peak_memory() as f64 / f64::from(1 << 20)),
    ]))
}
