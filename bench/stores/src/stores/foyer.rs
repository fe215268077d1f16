//! foyer's disk engine of blocks, with nothing of what is stored in its memory tier: pareto has one, and
//! what is measured is the disk. Its tasks run on a thread of their own, for they copy and sum up what
//! they write.

use std::io::{Read, Write};
use std::path::Path;

use foyer::{
    BlockEngineConfig, Code, DeviceBuilder, Error, FsDeviceBuilder, HybridCache, HybridCachePolicy, Load,
    PsyncIoEngineConfig, Spawner,
};

use crate::Outcome;
use crate::payload::Key;
use crate::store::Store;

/// Threads that read and write, as many as the others have.
const THREADS: usize = 2;

/// An open cache.
pub struct Foyer(HybridCache<Key, Vec<u8>>);

impl Code for Key {
    fn encode(&self, writer: &mut impl Write) -> foyer::Result<()> {
        writer.write_all(&self.0).map_err(Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> foyer::Result<Self> {
        let mut key = [0; 32];
        reader.read_exact(&mut key).map_err(Error::io_error)?;
        Ok(Self(key))
    }

    fn estimated_size(&self) -> usize {
        self.0.len()
    }
}

impl Store for Foyer {
    async fn open(path: &Path, bound: u64) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(THREADS)
            .enable_all()
            .build()?;
        let device = FsDeviceBuilder::new(path).with_capacity(usize::try_from(bound)?).build()?;
        let cache = HybridCache::builder()
            .with_policy(HybridCachePolicy::WriteOnInsertion)
            .memory(1 << 20)
            .with_filter(|_: &Key, _: &Vec<u8>| false)
            .storage()
            .with_io_engine_config(PsyncIoEngineConfig::new())
            .with_engine_config(BlockEngineConfig::new(device))
            .with_spawner(Spawner::from(runtime))
            .build()
            .await?;
        Ok(Self(cache))
    }

    fn put(&self, key: Key, value: Vec<u8>) {
        self.0.insert(key, value);
    }

    async fn get(&self, key: Key) -> Option<Vec<u8>> {
        match self.0.storage().load(&key).await.ok()? {
            Load::Entry { value, .. } => Some(value),
            Load::Piece { piece, .. } => Some(piece.value().clone()),
            Load::Throttled | Load::Miss => None,
        }
    }
}
