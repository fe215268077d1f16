//! `pareto demo`: a simulated provider, the proxy in front of it, a workload, and what it saved.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::provider::{Behaviour, Provider};
use super::{Tally, client, drive, workload};
use crate::config::{Config, Environment};
use crate::server::{Listeners, Source, notify_ready, run_until_stopped};
use crate::sidecar::Sidecar;
use crate::telemetry::line::Lines;

/// The workload's seed: every demo shows the same day.
const SEED: u64 = 20;
/// Roughly what a small model takes to begin its answer, and between two words of it; squeezed, as the
/// workload is.
const FIRST_BYTE: Duration = Duration::from_millis(350);
const PER_EVENT: Duration = Duration::from_millis(12);

/// Runs the demo until Ctrl-C, on the addresses a real pareto would have where they are free.
///
/// # Errors
/// No socket could be had.
pub async fn show(lines: Option<Lines>) -> io::Result<()> {
    let behaviour = Behaviour { first_byte: FIRST_BYTE, per_event: PER_EVENT, ..Behaviour::default() };
    let provider = Provider::start(behaviour).await?;
    let file = format!("providers: {{simulated: {{url: \"{}\"}}}}", provider.url());
    let config = Config::load(&file, &Environment::process()).map_err(|problems| {
        io::Error::other(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listeners =
        Listeners::bind(config.listen, config.admin.listen).or_else(|_| Listeners::bind(any, any))?;
    let source = Source::Fixed(Box::new(config.clone()));
    let Sidecar { running, reloader } =
        Sidecar::start(config, source, Environment::process(), listeners, lines)?;
    let (proxy, admin) = (running.address, running.admin);
    notify_ready();
    println!("pareto listens on http://{proxy}/v1 and asks a simulated provider at {}.\n", provider.url());
    let mut stopped = tokio::spawn(run_until_stopped(running, reloader));
    let steps = workload(SEED);
    println!("Sending {} requests of a small messaging assistant:", steps.len());
    tokio::select! {
        tally = drive(proxy, steps) => tell(tally, proxy, admin).await,
        ended = &mut stopped => return ended.map_err(io::Error::other)?,
    }
    stopped.await.map_err(io::Error::other)?
}

/// Prints the closing table, and what to try next.
async fn tell(mut tally: Tally, proxy: SocketAddr, admin: SocketAddr) {
    if let Ok(metrics) = client::call(admin, "GET", "/metrics", "", b"").await {
        tally.settle(&String::from_utf8_lossy(&metrics.body));
    }
    println!("\n{tally}\n");
    println!("It keeps running until Ctrl-C. Ask it something, twice:\n");
    println!("  curl -i http://{proxy}/v1/chat/completions -H 'content-type: application/json' \\");
    println!(
        "    -d '{{\"model\": \"gpt-4o-mini\", \"messages\": [{{\"role\": \"user\", \"content\": \"hi\"}}]}}'\n"
    );
    println!("  metrics  http://{admin}/metrics\n  settings http://{admin}/config");
}
