//! The tiers of the configuration, opened, and the secret that keys what is in them.
//!
//! What is stored outlives the process only if its keys come out the same again. With
//! `encryption_key` the secret is derived from it, from the last in a list, so that a new key can be
//! put in front without losing what is stored. Else a disk has it in a file of its own that only its
//! owner reads, and sidecars on one Redis agree on one there (`cache::redis`). Whoever reads the disk reads the answers either way; the secret adds that a key in
//! the store, without the file, confirms no guess at a prompt.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::cache::codec::Codec;
use crate::cache::disk::Disk;
use crate::cache::lower::Lower;
use crate::cache::purges::Purges;
use crate::cache::redis::{Adopt, Shared, SharedSecret};
use crate::coalesce::shared::SharedFlights;
use crate::config::{Config, storage};
use crate::io::clock::Clock;
use crate::io::detached::{START, in_time};
use crate::io::envelope::Envelope;
use crate::io::redis::Redis;
use crate::limits::alert::Alarm;
use crate::limits::shared::SharedLedger;
use crate::request::identity::Secret;
use crate::response::recording::MAX_RECORDING;
use crate::route::shared::SharedHealths;

/// Alerts that wait to be told; more than this at once are lost.
const MOST_ALARMS: usize = 1024;

/// Where answers are kept beside the memory, and what keys them.
pub struct Storage {
    pub(super) lower: Option<Lower>,
    pub(super) purges: Arc<Mutex<Purges>>,
    pub(super) shared: Option<Arc<SharedFlights>>,
    /// What is known of providers together with other sidecars.
    pub(super) healths: Option<Arc<SharedHealths>>,
    pub(super) secret: Arc<ArcSwap<Secret>>,
    pub(super) clock: Clock,
    /// Where limits keep their counts: beside the answers, never among what makes room for others.
    pub(super) counts: Option<PathBuf>,
    /// Where they count together with other sidecars.
    pub(super) ledger: Option<Arc<SharedLedger>>,
    /// What is to be told of budgets.
    pub(super) alarms: (Sender<Alarm>, Receiver<Alarm>),
}

impl Storage {
    /// Memory alone.
    pub fn in_memory(secret: Secret, clock: Clock) -> Self {
        let secret = Arc::new(ArcSwap::from_pointee(secret));
        Self {
            lower: None,
            purges: Arc::default(),
            shared: None,
            healths: None,
            secret,
            clock,
            counts: None,
            ledger: None,
            alarms: channel(MOST_ALARMS),
        }
    }

    /// The tiers of `config`. One that cannot be opened starts off and is tried again.
    ///
    /// # Errors
    /// Threads cannot be started, or Redis cannot be used as its settings say.
    pub fn open(config: &Config, clock: Clock) -> std::io::Result<Self> {
        let settings = &config.storage;
        let derived = settings
            .encryption_keys
            .last()
            .map(|key| Secret(blake3::derive_key("pareto 2026 secret of keys", key.expose().as_bytes())));
        let is_derived = derived.is_some();
        let mut storage = Self::in_memory(derived.unwrap_or_else(|| Secret(rand::random())), clock);
        if let Some(disk) = settings.disk.as_ref().filter(|_| !is_derived) {
            storage.take_kept_secret(disk, settings.redis.is_none() && settings.counts.is_none());
        }
        if let Some(counts) = &settings.counts {
            // Names that are made of credentials must be the same everywhere.
            let agreement =
                (settings.redis.is_none() && !is_derived).then(|| storage.agreement(settings.disk.as_ref()));
            let alarms = storage.alarms.0.clone();
            storage.ledger = Some(SharedLedger::start(counts, agreement, clock, alarms)?);
        }
        if settings.disk.is_none() && settings.redis.is_none() {
            return Ok(storage);
        }
        storage.counts = settings.disk.as_ref().map(|disk| disk.path.join("limits"));
        let envelope = Arc::new(Envelope::new(&settings.encryption_keys, MAX_RECORDING));
        let disk = settings.disk.clone().map(|disk| Disk::start(disk, storage.purges.clone())).transpose()?;
        let redis = settings.redis.clone().map(Redis::start).transpose()?;
        storage.shared = redis.clone().map(|redis| SharedFlights::start(redis, envelope.clone()));
        let sharing = redis.clone().filter(|_| settings.breakers);
        storage.healths = sharing.map(|redis| SharedHealths::start(redis, storage.secret.clone()));
        let tier = redis.map(|redis| Shared::new(redis, is_derived));
        let agreed = (tier.is_some() && !is_derived).then(|| storage.agreement(settings.disk.as_ref()));
        storage.lower = Some(Lower::start(Codec::new(envelope, clock), disk, tier, agreed));
        Ok(storage)
    }

    /// The secret to agree on with other sidecars, and what is done once theirs is known.
    fn agreement(&self, disk: Option<&storage::Disk>) -> (SharedSecret, Adopt) {
        let (secret, healths, disk) = (self.secret.clone(), self.healths.clone(), disk.cloned());
        let mine = secret.load().0;
        let adopt = move |theirs| {
            secret.store(Arc::new(Secret(theirs)));
            if let Some(healths) = &healths {
                healths.look();
            }
            if let Some(disk) = &disk {
                keep(secret_in(&disk.path), theirs);
            }
        };
        (mine, Box::new(adopt))
    }

    /// Takes the secret in the file beside the store, made where there is none. From a disk that takes its
    /// time it is taken later where this sidecar is `alone`; others agree on one with it meanwhile.
    fn take_kept_secret(&self, disk: &storage::Disk, alone: bool) {
        let (directory, late) = (disk.path.clone(), self.secret.clone());
        let read = move || read_or_make(&directory);
        let take_late = move |kept| {
            if let Ok(kept) = kept
                && alone
            {
                late.store(Arc::new(Secret(kept)));
            }
        };
        match in_time("secret", START, read, take_late).flatten() {
            Ok(kept) => self.secret.store(Arc::new(Secret(kept))),
            Err(error) => {
                let path = disk.path.display();
                tracing::warn!(%error, %path, "the secret that keys what is on disk cannot be read; what is there is not found");
            }
        }
    }
}

/// Writes the secret to its file, on a thread of its own: who calls serves requests.
fn keep(path: PathBuf, secret: [u8; 32]) {
    let write = move || {
        if let Err(error) = std::fs::write(&path, secret) {
            tracing::warn!(%error, path = %path.display(), "the secret cannot be kept");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("secret".to_owned()).spawn(write) {
        tracing::warn!(%error, "the secret cannot be kept");
    }
}

/// The file of the secret, beside the store.
fn secret_in(directory: &Path) -> PathBuf {
    directory.join("secret")
}

fn read_or_make(directory: &Path) -> std::io::Result<[u8; 32]> {
    let path = secret_in(directory);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut secret = [0; 32];
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
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
