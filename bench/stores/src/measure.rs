//! What a process has taken: CPU, memory, bytes written, bytes on disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

/// A process that takes less than the second of these within the first has nothing left to do.
const QUIET: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(3));
/// Longer than this nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// User and system time of this process, all its threads.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// Waits until the process has done in the background what there was to do.
pub async fn settled() {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let before = cpu();
        sleep(QUIET.0).await;
        if cpu() - before < QUIET.1 {
            return;
        }
    }
}

/// The most memory this process ever had, in bytes.
pub fn peak_memory() -> u64 {
    field("/proc/self/status", "VmHWM:") << 10
}

/// Bytes this process has made the kernel write: pages, when they first differ from the disk.
pub fn written() -> u64 {
    field("/proc/self/io", "write_bytes:")
}

fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Bytes of all blocks below a directory. What vanishes meanwhile does not count.
pub fn on_disk(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => data.blocks() * 512 + on_disk(&entry.path()),
        Ok(data) => data.blocks() * 512,
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// Durations, for their quantiles.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// What this share of them does not exceed, in microseconds.
    pub fn quantile(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let at = (share * self.0.len() as f64) as usize;
        self.0.get(at.min(self.0.len().saturating_sub(1))).map_or(0.0, |time| micros(*time))
    }
}

/// In microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
