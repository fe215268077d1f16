//! The tiers of the configuration, opened, and the secret that keys what is in them.
//!
//! What is stored outlives the process only if its keys come out the same again. With
//! `encryption_key` the secret is derived from it, from the last in a list, so that a new key can be
//! put in front without losing what is stored. Else a disk has it in a file of its own that only its
//! owner reads. Whoever reads the disk reads the answers either way; the secret adds that a key in
//! the store, without the file, confirms no guess at a prompt.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::cache::codec::Codec;
use crate::cache::disk::Disk;
use crate::cache::envelope::Envelope;
use crate::cache::lower::Lower;
use crate::cache::purges::Purges;
use crate::config::{Config, storage};
use crate::io::clock::Clock;
use crate::request::identity::Secret;
use crate::response::recording::MAX_RECORDING;

/// Where answers are kept beside the memory, and what keys them.
pub struct Storage {
    pub(super) lower: Option<Lower>,
    pub(super) purges: Arc<Mutex<Purges>>,
    pub(super) secret: Secret,
    pub(super) clock: Clock,
    /// Where limits keep their counts: beside the answers, never among what makes room for others.
    pub(super) counts: Option<PathBuf>,
}

impl Storage {
    /// Memory alone.
    pub fn in_memory(secret: Secret, clock: Clock) -> Self {
        Self { lower: None, purges: Arc::default(), secret, clock, counts: None }
    }

    /// The tiers of `config`. One that cannot be opened starts off and is tried again.
    ///
    /// # Errors
    /// Threads cannot be started.
    pub fn open(config: &Config, clock: Clock) -> std::io::Result<Self> {
        let settings = &config.storage;
        let derived = settings
            .encryption_keys
            .last()
            .map(|key| Secret(blake3::derive_key("pareto 2026 secret of keys", key.expose().as_bytes())));
        let Some(disk) = &settings.disk else {
            return Ok(Self::in_memory(derived.unwrap_or_else(|| Secret(rand::random())), clock));
        };
        let secret = derived.unwrap_or_else(|| kept_beside(disk));
        let purges: Arc<Mutex<Purges>> = Arc::default();
        let counts = Some(disk.path.join("limits"));
        let disk = Disk::start(disk.clone(), purges.clone())?;
        let codec = Codec::new(Envelope::new(&settings.encryption_keys, MAX_RECORDING), clock);
        let lower = Some(Lower::start(codec, Some(disk)));
        Ok(Self { lower, purges, secret, clock, counts })
    }
}

/// The secret in the file beside the store, made where there is none.
fn kept_beside(disk: &storage::Disk) -> Secret {
    let path = disk.path.join("secret");
    let kept = read_or_make(&disk.path, &path);
    Secret(kept.unwrap_or_else(|error| {
        let path = path.display();
        tracing::warn!(%error, %path, "answers on disk will not be found after a restart");
        rand::random()
    }))
}

fn read_or_make(directory: &Path, path: &Path) -> std::io::Result<[u8; 32]> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut secret = [0; 32];
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            secret = rand::random();
            file.write_all(&secret)?;
            file.sync_all()?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            std::fs::File::open(path)?.read_exact(&mut secret)?;
        }
        Err(error) => return Err(error),
    }
    Ok(secret)
}
