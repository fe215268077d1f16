//! How each kind of Redis is connected to, and the one type of what comes of it.

use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, FromRedisValue, IntoConnectionInfo,
    Pipeline, RedisConnectionInfo, RedisResult, ScriptInvocation, TlsMode,
};
use tokio::sync::Mutex;

use crate::config::storage::Redis as Settings;
use crate::config::{RedisUrl, Topology};

/// Where to connect to.
pub(super) struct Server {
    kind: Kind,
    config: AsyncConnectionConfig,
}

enum Kind {
    Single(Box<Client>),
    // Its look-ups change what it knows of the Sentinels.
    Sentinel(Box<Mutex<SentinelClient>>),
    /// The client, and the nodes one of which hears what is published at any.
    Cluster(Box<ClusterClient>, Vec<ConnectionInfo>),
}

/// A connection; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

fn address(url: &RedisUrl, host: &str, port: u16) -> ConnectionAddr {
    if url.tls {
        ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host.to_owned(), port)
    }
}

fn infos(url: &RedisUrl) -> RedisResult<Vec<ConnectionInfo>> {
    let mut login = RedisConnectionInfo::default().set_db(i64::from(url.database));
    if let Some(username) = &url.username {
        login = login.set_username(username);
    }
    if let Some(password) = &url.password {
        login = login.set_password(password.expose());
    }
    let node = |(host, port): &(String, u16)| {
        Ok(address(url, host, *port).into_connection_info()?.set_redis_settings(login.clone()))
    };
    url.nodes.iter().map(node).collect()
}

impl Server {
    pub(super) fn new(settings: &Settings, connect: Duration) -> RedisResult<Self> {
        let url = &settings.url;
        let kind = match &url.topology {
            Topology::Single => Kind::Single(Box::new(Client::open(infos(url)?.remove(0))?)),
            Topology::Sentinel(master) => Kind::Sentinel(Box::new(Mutex::new(sentinel(url, master)?))),
            Topology::Cluster => {
                let nodes = infos(url)?;
                let mut builder = ClusterClientBuilder::new(nodes.clone())
                    .connection_timeout(connect)
                    .response_timeout(settings.timeout)
                    .retries(3);
                if url.tls {
                    builder = builder.tls(TlsMode::Secure);
                }
                Kind::Cluster(Box::new(builder.build()?), nodes)
            }
        };
        // The bound of a call is ours: the caller's own deadline tells a slow server from a dead one.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(connect)).set_response_timeout(None);
        Ok(Self { kind, config })
    }

    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        Ok(match &self.kind {
            Kind::Single(client) => {
                Connection::One(client.get_multiplexed_async_connection_with_config(&self.config).await?)
            }
            Kind::Sentinel(client) => {
                let mut client = client.lock().await;
                Connection::One(client.get_async_connection_with_config(&self.config).await?)
            }
            Kind::Cluster(client, _) => Connection::Cluster(client.get_async_connection().await?),
        })
    }

    /// A connection that hears what is published.
    pub(super) async fn listen(&self) -> RedisResult<PubSub> {
        match &self.kind {
            Kind::Single(client) => client.get_async_pubsub().await,
            Kind::Sentinel(client) => {
                let client = client.lock().await.async_get_client().await?;
                client.get_async_pubsub().await
            }
            Kind::Cluster(_, nodes) => {
                let mut last = None;
                for node in nodes {
                    match Client::open(node.clone())?.get_async_pubsub().await {
                        Ok(heard) => return Ok(heard),
                        Err(error) => last = Some(error),
                    }
                }
                Err(last.unwrap_or_else(|| (redis::ErrorKind::Client, "no node is known").into()))
            }
        }
    }
}

fn sentinel(url: &RedisUrl, master: &str) -> RedisResult<SentinelClient> {
    // Sentinels are asked as they are: credentials and TLS are for the servers they name.
    let sentinels = url.nodes.iter().map(|(host, port)| ConnectionAddr::Tcp(host.clone(), *port));
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
        .set_client_to_redis_db(i64::from(url.database));
    if url.tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(username) = &url.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = &url.password {
        builder = builder.set_client_to_redis_password(password.expose());
    }
    builder.build()
}

impl Connection {
    pub(super) async fn run<T: FromRedisValue>(&mut self, commands: &Pipeline) -> RedisResult<T> {
        match self {
            Self::One(connection) => commands.query_async(connection).await,
            Self::Cluster(connection) => commands.query_async(connection).await,
        }
    }

    pub(super) async fn invoke<T: FromRedisValue>(
        &mut self,
        script: &ScriptInvocation<'_>,
    ) -> RedisResult<T> {
        match self {
            Self::One(connection) => script.invoke_async(connection).await,
            Self::Cluster(connection) => script.invoke_async(connection).await,
        }
    }

    pub(super) async fn ping(&mut self) -> RedisResult<()> {
        let ping = redis::cmd("PING");
        match self {
            Self::One(connection) => ping.query_async(connection).await,
            Self::Cluster(connection) => ping.query_async(connection).await,
        }
    }
}
