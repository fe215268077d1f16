//! What happens at the sockets, on both sides.

mod continues;
mod faults;
mod framings;
mod hostile;
mod http2;
mod passing;
mod silence;
mod smuggling;
mod tls;
mod upload;
mod websocket;
