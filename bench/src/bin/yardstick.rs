//! Bare Pingora, the yardstick: the least its shell costs, as a constant answer or as its own proxy phases.

use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use http::StatusCode;
use pareto_bench::payload;
use pingora_core::{
    Result,
    modules::http::HttpModules,
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};
use pingora_http::ResponseHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bare Pingora with nothing on top.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// What to do with a request.
    #[arg(long)]
    mode: Mode,
    /// Where `proxy` sends requests.
    #[arg(long, required_if_eq("mode", "proxy"))]
    upstream: Option<SocketAddr>,
    /// Worker threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// Reads the body and answers a constant from `request_filter`.
    Constant,
    /// Lets Pingora's own phases proxy the request.
    Proxy,
}

/// Answers every request with the constant.
struct Constant {
    head: ResponseHeader,
    body: Bytes,
}

impl Constant {
    fn new() -> Result<Self> {
        let body = Bytes::from(payload::answer());
        let mut head = ResponseHeader::build(StatusCode::OK, Some(4))?;
        head.insert_header("content-type", "application/json")?;
        head.insert_header("content-length", body.len().to_string())?;
        Ok(Self { head, body })
    }
}

#[async_trait]
impl ProxyHttp for Constant {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, _context: &mut ()) -> Result<bool> {
        let downstream = &mut session.downstream_session;
        downstream.set_keepalive(Some(75));
        while downstream.read_request_body().await?.is_some() {}
        downstream.write_response_header_ref(&self.head).await?;
        downstream.write_response_body(self.body.clone(), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _session: &mut Session, _context: &mut ()) -> Result<Box<HttpPeer>> {
        pingora_core::Error::e_explain(pingora_core::InternalError, "a constant has no upstream")
    }
}

/// Passes every request on through Pingora's phases.
struct Proxy {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn upstream_peer(&self, _session: &mut Session, _context: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let conf = ServerConf {
        threads: arguments.threads,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let listen = arguments.listen.to_string();
    match (arguments.mode, arguments.upstream) {
        (Mode::Proxy, Some(upstream)) => {
            let mut service = http_proxy_service(&server.configuration, Proxy { upstream });
            service.add_tcp(&listen);
            server.add_service(service);
        }
        _ => {
            let mut service = http_proxy_service(&server.configuration, Constant::new()?);
            service.add_tcp(&listen);
            server.add_service(service);
        }
    }
    server.run_forever()
}
