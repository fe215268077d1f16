//! Listening sockets: bound by us, at once and before anything else starts, then handed to
//! Pingora. So a taken port is an error and not a half-minute wait, port 0 works, and ready means
//! ready.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use parking_lot::Mutex;
use pingora_core::apps::ServerApp;
use pingora_core::listeners::ListenerConfig;
use pingora_core::protocols::l4::stream::L4BufferSettings;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ListenFds};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use pingora_proxy::HttpProxy;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::admin::Admin;
use super::connection::Connection;
use super::proxy::Proxy;
use super::{Reloader, Shared};

/// No read buffer on a client connection: heads and bodies are read into their own.
const READ_BUFFER: usize = 0;
/// Write buffer of a client connection: the head and body of a usual answer leave in one call.
const WRITE_BUFFER: usize = 4 * 1024;
/// Idle connections to providers kept for requests that pass through.
const POOL_SIZE: usize = 512;

/// The bound sockets.
pub struct Listeners {
    proxy: TcpListener,
    admin: TcpListener,
}

/// A server that is listening.
pub struct Running {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where operators connect.
    pub admin: SocketAddr,
    /// What its connections share.
    pub shared: Arc<Shared>,
    stop_proxy: watch::Sender<bool>,
    /// The operators' listener answers until the very end: a drain is watched through it.
    stop_admin: watch::Sender<bool>,
    services: Vec<JoinHandle<()>>,
}

impl Listeners {
    /// Binds both sockets.
    ///
    /// # Errors
    /// Which address cannot be bound and why.
    pub fn bind(proxy: SocketAddr, admin: SocketAddr) -> io::Result<Self> {
        Ok(Self { proxy: bind(proxy, "listen")?, admin: bind(admin, "admin.listen")? })
    }

    /// Serves on the sockets, on the current runtime.
    ///
    /// # Errors
    /// The sockets' own.
    pub fn serve(self, shared: Arc<Shared>, reloader: Arc<Reloader>) -> io::Result<Running> {
        let (stop_proxy, proxy_stopping) = watch::channel(false);
        let (stop_admin, admin_stopping) = watch::channel(false);
        let (address, admin) = (self.proxy.local_addr()?, self.admin.local_addr()?);
        let conf = Arc::new(ServerConf {
            upstream_keepalive_pool_size: POOL_SIZE,
            threads: 1,
            ..ServerConf::default()
        });
        let mut proxy = HttpProxy::new(Proxy::new(shared.clone()), conf);
        proxy.handle_init_modules();
        let connection = Connection::new(Arc::new(proxy), shared.clone());
        let services = vec![
            start("proxy", connection, self.proxy, proxy_stopping)?,
            start("admin", Admin::new(shared.clone(), reloader), self.admin, admin_stopping)?,
        ];
        Ok(Running { address, admin, shared, stop_proxy, stop_admin, services })
    }
}

impl Running {
    /// Stops accepting; requests under way go on.
    pub fn stop_accepting(&self) {
        self.shared.drain();
        // Nobody listens once the services have ended: then there is nothing to stop.
        let _ = self.stop_proxy.send(true);
    }

    /// Stops accepting and waits until the listeners are closed.
    pub async fn close(mut self) {
        self.stop_accepting();
        let _ = self.stop_admin.send(true);
        for service in self.services.drain(..) {
            let _ = service.await;
        }
    }
}

fn bind(address: SocketAddr, setting: &str) -> io::Result<TcpListener> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| {
        io::Error::new(error.kind(), format!("{setting}: cannot listen on {address}: {error}"))
    })
}

/// Starts a service on a socket that is already bound, by the way Pingora takes sockets over from
/// an older process.
fn start<A>(
    name: &str,
    app: A,
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>>
where
    A: ServerApp + Send + Sync + 'static,
{
    let address = listener.local_addr()?.to_string();
    let mut fds = Fds::new();
    fds.add(address.clone(), listener.into_raw_fd());
    let fds: ListenFds = Arc::new(Mutex::new(fds));
    let mut service = Service::new(name.to_owned(), app);
    service.add_listener(
        ListenerConfig::tcp(address).l4_buffer(L4BufferSettings::new(READ_BUFFER, WRITE_BUFFER)),
    );
    Ok(tokio::spawn(async move { service.start_service(Some(fds), stopping, 1).await }))
}
