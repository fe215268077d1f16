//! Laws that hold for all input, tried on generated input.

mod breakers;
mod dialect;
mod dialect_resuming;
mod dialect_streams;
mod embedding;
mod json;
mod route;
mod rules;
mod shape;
mod sse;
mod text;
