//! pareto: a reverse-proxy caching sidecar for LLM and embedding APIs.

pub mod cache;
pub mod coalesce;
pub mod config;
pub mod demo;
pub mod error;
pub mod exchange;
pub mod gateway;
pub mod io;
pub mod json;
pub mod request;
pub mod response;
pub mod route;
pub mod server;
pub mod sidecar;
pub mod sse;
pub mod telemetry;
