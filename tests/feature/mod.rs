//! What pareto does, one play per promise.

mod admin;
mod burst;
mod cache;
mod coalesce;
mod command;
mod directives;
mod disk;
mod embeddings;
mod embeddings_batch;
mod embeddings_gemini;
mod explain;
mod headers;
mod life;
mod limits;
mod metering;
mod normalise;
mod redis;
mod reload;
mod retrieval;
mod rules;
mod sharing;
mod stale;
mod storing;
mod switches;
mod translating;
mod translating_gemini;
