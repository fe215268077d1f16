//! Who is measured when: candidates take turns, each phase in a process of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use tempfile::TempDir;

use crate::measure::on_disk;
use crate::phases::{Measured, Phase};
use crate::store::Candidate;
use crate::{Outcome, Task};

/// The sizes of values that are measured, and how many each millisecond.
pub const VALUES: [(usize, u64, u64); 2] = [(1 << 10, 60_000, 10), (16 << 10, 10_000, 2)];
/// The bound on what is measured without coming near it.
const ROOMY: u64 = 1 << 30;
/// The bound on what is filled: the least that pareto takes.
const TIGHT: u64 = 256 << 20;
/// The sizes of values that fill it, how many times over, and how many each millisecond.
const FILLING: [(usize, u64, u64); 2] = [(1 << 10, 2, 20), (16 << 10, 4, 4)];
/// How often a process is killed, and after how many entries of 1 KiB.
const KILLS: (usize, u64) = (3, 20_000);
/// Entries on a disk before it is full.
const BEFORE_FULL: u64 = 5000;
/// How often what is on disk is added up.
const LOOK: Duration = Duration::from_millis(50);

/// Each figure of each turn, by candidate, size of values (0: of no size) and name.
pub type Figures = BTreeMap<(&'static str, usize, String), Vec<f64>>;

/// How the measurement is made.
pub struct Turns {
    directory: PathBuf,
    rounds: usize,
    /// What the work is divided by.
    less: u64,
}

impl Turns {
    /// With stores made below `directory`.
    pub fn new(directory: &Path, rounds: usize, quick: bool) -> Outcome<Self> {
        let less = if quick { 10 } else { 1 };
        Ok(Self { directory: directory.canonicalize()?, rounds, less })
    }

    /// Everything, of all of these.
    pub fn measure(&self, candidates: &[Candidate]) -> Outcome<Figures> {
        let mut figures = Figures::new();
        for round in 0..self.rounds {
            for (value, entries, rate) in VALUES {
                for &candidate in candidates {
                    eprintln!("round {}, {value} bytes: {}", round + 1, candidate.name());
                    let place = self.place()?;
                    let entries = entries / self.less;
                    let bound = ROOMY;
                    let task = task(Phase::Work, candidate, &place, bound, (value, entries, rate));
                    note(&mut figures, candidate, value, finish(start(&task)?)?);
                }
            }
        }
        for &candidate in candidates.iter().filter(|candidate| candidate.is_durable()) {
            for (value, times, rate) in FILLING {
                eprintln!("filled, {value} bytes: {}", candidate.name());
                let entries = TIGHT * times / value as u64 / self.less;
                note(&mut figures, candidate, value, self.filled(candidate, (value, entries, rate))?);
            }
            for _ in 0..KILLS.0 {
                eprintln!("killed: {}", candidate.name());
                note(&mut figures, candidate, 0, self.killed(candidate)?);
            }
            eprintln!("full disk: {}", candidate.name());
            let place = self.place()?;
            for phase in [Phase::Full, Phase::After] {
                let task = task(phase, candidate, &place, ROOMY, (1 << 10, BEFORE_FULL, 1));
                note(&mut figures, candidate, 0, finish(start(&task)?)?);
            }
        }
        Ok(figures)
    }

    fn filled(&self, candidate: Candidate, filling: (usize, u64, u64)) -> Outcome<Measured> {
        let place = self.place()?;
        let mut child = start(&task(Phase::Fill, candidate, &place, TIGHT, filling))?;
        let mut most = 0;
        while child.try_wait()?.is_none() {
            most = most.max(on_disk(place.path()));
            std::thread::sleep(LOOK);
        }
        let mut measured = finish(child)?;
        measured.insert("peak".into(), 100.0 * most as f64 / TIGHT as f64);
        let opened = finish(start(&task(Phase::Open, candidate, &place, TIGHT, filling))?)?;
        measured.extend(opened);
        Ok(measured)
    }

    fn killed(&self, candidate: Candidate) -> Outcome<Measured> {
        let place = self.place()?;
        let (value, rate) = (1 << 10, 10);
        let mut child = start(&task(Phase::Write, candidate, &place, ROOMY, (value, u64::MAX, rate)))?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let mut written = 0;
        for line in lines {
            written = line?.parse()?;
            if written >= KILLS.1 / self.less {
                break;
            }
        }
        child.kill()?;
        child.wait()?;
        let after = start(&task(Phase::Find, candidate, &place, ROOMY, (value, written, rate)))?;
        let mut measured = Measured::from([("killed".into(), 1.0)]);
        match finish(after) {
            Ok(found) => measured.extend(found),
            Err(error) => eprintln!("{} after kill -9: {error}", candidate.name()),
        }
        Ok(measured)
    }

    fn place(&self) -> std::io::Result<TempDir> {
        TempDir::with_prefix_in("stores-", &self.directory)
    }
}

fn task(
    phase: Phase,
    candidate: Candidate,
    place: &TempDir,
    bound: u64,
    (value, entries, rate): (usize, u64, u64),
) -> Task {
    Task { phase, candidate, path: place.path().join("store"), bound, value, entries, rate }
}

fn start(task: &Task) -> Outcome<Child> {
    let named = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("phase").arg(named(task.phase.to_possible_value()));
    command.arg(named(task.candidate.to_possible_value())).arg(&task.path);
    let numbers = [
        ("--bound", task.bound),
        ("--value", task.value as u64),
        ("--entries", task.entries),
        ("--rate", task.rate),
    ];
    for (name, number) in numbers {
        command.arg(name).arg(number.to_string());
    }
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

fn finish(child: Child) -> Outcome<Measured> {
    let ended = child.wait_with_output()?;
    if !ended.status.success() {
        return Err(format!("a phase ended with {}", ended.status).into());
    }
    Ok(serde_json::from_slice(&ended.stdout)?)
}

fn note(figures: &mut Figures, candidate: Candidate, value: usize, measured: Measured) {
    for (name, figure) in measured {
        figures.entry((candidate.name(), value, name)).or_default().push(figure);
    }
}
