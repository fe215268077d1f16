//! A file for each entry in two levels of directories, as nginx's `proxy_cache` with `levels=1:2` has
//! them: written beside its place and moved there. The oldest are removed.
//!
//! What is there is found by walking all directories when it is opened (nginx does so afterwards, beside
//! its work). Nothing tells a torn file from a whole one.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;

use super::threaded::Engine;
use crate::Outcome;
use crate::payload::Key;

/// What a file takes is a whole number of these.
const BLOCK: u64 = 4096;

/// The files.
pub struct Files {
    root: PathBuf,
    bound: u64,
    kept: Mutex<Kept>,
}

/// What there is, the oldest first.
#[derive(Default)]
struct Kept {
    files: VecDeque<(PathBuf, u64)>,
    bytes: u64,
}

impl Files {
    fn place(&self, key: &Key) -> PathBuf {
        let name = key.0.iter().fold(String::with_capacity(64), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        self.root.join(&name[63..]).join(&name[61..63]).join(name)
    }
}

impl Engine for Files {
    fn open(path: &Path, bound: u64) -> Outcome<Self> {
        let mut found: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
        for first in 0..16 {
            for second in 0..256 {
                let directory = path.join(format!("{first:x}/{second:02x}"));
                fs::create_dir_all(&directory)?;
                let dated = |file: io::Result<DirEntry>| {
                    let (path, data) = (file.as_ref().ok()?.path(), file.ok()?.metadata().ok()?);
                    Some((data.modified().ok()?, path, data.blocks() * 512))
                };
                found.extend(fs::read_dir(directory)?.filter_map(dated));
            }
        }
        found.sort();
        let bytes = found.iter().map(|(_, _, size)| size).sum();
        let files = found.into_iter().map(|(_, path, size)| (path, size)).collect();
        Ok(Self { root: path.to_owned(), bound, kept: Mutex::new(Kept { files, bytes }) })
    }

    fn get(&self, key: &Key) -> Outcome<Option<Vec<u8>>> {
        match fs::read(self.place(key)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn put(&self, entries: Vec<(Key, Vec<u8>)>) -> Outcome<()> {
        let beside = self.root.join("new");
        for (key, value) in entries {
            let place = self.place(&key);
            let size = (value.len() as u64).next_multiple_of(BLOCK);
            let mut kept = self.kept.lock();
            while kept.bytes + size > self.bound
                && let Some((oldest, size)) = kept.files.pop_front()
            {
                kept.bytes -= size;
                fs::remove_file(oldest)?;
            }
            fs::write(&beside, value)?;
            fs::rename(&beside, &place)?;
            kept.files.push_back((place, size));
            kept.bytes += size;
        }
        Ok(())
    }
}
