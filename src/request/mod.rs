//! One understood request: what was asked, by whom, and what makes another request the same one.

pub mod endpoint;
