//! Sends a workload and adds up its answers.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderMap;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::Answer;
use super::client;
use super::progress::Progress;
use super::tally::Tally;
use super::workload::Step;

/// Sends each step at its time to the proxy at `to`, and returns when all are answered. Shows a progress
/// bar where standard error is a terminal.
pub async fn drive(to: SocketAddr, steps: Vec<Step>) -> Tally {
    let start = Instant::now();
    let mut progress = Progress::new(steps.len());
    let mut tally = Tally::default();
    let mut calls = JoinSet::new();
    let mut add = |answer| {
        tally.add(answer);
        progress.step();
    };
    for step in steps {
        let due = start + step.at;
        while let Ok(Some(answered)) = tokio::time::timeout_at(due, next(&mut calls)).await {
            add(answered);
        }
        tokio::time::sleep_until(due).await;
        calls.spawn(send(to, step));
    }
    while let Some(answered) = next(&mut calls).await {
        add(answered);
    }
    drop(progress);
    tally
}

/// The next answer; `None` once no call is under way.
async fn next(calls: &mut JoinSet<Answer>) -> Option<Answer> {
    loop {
        // A call that panicked has no answer to count.
        if let Ok(answer) = calls.join_next().await? {
            return Some(answer);
        }
    }
}

async fn send(to: SocketAddr, step: Step) -> Answer {
    let start = Instant::now();
    let headers = format!(
        "authorization: Bearer sk-demo\r\ncontent-type: application/json\r\nx-tenant-id: {}\r\n",
        step.tenant
    );
    let body = step.body.to_string();
    let answered = client::call(to, "POST", &step.path, &headers, body.as_bytes()).await;
    let took: Duration = start.elapsed();
    match answered {
        Ok(response) => Answer::read(step.endpoint, response.status, &response.headers, &response.body, took),
        Err(_) => Answer::read(step.endpoint, 0, &HeaderMap::new(), &[], took),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Outcome;
    use crate::demo::provider::{Behaviour, Fault, Provider};
    use crate::demo::workload;

    #[tokio::test]
    async fn every_step_is_sent_once_and_counted() {
        let provider = Provider::start(Behaviour::default()).await.unwrap();
        provider.next_times(Fault::Status(500), 3);
        provider.next(Fault::FinMidStream);
        let mut steps = workload(3);
        steps.truncate(100);
        steps.iter_mut().for_each(|step| step.at = Duration::ZERO);
        let tally = drive(provider.address(), steps).await;
        assert_eq!(provider.total(), 100);
        assert_eq!((tally.outcomes(Outcome::Miss), tally.failed()), (96, 4));
    }
}
