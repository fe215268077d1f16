//! How each kind of Redis is connected to, and the one type of what comes of it.

use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo, Pipeline, RedisConnectionInfo, RedisResult, ScriptInvocation, TlsCertificates,
};

use tokio::time::timeout;

use super::sentinels::Sentinels;
use crate::config::storage::Redis as Settings;
use crate::config::{RedisUrl, Topology};

/// How often a command is sent again to a Cluster that redirects it, or has its slot on the move.
const RETRIES: u32 = 3;
/// The longest pause before one of those is that part of a round trip's bound: all of them fit into it. A
/// call whose keys are on the move then fails by itself; with the library's own pauses, of more than a
/// second, it would run out of time and take all of the Cluster out of use.
const PAUSES_PER_TIMEOUT: u64 = 8;

/// So many nodes of a Cluster may be asked one after the other in the time for all, should each of them hang.
const IN_TURN: u32 = 4;

/// Where to connect to.
pub(super) struct Server {
    kind: Kind,
    /// How long a node of a Cluster may take, of the time for all.
    each: Duration,
    config: AsyncConnectionConfig,
}

enum Kind {
    Single(Box<Client>),
    Sentinel(Box<Sentinels>),
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

/// What encrypted connections are made with.
pub(super) fn certificates(settings: &Settings) -> TlsCertificates {
    let client = settings.tls.client.as_ref().map(|(certificate, key)| ClientTlsConfig {
        client_cert: certificate.clone().into_bytes(),
        client_key: key.expose().as_bytes().to_vec(),
    });
    TlsCertificates { client_tls: client, root_cert: settings.tls.ca.clone().map(String::into_bytes) }
}

/// How each node of the URL is connected to.
pub(super) fn infos(settings: &Settings) -> RedisResult<Vec<ConnectionInfo>> {
    let url = &settings.url;
    let mut login = RedisConnectionInfo::default().set_db(i64::from(url.database));
    if let Some(username) = &url.username {
        login = login.set_username(username);
    }
    if let Some(password) = &url.password {
        login = login.set_password(password.expose());
    }
    let node = |(host, port): &(String, u16)| {
        let info = address(url, host, *port).into_connection_info()?.set_redis_settings(login.clone());
        if !url.tls {
            return Ok(info);
        }
        Ok(Client::build_with_tls(info, certificates(settings))?.get_connection_info().clone())
    };
    url.nodes.iter().map(node).collect()
}

impl Server {
    pub(super) fn new(settings: &Settings, connect: Duration) -> RedisResult<Self> {
        let (url, each) = (&settings.url, connect / IN_TURN);
        let kind = match &url.topology {
            Topology::Single => Kind::Single(Box::new(Client::open(infos(settings)?.remove(0))?)),
            Topology::Sentinel(master) => Kind::Sentinel(Box::new(Sentinels::new(settings, master)?)),
            Topology::Cluster => {
                let nodes = infos(settings)?;
                let pause = settings.timeout.as_millis() as u64 / PAUSES_PER_TIMEOUT;
                let mut builder = ClusterClientBuilder::new(nodes.clone())
                    .connection_timeout(each)
                    .response_timeout(settings.timeout)
                    .retries(RETRIES)
                    .min_retry_wait(1)
                    .max_retry_wait(pause.max(1));
                if url.tls {
                    builder = builder.certs(certificates(settings));
                }
                Kind::Cluster(Box::new(builder.build()?), nodes)
            }
        };
        // The bound of a call is ours: the caller's own deadline tells a slow server from a dead one.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(connect)).set_response_timeout(None);
        Ok(Self { kind, each, config })
    }

    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        Ok(match &self.kind {
            Kind::Single(client) => {
                Connection::One(client.get_multiplexed_async_connection_with_config(&self.config).await?)
            }
            Kind::Sentinel(sentinels) => {
                let client = sentinels.master().await?;
                Connection::One(client.get_multiplexed_async_connection_with_config(&self.config).await?)
            }
            Kind::Cluster(client, _) => Connection::Cluster(client.get_async_connection().await?),
        })
    }

    /// A connection that hears what is published.
    pub(super) async fn listen(&self) -> RedisResult<PubSub> {
        match &self.kind {
            Kind::Single(client) => client.get_async_pubsub().await,
            Kind::Sentinel(sentinels) => sentinels.master().await?.get_async_pubsub().await,
            Kind::Cluster(_, nodes) => {
                let mut last = None;
                for node in nodes {
                    match timeout(self.each, Client::open(node.clone())?.get_async_pubsub()).await {
                        Ok(Ok(heard)) => return Ok(heard),
                        Ok(Err(error)) => last = Some(error),
                        Err(_) => {}
                    }
                }
                Err(last.unwrap_or_else(|| (redis::ErrorKind::Client, "no node answers in time").into()))
            }
        }
    }
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
