//! Log lines on their way out: gathered in memory and written by a thread of their own.
//!
//! Waking a writer for each line costs more than a cache hit, so it is woken for the first one and
//! then waits a moment for others. Lines are dropped, and counted, rather than hold up a request
//! when whoever reads them does not.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

/// How long the first line waits for company.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes that may wait; beyond it lines are dropped.
const MOST: usize = 4 << 20;

/// The near end: takes lines without waiting.
#[derive(Clone)]
pub struct Spool(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    lines: Mutex<Vec<u8>>,
    dropped: AtomicU64,
    closing: AtomicBool,
    writer: Mutex<Option<thread::Thread>>,
}

/// Keeps the writer running; dropped, it writes what waits and ends.
pub struct Writer {
    waiting: Arc<Waiting>,
    thread: Option<JoinHandle<()>>,
}

impl Spool {
    /// A spool that writes to `out`.
    pub fn start(out: impl Write + Send + 'static) -> (Self, Writer) {
        let waiting = Arc::new(Waiting::default());
        let thread = thread::spawn({
            let waiting = waiting.clone();
            move || waiting.write_to(out)
        });
        *waiting.writer.lock() = Some(thread.thread().clone());
        (Self(waiting.clone()), Writer { waiting, thread: Some(thread) })
    }

    /// Takes one or more whole lines.
    pub fn take(&self, lines: &[u8]) {
        let mut waiting = self.0.lines.lock();
        if waiting.len() + lines.len() > MOST {
            self.0.dropped.fetch_add(1, Relaxed);
            return;
        }
        let first = waiting.is_empty();
        waiting.extend_from_slice(lines);
        drop(waiting);
        if first {
            self.0.wake();
        }
    }
}

impl Write for Spool {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.take(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Waiting {
    fn wake(&self) {
        if let Some(thread) = &*self.writer.lock() {
            thread.unpark();
        }
    }

    fn write_to(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            std::mem::swap(&mut lines, &mut *self.lines.lock());
            let dropped = self.dropped.swap(0, Relaxed);
            if dropped > 0 {
                lines.extend_from_slice(
                    format!("{dropped} log lines dropped: the log is not read fast enough\n").as_bytes(),
                );
            }
            // Nowhere to report that the log cannot be written.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            lines.clear();
            if !self.lines.lock().is_empty() {
                continue;
            }
            if self.closing.load(Relaxed) {
                return;
            }
            thread::park();
            if !self.closing.load(Relaxed) {
                thread::park_timeout(GATHER);
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.waiting.closing.store(true, Relaxed);
        self.waiting.wake();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing left to write.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_taken_is_written_in_order_by_the_end() {
        let page = Page::default();
        let (spool, writer) = Spool::start(page.clone());
        for line in 0..1000 {
            spool.take(format!("{line}\n").as_bytes());
        }
        drop(writer);
        let expected: String = (0..1000).map(|line| format!("{line}\n")).collect();
        assert_eq!(String::from_utf8(page.0.lock().clone()).unwrap(), expected);
    }

    #[test]
    fn what_nobody_reads_is_dropped_and_counted_and_never_waited_for() {
        let page = Page::default();
        let held = page.0.lock();
        let (spool, writer) = Spool::start(page.clone());
        let line = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            spool.take(&line);
        }
        assert!(spool.0.dropped.load(Relaxed) > 0);
        drop(held);
        drop(writer);
        let written = String::from_utf8_lossy(&page.0.lock()).into_owned();
        assert!(written.contains("log lines dropped"), "{} bytes", written.len());
    }
}
