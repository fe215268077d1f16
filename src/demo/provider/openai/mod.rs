//! OpenAI's endpoints, as reference and SDKs expect them.

pub mod chat;
mod chat_stream;
pub mod completions;
pub mod embeddings;
pub mod moderations;
pub mod refusal;
pub mod responses;
mod responses_stream;
pub mod vector_stores;
