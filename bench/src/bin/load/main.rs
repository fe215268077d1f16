//! The load driver: closed-loop clients on one thread, every answer checked, one JSON line at the end.

mod connection;
mod driver;
mod response;
mod tally;

use std::{io, net::SocketAddr, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use pareto_bench::payload::{Ask, Request};

use crate::{driver::Driver, response::Expected};

/// Sends chat requests over keep-alive connections, each sending its next once it has its answer.
#[derive(Parser)]
pub struct Arguments {
    /// The server to load.
    #[arg(long)]
    addr: SocketAddr,
    /// How many connections.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Stop sending after so many seconds (what is under way is finished).
    #[arg(long, required_unless_present = "requests")]
    seconds: Option<f64>,
    /// Stop after so many requests.
    #[arg(long)]
    requests: Option<u64>,
    /// What to ask for.
    #[arg(long, default_value = "json")]
    ask: AskKind,
    /// Size of the image of `--ask image`, base64 characters.
    #[arg(long, default_value_t = 5_000_000)]
    image_bytes: usize,
    /// Number the requests from here, so that none is ever repeated; without it all are the same.
    #[arg(long)]
    first: Option<u64>,
    /// Every answer's body has this length.
    #[arg(long)]
    expect_bytes: Option<u64>,
    /// Every stream has so many events.
    #[arg(long)]
    expect_events: Option<u64>,
    /// Seconds without any byte after which what is left is given up and counted as errors.
    #[arg(long, default_value_t = 20.0)]
    patience: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum AskKind {
    Json,
    Stream,
    Image,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let ask = match arguments.ask {
        AskKind::Json => Ask::Json,
        AskKind::Stream => Ask::Stream,
        AskKind::Image => Ask::Image(arguments.image_bytes),
    };
    let expected = Expected {
        stream: ask == Ask::Stream,
        bytes: arguments.expect_bytes,
        events: arguments.expect_events,
    };
    let request = Request::new(&arguments.addr.to_string(), ask);
    let report =
        Driver::new(&arguments, request, expected)?.run(Duration::from_secs_f64(arguments.patience))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
