//! From ready to gone: signals, drain, and what systemd is told.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{Reloader, Running};

/// SIGXFSZ: a file would grow over a limit of the process (`setrlimit(2)`); 25 wherever pareto runs.
const FILE_TOO_LARGE: SignalKind = SignalKind::from_raw(25);

/// Serves until SIGTERM or SIGINT, then drains: no new connections, requests under way finish, at
/// most `shutdown.grace` long. A second signal ends it at once. SIGHUP reloads.
///
/// # Errors
/// A signal cannot be listened for.
pub async fn run_until_stopped(running: Running, reloader: Arc<Reloader>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // Heard and not heeded: unheard it ends the process; the write that was too much fails either way.
    let _too_large = signal(FILE_TOO_LARGE)?;
    let watching = tokio::spawn(reloader.clone().watch());
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                let reloader = reloader.clone();
                // Already logged and counted where it failed.
                let _ = tokio::task::spawn_blocking(move || reloader.reload()).await;
            }
        }
    }
    watching.abort();
    notify("STOPPING=1");
    let shared = running.shared.clone();
    let grace = shared.gateway.load().config.shutdown.grace;
    running.stop_accepting();
    tracing::info!(active = shared.active(), grace_s = grace.as_secs(), "draining");
    tokio::select! {
        () = shared.idle() => tracing::info!("drained"),
        () = tokio::time::sleep(grace) => tracing::warn!(active = shared.active(), "the grace is over; cutting what is left"),
        _ = terminate.recv() => tracing::warn!(active = shared.active(), "a second signal; cutting what is left"),
        _ = interrupt.recv() => tracing::warn!(active = shared.active(), "a second signal; cutting what is left"),
    }
    let kept = shared.gateway.load().kept().clone();
    let limits = kept.limits.clone();
    // It waits for a disk.
    let counts = tokio::task::spawn_blocking(move || limits.close());
    let _ = tokio::join!(counts, kept.tiers.close());
    Ok(())
}

/// Tells systemd that requests are accepted (`sd_notify(3)`); nothing where nobody asked.
pub fn notify_ready() {
    notify("READY=1");
}

fn notify(state: &str) {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else { return };
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
