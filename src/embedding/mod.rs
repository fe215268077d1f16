//! Embeddings by the input: what is asked, what is known, what is being fetched, and what waits to be
//! fetched together.
//!
//! A request's inputs are told apart ([`input`]), each found by a key of its own ([`key`]) among the
//! vectors that are stored ([`stored`]) or the calls under way ([`pending`]). What is left is cut into calls and
//! gathered with other requests' inputs ([`batch`]). An answer is only taken where it says beyond
//! doubt which vector is whose ([`answer`]): a wrong vector cannot be told from a right one later.

pub mod answer;
pub mod batch;
pub mod input;
pub mod key;
pub mod pending;
pub mod share;
pub mod stored;
pub mod vector;
