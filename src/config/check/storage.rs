//! `storage:` as written -> as meant.

use std::time::Duration;

use super::tls::tls;
use super::{Report, some_time};
use crate::config::Environment;
use crate::config::file::storage::{
    Counts as WrittenCounts, Disk as WrittenDisk, Redis as WrittenRedis, Storage as Written,
};
use crate::config::problem::Path;
use crate::config::quantity::{Period, Size};
use crate::config::storage::{Counts, Disk, Redis, Storage};
use crate::config::{RedisUrl, Topology};

/// The least that holds the journal of the store and a few segments.
const LEAST_DISK: u64 = 256 << 20;
/// A key shorter than this could be guessed.
const LEAST_KEY: usize = 32;

/// Where stored answers live.
pub(super) fn storage(written: &Written, environment: &Environment, report: &mut Report) -> Storage {
    let section = Path::from("storage");
    let (list, keys) = (section.key("encryption_key"), &written.encryption_key.0);
    for (index, key) in keys.iter().enumerate() {
        let path = if keys.len() == 1 { list.clone() } else { list.index(index) };
        if key.expose().len() < LEAST_KEY {
            report.wrong(
                &path,
                "is short enough to be guessed; write at least 32 characters, such as openssl rand -base64 32 makes",
            );
        } else if keys[..index].contains(key) {
            report.wrong(&path, "is already in the list; write each key once");
        }
    }
    Storage {
        memory: written.memory.0,
        disk: disk(&written.disk, &section.key("disk"), report),
        redis: redis(&written.redis, environment, &section.key("redis"), report),
        breakers: written.redis.breakers.0,
        counts: counts(
            &written.counts,
            written.redis.url.as_ref(),
            environment,
            &section.key("counts"),
            report,
        ),
        encryption_keys: keys.clone(),
    }
}

fn disk(written: &WrittenDisk, path: &Path, report: &mut Report) -> Option<Disk> {
    let Size(size) = written.size;
    let Some(directory) = &written.path else {
        if *written != WrittenDisk::default() && !report.doubts(path) {
            report.wrong(path, "says how large but not where; write path: /var/lib/pareto");
        }
        return None;
    };
    if directory.is_empty() && !report.doubts(&path.key("path")) {
        report.wrong(&path.key("path"), "is empty; write a directory such as /var/lib/pareto");
    }
    if size < LEAST_DISK {
        report.wrong(&path.key("size"), "is too small to be of use; write at least 256MiB");
    }
    Some(Disk { path: directory.into(), size })
}

fn redis(
    written: &WrittenRedis,
    environment: &Environment,
    path: &Path,
    report: &mut Report,
) -> Option<Redis> {
    prefix(&written.prefix, path, report);
    let (timeout, lease) = times(written.timeout, written.lease, path, report);
    let Some(url) = &written.url else {
        if *written != WrittenRedis::default() && !report.doubts(path) {
            report.wrong(path, "says how but not where; write url: redis://127.0.0.1:6379");
        }
        return None;
    };
    let tls = tls(&written.tls, url, environment, &path.key("tls"), report);
    Some(Redis { url: url.clone(), prefix: written.prefix.clone(), timeout, lease, tls })
}

fn counts(
    written: &WrittenCounts,
    stored: Option<&RedisUrl>,
    environment: &Environment,
    path: &Path,
    report: &mut Report,
) -> Option<Counts> {
    prefix(&written.prefix, path, report);
    let (timeout, lease) = times(written.timeout, written.lease, path, report);
    let Some(url) = &written.redis else {
        if *written != WrittenCounts::default() && !report.doubts(path) {
            report.wrong(path, "says how but not where; write redis: redis://127.0.0.1:6379/1");
        }
        return None;
    };
    if stored.is_some_and(|stored| is_same_database(stored, url)) {
        let other = match url.topology {
            Topology::Cluster => "write another Cluster or a single Redis",
            Topology::Single | Topology::Sentinel(_) => {
                "write another Redis, or another database of it such as redis://127.0.0.1:6379/1"
            }
        };
        report.wrong(
            &path.key("redis"),
            format!("is where answers are stored, which make room by dropping whatever is there; {other}"),
        );
    }
    let tls = tls(&written.tls, url, environment, &path.key("tls"), report);
    let redis = Redis { url: url.clone(), prefix: written.prefix.clone(), timeout, lease, tls };
    Some(Counts { redis, on_loss: written.on_ledger_loss })
}

/// Whether two URLs lead to the same keys, as far as one can tell from them.
fn is_same_database(one: &RedisUrl, other: &RedisUrl) -> bool {
    one.topology == other.topology
        && one.database == other.database
        && one.nodes.iter().any(|node| other.nodes.contains(node))
}

fn prefix(prefix: &str, path: &Path, report: &mut Report) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    if prefix.is_empty() || prefix.len() > 64 || !prefix.chars().all(plain) {
        report.wrong(&path.key("prefix"), "is no prefix; write up to 64 letters, digits, - _ . : or /");
    }
}

fn times(timeout: Period, lease: Period, path: &Path, report: &mut Report) -> (Duration, Duration) {
    let timeout = some_time(timeout, &path.key("timeout"), report);
    let lease = some_time(lease, &path.key("lease"), report);
    if lease < timeout * 4 && !report.doubts(&path.key("lease")) {
        report.wrong(
            &path.key("lease"),
            "must outlast the round trips that renew it; write at least four times the timeout",
        );
    }
    (timeout, lease)
}
