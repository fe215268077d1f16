//! The simulated provider seen from a raw socket.

mod client;
mod faults;
mod forms;
mod limits;
mod wire;
