//! One client connection: Pingora's loop over its requests, with a deadline for each header.
//!
//! Pingora's read timeout starts anew with every byte, so a client that drips its header holds a
//! connection for hours. Here the whole header has to arrive in time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;

use super::Shared;
use super::proxy::Proxy;

tokio::task_local! {
    /// Set once the header of the request this task reads has arrived.
    static ARRIVED: Arc<AtomicBool>;
}

/// The proxy as an application of Pingora's listener.
pub struct Connection {
    proxy: Arc<HttpProxy<Proxy>>,
    shared: Arc<Shared>,
}

impl Connection {
    /// Wraps `proxy`, whose settings are those of `shared`'s generation.
    pub fn new(proxy: Arc<HttpProxy<Proxy>>, shared: Arc<Shared>) -> Self {
        Self { proxy, shared }
    }
}

/// The header of the current request is complete.
pub(super) fn header_arrived() {
    let _ = ARRIVED.try_with(|arrived| arrived.store(true, Relaxed));
}

#[async_trait]
impl HttpServerApp for Connection {
    // Written out as what `async fn` stands for: the session is kilobytes, and a state of our own
    // around Pingora's would copy them once more per request.
    fn process_new_http<'life0, 'life1, 'async_trait>(
        self: &'life0 Arc<Self>,
        session: ServerSession,
        shutdown: &'life1 ShutdownWatch,
    ) -> Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let limits = self.shared.gateway.load().config.client;
        let arrived = Arc::new(AtomicBool::new(false));
        let exchange = ARRIVED.scope(arrived.clone(), self.proxy.process_new_http(session, shutdown));
        Box::pin(in_time(exchange, limits.idle + limits.header, arrived))
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

/// Runs an exchange whose header has to arrive within a time; what comes after has its own limits.
async fn in_time<T>(
    exchange: impl Future<Output = Option<T>>,
    limit: Duration,
    arrived: Arc<AtomicBool>,
) -> Option<T> {
    tokio::pin!(exchange);
    match tokio::time::timeout(limit, &mut exchange).await {
        Ok(done) => done,
        Err(_) if arrived.load(Relaxed) => exchange.await,
        // Neither idle for so long nor so slow: either way nobody to answer.
        Err(_) => None,
    }
}
