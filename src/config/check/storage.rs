//! `storage:` as written -> as meant.

use super::{Report, some_time};
use crate::config::file::storage::{Disk as WrittenDisk, Redis as WrittenRedis, Storage as Written};
use crate::config::problem::Path;
use crate::config::quantity::Size;
use crate::config::storage::{Disk, Redis, Storage};

/// The least that holds the journal of the store and a few segments.
const LEAST_DISK: u64 = 256 << 20;
/// A key shorter than this could be guessed.
const LEAST_KEY: usize = 32;

/// Where stored answers live.
pub(super) fn storage(written: &Written, report: &mut Report) -> Storage {
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
        redis: redis(&written.redis, &section.key("redis"), report),
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

fn redis(written: &WrittenRedis, path: &Path, report: &mut Report) -> Option<Redis> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    let prefix = &written.prefix;
    if prefix.is_empty() || prefix.len() > 64 || !prefix.chars().all(plain) {
        report.wrong(&path.key("prefix"), "is no prefix; write up to 64 letters, digits, - _ . : or /");
    }
    let timeout = some_time(written.timeout, &path.key("timeout"), report);
    let lease = some_time(written.lease, &path.key("lease"), report);
    if lease < timeout * 4 && !report.doubts(&path.key("lease")) {
        report.wrong(
            &path.key("lease"),
            "must outlast the round trips that renew it; write at least four times the timeout",
        );
    }
    let Some(url) = &written.url else {
        if *written != WrittenRedis::default() && !report.doubts(path) {
            report.wrong(path, "says how but not where; write url: redis://127.0.0.1:6379");
        }
        return None;
    };
    Some(Redis { url: url.clone(), prefix: prefix.clone(), timeout, lease })
}
