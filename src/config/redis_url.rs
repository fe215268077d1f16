//! Where Redis is: one server, Sentinels that know it, or a Cluster.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::scalar::{Scalar, scalars};
use super::secret::Secret;

scalars!(RedisUrl);

/// Where Redis is and who asks, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// What answers at `nodes`.
    pub topology: Topology,
    /// Whether connections are encrypted and the server's certificate is verified.
    pub tls: bool,
    /// Hosts and ports; never empty. IPv6 addresses without brackets.
    pub nodes: Vec<(String, u16)>,
    /// The ACL user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The number of the database.
    pub database: u32,
}

/// What answers at the addresses of a [`RedisUrl`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// The server itself.
    Single,
    /// Sentinels that watch a master of this name.
    Sentinel(String),
    /// Some of the nodes of a Cluster.
    Cluster,
}

impl RedisUrl {
    fn scheme(&self) -> String {
        let kind = match self.topology {
            Topology::Single => "",
            Topology::Sentinel(_) => "+sentinel",
            Topology::Cluster => "+cluster",
        };
        format!("{}{kind}", if self.tls { "rediss" } else { "redis" })
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (tls, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis")?),
        };
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if kind == "+sentinel" { 26379 } else { 6379 };
        let nodes = hosts.split(',').map(|host| node(host, port)).collect::<Option<Vec<_>>>()?;
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let topology = match kind {
            "" if nodes.len() == 1 => Topology::Single,
            "+sentinel" => Topology::Sentinel(parts.next()?.to_owned()),
            "+cluster" => Topology::Cluster,
            _ => return None,
        };
        let database = parts.next().map_or(Some(0), |number| number.parse().ok())?;
        if parts.next().is_some() || (topology == Topology::Cluster && database != 0) {
            return None;
        }
        let (username, password) = match credentials.map(|both| both.split_once(':').unwrap_or((both, ""))) {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (None, None),
        };
        let password = password.map(|password| Secret::read(&password)).transpose().ok()?;
        Some(Self { topology, tls, nodes, username, password, database })
    }
}

fn node(text: &str, port: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            let port = if rest.is_empty() { port } else { rest.strip_prefix(':')?.parse().ok()? };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, digits)) => (host, digits.parse().ok()?),
            None => (text, port),
        },
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// `None` inside where there is nothing.
fn decoded(text: &str) -> Option<Option<String>> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some((!text.is_empty()).then(|| text.into_owned()))
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}", self.json())
    }
}

impl Scalar for RedisUrl {
    const NAME: &'static str = "RedisUrl";
    const EXPECTS: &'static str = "the URL of a Redis such as redis://127.0.0.1:6379";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = r"rediss?(\+sentinel|\+cluster)?://[^ ]+";
    const SECRET: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            "URL is not one of a Redis; write redis://HOST:PORT, rediss:// for TLS, \
             redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT"
                .to_owned()
        })
    }

    /// Without the credentials.
    fn json(&self) -> Value {
        let nodes = self.nodes.iter().map(|(host, port)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        });
        let mut shown = format!("{}://{}", self.scheme(), nodes.collect::<Vec<_>>().join(","));
        if let Topology::Sentinel(master) = &self.topology {
            shown = format!("{shown}/{master}");
        }
        if self.database != 0 {
            shown = format!("{shown}/{}", self.database);
        }
        shown.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_redis_has_a_url() {
        let read = |text: &str| RedisUrl::read(text).unwrap();
        let single = read("rediss://pareto:p%40ss@cache.internal:6380/2");
        assert_eq!((single.topology.clone(), single.tls, single.database), (Topology::Single, true, 2));
        assert_eq!(single.nodes, [("cache.internal".to_owned(), 6380)]);
        assert_eq!(single.username.as_deref(), Some("pareto"));
        assert_eq!(single.password.as_ref().map(Secret::expose), Some("p@ss"));
        let sentinel = read("redis+sentinel://a,b:1/mymaster/3");
        assert_eq!(sentinel.topology, Topology::Sentinel("mymaster".to_owned()));
        assert_eq!(sentinel.nodes, [("a".to_owned(), 26379), ("b".to_owned(), 1)]);
        assert_eq!(sentinel.database, 3);
        let cluster = read("redis+cluster://:secret@[::1]:7000,b");
        assert_eq!((cluster.topology.clone(), cluster.username.clone()), (Topology::Cluster, None));
        assert_eq!(cluster.nodes, [("::1".to_owned(), 7000), ("b".to_owned(), 6379)]);
    }

    #[test]
    fn what_is_shown_reads_back_without_the_password() {
        for text in ["redis://127.0.0.1:6379", "rediss+sentinel://a:1,b:2/m/4", "redis+cluster://[::1]:7000"]
        {
            assert_eq!(RedisUrl::read(text).unwrap().json(), text);
        }
        let shown = format!("{:?}", RedisUrl::read("redis://user:hidden@h").unwrap());
        assert!(!shown.contains("hidden") && !shown.contains("user"), "{shown}");
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for text in [
            "",
            "http://a",
            "redis://",
            "redis://a,b",
            "redis+sentinel://a",
            "redis+cluster://a/1",
            "redis://a/x",
        ] {
            assert!(RedisUrl::read(text).is_err(), "{text}");
        }
    }
}
