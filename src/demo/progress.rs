//! A progress bar for people at a terminal; silent anywhere else.

use std::io::{IsTerminal, Write, stderr};

/// Columns of the bar itself.
const WIDTH: usize = 40;

/// A bar on standard error.
pub struct Progress {
    total: usize,
    done: usize,
    shown: bool,
}

impl Progress {
    /// A bar of this many steps, shown where standard error is a terminal.
    pub fn new(total: usize) -> Self {
        Self { total, done: 0, shown: stderr().is_terminal() }
    }

    /// One step is done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.shown {
            // A terminal that is gone is no reason to stop.
            let _ = write!(stderr(), "\r{}", bar(self.done, self.total));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = writeln!(stderr());
        }
    }
}

fn bar(done: usize, total: usize) -> String {
    let total = total.max(1);
    let done = done.min(total);
    let full = done * WIDTH / total;
    format!("[{}{}] {done}/{total}", "#".repeat(full), "-".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn the_bar_fills() {
        assert_eq!(bar(0, 4), format!("[{}] 0/4", "-".repeat(40)));
        assert_eq!(bar(2, 4), format!("[{}{}] 2/4", "#".repeat(20), "-".repeat(20)));
        assert_eq!(bar(5, 4), format!("[{}] 4/4", "#".repeat(40)));
        assert_eq!(bar(0, 0), format!("[{}] 0/1", "-".repeat(40)));
    }
}
