//! Puts the same work to each store that the disk tier could be built on, each in processes of its own,
//! and prints one table. See `bench/README.md`, "Which store".

mod measure;
mod payload;
mod phases;
mod store;
mod stores;
mod table;
mod turns;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use phases::Phase;
use store::Candidate;

/// As in the product.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What goes wrong here ends the run.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Measures the stores that the disk tier could be built on.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    child: Option<Child>,
    /// Only these candidates.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Candidate>,
    /// Turns of each candidate at the work whose CPU and latency is told.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where the stores are made; on a disk, if what a disk does is to be seen.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// A tenth of the work: does it run at all? Not for quoting.
    #[arg(long)]
    quick: bool,
}

/// What the measurement starts itself as.
#[derive(Subcommand)]
enum Child {
    /// One phase of one candidate.
    #[command(hide = true)]
    Phase(Task),
}

/// One phase of one candidate.
#[derive(Clone, Debug, clap::Args)]
struct Task {
    /// What is done.
    phase: Phase,
    /// To what.
    candidate: Candidate,
    /// Where its store is.
    path: PathBuf,
    /// Bytes it may take on disk.
    #[arg(long)]
    bound: u64,
    /// Bytes of a value.
    #[arg(long)]
    value: usize,
    /// Entries to store, or to look for.
    #[arg(long)]
    entries: u64,
    /// Entries offered in each millisecond.
    #[arg(long)]
    rate: u64,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    match arguments.child {
        Some(Child::Phase(task)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let measured = runtime.block_on(phases::run(&task))?;
            println!("{}", serde_json::to_string(&measured)?);
        }
        None => {
            let all = if arguments.only.is_empty() { Candidate::all() } else { arguments.only };
            let turns = turns::Turns::new(&arguments.directory, arguments.rounds, arguments.quick)?;
            println!("{}", table::markdown(&all, &turns.measure(&all)?));
        }
    }
    Ok(())
}
