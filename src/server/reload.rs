//! A new configuration, live: read, checked as a whole, swapped in one step; a bad one changes
//! nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use super::Shared;
use crate::config::{Config, Environment, Problem};
use crate::gateway::Gateway;
use crate::io::Io;

/// How often the file is looked at. A look is one `stat`; it also sees what file events do not, a
/// mounted directory's symlink being switched.
const LOOK: Duration = Duration::from_secs(1);

/// Where a configuration comes from.
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Nowhere: the built-in defaults, or what a test built.
    Fixed(Box<Config>),
}

/// Builds generation after generation.
pub struct Reloader {
    source: Source,
    environment: Environment,
    io: Io,
    shared: Arc<Shared>,
    /// Reloads come from the file, the signal and the admin listener: one at a time.
    busy: Mutex<i64>,
}

impl Source {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Every problem of it, or that the file cannot be read.
    pub fn load(&self, environment: &Environment) -> Result<Config, Vec<Problem>> {
        match self {
            Self::Fixed(config) => Ok((**config).clone()),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Config::load(&text, environment),
                Err(error) => {
                    let message = format!("{} cannot be read: {error}", path.display());
                    Err(vec![Problem { path: String::new(), line: 1, column: 1, message }])
                }
            },
        }
    }
}

impl Reloader {
    /// A reloader for `shared`, whose first generation stands already.
    pub fn new(source: Source, environment: Environment, io: Io, shared: Arc<Shared>) -> Arc<Self> {
        shared.gateway.load().kept().telemetry.metrics.generation.set(1);
        Arc::new(Self { source, environment, io, shared, busy: Mutex::new(1) })
    }

    /// Loads the configuration anew and swaps it in. What only a restart can change keeps its old
    /// value; the answer names it.
    ///
    /// # Errors
    /// Every problem; the old configuration stays in force.
    pub fn reload(&self) -> Result<Vec<&'static str>, Vec<Problem>> {
        let mut generation = self.busy.lock();
        let running = self.shared.gateway.load_full();
        let metrics = &running.kept().telemetry.metrics;
        let loaded = match self.source.load(&self.environment) {
            Ok(config) => config,
            Err(problems) => {
                metrics.reloads.with_label_values(&["rejected"]).inc();
                let said = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                tracing::error!(problems = %said, "configuration rejected; the old one stays in force");
                self.shared.rejected.store(Arc::new(Some(problems.clone())));
                return Err(problems);
            }
        };
        let restart = running.config.needs_restart(&loaded);
        if !restart.is_empty() {
            tracing::warn!(
                settings = restart.join(", "),
                "these settings change only with a restart; the old values stay"
            );
        }
        let config = loaded.keeping_restart_settings_of(&running.config);
        let next = Gateway::build(config, self.io.clone(), running.kept().clone());
        self.shared.gateway.store(Arc::new(next));
        self.shared.rejected.store(Arc::new(None));
        *generation += 1;
        metrics.reloads.with_label_values(&["applied"]).inc();
        metrics.generation.set(*generation);
        tracing::info!(generation = *generation, "configuration reloaded");
        Ok(restart)
    }

    /// Reloads whenever the file changes; never ends. Without a file there is nothing to do.
    pub async fn watch(self: Arc<Self>) {
        let Source::File(path) = &self.source else { return std::future::pending().await };
        let mut seen = stamp(path);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = stamp(path);
            // A file that is away for a moment is being replaced.
            if now.is_some() && now != seen {
                seen = now;
                let reloader = self.clone();
                // Already logged and counted where it failed.
                let _ = tokio::task::spawn_blocking(move || reloader.reload()).await;
            }
        }
    }
}

/// What changes when a file does.
fn stamp(path: &Path) -> Option<(SystemTime, u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}
