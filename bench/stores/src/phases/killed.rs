//! What a killed process leaves.

use std::io::Write;
use std::time::Instant;

use super::{Measured, milliseconds};
use crate::payload::{Payload, key};
use crate::store::Store;
use crate::{Outcome, Task};

/// Stores entries until it is killed, and says after each millisecond how many it has handed over.
pub async fn write<S: Store>(task: &Task) -> Outcome<Measured> {
    let payload = Payload::new(task.value);
    let store = S::open(&task.path, task.bound).await?;
    let (mut ticks, mut number, mut out) = (milliseconds(), 0, std::io::stdout());
    while number < task.entries {
        ticks.tick().await;
        for _ in 0..task.rate {
            store.put(key(number), payload.value(number));
            number += 1;
        }
        writeln!(out, "{number}")?;
        out.flush()?;
    }
    Err("nobody killed it".into())
}

/// Opens what the killed one stored, and looks for all of it.
pub async fn find<S: Store>(task: &Task) -> Outcome<Measured> {
    let payload = Payload::new(task.value);
    let begun = Instant::now();
    let store = S::open(&task.path, task.bound).await?;
    store.get(key(0)).await;
    let opened = begun.elapsed();
    let (mut there, mut wrong) = (0, 0);
    for number in 0..task.entries {
        if let Some(value) = store.get(key(number)).await {
            there += 1;
            wrong += u64::from(!payload.is(number, &value));
        }
    }
    Ok(Measured::from([
        ("after_kill".into(), opened.as_secs_f64() * 1e3),
        ("lost".into(), (task.entries - there) as f64),
        ("wrong".into(), wrong as f64),
    ]))
}
