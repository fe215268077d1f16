//! A disk that stands still when a play says so: calls on files below a directory do not return, whatever
//! thread makes them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::NamedTempFile;

/// What holds a process's calls on files, and lets them go when dropped.
pub struct Stall {
    below: PathBuf,
    gate: NamedTempFile,
    held: File,
}

impl Stall {
    /// One over `directory`, which goes on for now.
    pub fn over(directory: &Path) -> Self {
        let gate = NamedTempFile::new().unwrap();
        let held = gate.reopen().unwrap();
        Self { below: directory.canonicalize().unwrap(), gate, held }
    }

    /// The environment of a process that it holds.
    pub fn environment(&self) -> [(&str, &str); 3] {
        [
            ("LD_PRELOAD", library().to_str().unwrap()),
            ("STALL_BELOW", self.below.to_str().unwrap()),
            ("STALL_GATE", self.gate.path().to_str().unwrap()),
        ]
    }

    /// No call returns from here on.
    pub fn hold(&self) {
        self.held.lock().unwrap();
    }

    /// All go on.
    pub fn release(&self) {
        self.held.unlock().unwrap();
    }
}

/// `stall.c`, compiled by the compiler that Rust links with.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness/stall.c");
        // One for each run: another's may be in use.
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stall-{}.so", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(source)
            .status()
            .expect("cc is installed (Rust links with it)");
        assert!(compiled.success(), "{source} does not compile");
        library
    })
}
