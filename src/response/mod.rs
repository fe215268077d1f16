//! One answer, whoever asks for it and however often.

pub mod usage;
