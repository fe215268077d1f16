//! Points at which a test can stop answers and let them go, so that no test has to sleep.

use tokio::sync::watch;

/// Where answers stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The request is read, nothing is answered yet.
    BeforeHead,
    /// The head and this many events of a stream are written.
    AfterEvents(usize),
}

/// What answers pass on their way out.
pub struct Gate(watch::Sender<Option<Hold>>);

impl Gate {
    /// An open gate.
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Closes it at a point.
    pub fn hold(&self, at: Hold) {
        self.0.send_replace(Some(at));
    }

    /// Opens it.
    pub fn release(&self) {
        self.0.send_replace(None);
    }

    /// True where nobody may pass this point now.
    pub fn is_held(&self, point: Hold) -> bool {
        stops(*self.0.borrow(), point)
    }

    /// Waits until this point may be passed.
    pub async fn pass(&self, point: Hold) {
        let mut state = self.0.subscribe();
        // The sender lives in the same state as this waiter's connection, so it cannot be gone.
        let _ = state.wait_for(|held| !stops(*held, point)).await;
    }
}

fn stops(held: Option<Hold>, point: Hold) -> bool {
    match (held, point) {
        (None, _) => false,
        (Some(Hold::BeforeHead), Hold::BeforeHead) => true,
        (Some(Hold::AfterEvents(limit)), Hold::AfterEvents(written)) => written >= limit,
        (Some(_), _) => false,
    }
}
