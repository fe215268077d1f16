//! What `pareto demo` needs beside the proxy: a simulated provider, a workload and the closing table.
//!
//! `workload` is what is asked, `drive` asks it, `answer` reads what came back, `tally` adds it up.

mod answer;
mod chance;
mod client;
mod drive;
mod messages;
mod progress;
pub mod provider;
#[expect(clippy::print_stdout, reason = "it talks to a person")]
mod show;
mod tally;
mod workload;

pub use answer::{Answer, Outcome};
pub use drive::drive;
pub use show::show;
pub use tally::Tally;
pub use workload::{Step, workload};
