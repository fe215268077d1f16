//! Names to addresses, asked in the background: a slow name server never delays a request that
//! has an older answer, and a dead one changes nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long an answer is used before it is asked for again.
const FRESH: Duration = Duration::from_secs(30);

/// A cache of name look-ups. The last good answer outlives every failure.
#[derive(Default)]
pub struct Resolver {
    names: Mutex<HashMap<(String, u16), Known>>,
}

struct Known {
    addresses: Arc<[SocketAddr]>,
    asked: Instant,
}

impl Resolver {
    /// The addresses of `host`, in the order the system gave them; at least one.
    ///
    /// # Errors
    /// The name is unknown and was never known.
    pub async fn resolve(self: &Arc<Self>, host: &str, port: u16) -> std::io::Result<Arc<[SocketAddr]>> {
        if let Some(ip) = literal(host) {
            return Ok(Arc::from([SocketAddr::new(ip, port)]));
        }
        if let Some(addresses) = self.known(host, port) {
            return Ok(addresses);
        }
        self.ask(host.to_owned(), port).await
    }

    /// The last good answer; one that has aged is asked for again in the background, once.
    fn known(self: &Arc<Self>, host: &str, port: u16) -> Option<Arc<[SocketAddr]>> {
        let mut names = self.names.lock();
        let known = names.get_mut(&(host.to_owned(), port))?;
        if known.asked.elapsed() >= FRESH {
            known.asked = Instant::now();
            let (resolver, host) = (self.clone(), host.to_owned());
            tokio::spawn(async move {
                if let Err(error) = resolver.ask(host.clone(), port).await {
                    tracing::warn!(%host, %error, "name look-up failed; the last good addresses stay in use");
                }
            });
        }
        Some(known.addresses.clone())
    }

    async fn ask(&self, host: String, port: u16) -> std::io::Result<Arc<[SocketAddr]>> {
        let addresses: Arc<[SocketAddr]> = tokio::net::lookup_host((host.as_str(), port)).await?.collect();
        if addresses.is_empty() {
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address"));
        }
        let known = Known { addresses: addresses.clone(), asked: Instant::now() };
        self.names.lock().insert((host, port), known);
        Ok(addresses)
    }
}

/// The address a URL's host spells out, brackets of IPv6 aside.
fn literal(host: &str) -> Option<std::net::IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
