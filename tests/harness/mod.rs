//! What the plays are staged with: a sidecar in front of a simulated provider, clients that see every
//! byte, and the counters. Nothing here sleeps; what must be waited for is waited for by name.

mod answer;
mod ask;
mod binary;
mod metrics;
mod raw;
mod redis;
mod sidecar;
mod slow;
mod stall;
mod watch;

use std::time::Duration;

pub use answer::{Answer, Live};
pub use ask::Ask;
pub use binary::Binary;
pub use raw::{Raw, Received};
pub use redis::{Redis, free_port};
pub use sidecar::{Pareto, chat};
pub use slow::Slow;
pub use stall::Stall;
pub use watch::Watch;

pub use ::pareto::demo::provider::{Behaviour, Fault, Hold, Provider};

pub const CHAT: &str = "/v1/chat/completions";

/// Far longer than anything here takes, so that what never comes fails the test that waits for it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits for what must come.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited too long for {what}"),
    }
}

/// Waits until something is so that nothing else tells of: it is asked again and again.
pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    within(what, async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A provider without random padding, so that answers can be compared.
pub async fn provider() -> Provider {
    Provider::start(Behaviour { obfuscation: false, ..Behaviour::default() }).await.unwrap()
}
