//! Sentinels, asked which server is the master now.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{Client, ErrorKind, RedisError, RedisResult, TlsMode};
use tokio::sync::Mutex;

use super::connect::{certificates, infos};
use crate::config::storage::Redis as Settings;

/// Sentinels that know the master. They are asked as the URL says, encrypted and with its user and
/// password. Many have no password where their servers have one, and refuse it: these are asked without.
pub(super) struct Sentinels {
    /// The ways of asking; look-ups change what a client knows of the Sentinels.
    ways: Vec<Mutex<SentinelClient>>,
    /// The way that is tried first.
    way: AtomicUsize,
}

impl Sentinels {
    pub(super) fn new(settings: &Settings, master: &str) -> RedisResult<Self> {
        let mut ways = vec![Mutex::new(client(settings, master, true)?)];
        if settings.url.password.is_some() {
            ways.push(Mutex::new(client(settings, master, false)?));
        }
        Ok(Self { ways, way: AtomicUsize::new(0) })
    }

    /// The master, as it says of itself.
    pub(super) async fn master(&self) -> RedisResult<Client> {
        let mut failed: Option<RedisError> = None;
        for _ in &self.ways {
            let way = self.way.load(Relaxed);
            // The other one is next, also where this takes so long that it is given up.
            self.way.store((way + 1) % self.ways.len(), Relaxed);
            match self.ways[way].lock().await.async_get_client().await {
                Ok(master) => {
                    self.way.store(way, Relaxed);
                    return Ok(master);
                }
                // A refused password says less than what else went wrong.
                Err(error) if failed.is_none() || error.kind() != ErrorKind::AuthenticationFailed => {
                    failed = Some(error);
                }
                Err(_) => {}
            }
        }
        Err(failed.unwrap_or_else(|| (ErrorKind::Client, "no Sentinel is known").into()))
    }
}

fn client(settings: &Settings, master: &str, with_password: bool) -> RedisResult<SentinelClient> {
    let url = &settings.url;
    let sentinels = infos(settings)?.into_iter().map(|info| info.addr().clone());
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
        .set_client_to_redis_db(i64::from(url.database));
    if url.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates(settings));
    }
    if let Some(username) = &url.username {
        builder = builder.set_client_to_redis_username(username);
        if with_password {
            builder = builder.set_client_to_sentinel_username(username);
        }
    }
    if let Some(password) = &url.password {
        builder = builder.set_client_to_redis_password(password.expose());
        if with_password {
            builder = builder.set_client_to_sentinel_password(password.expose());
        }
    }
    builder.build()
}
