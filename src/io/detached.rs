//! Work that may never end, such as a call on a disk that stands still: on a thread of its own, and waited
//! for only so long.

use std::io::{Error, ErrorKind};
use std::sync::mpsc::{RecvTimeoutError, SendError, sync_channel};
use std::time::Duration;

/// How long a start waits for a disk. One that is well is open in milliseconds, a large store after a
/// crash in a second or two.
pub const START: Duration = Duration::from_secs(3);
/// How long the end of a process waits for a disk to take the last of what it knows.
pub const END: Duration = Duration::from_secs(5);

/// Does `work` on a thread named `name` and waits `patience` for what comes of it; what comes later goes to
/// `late`, on that thread. It blocks who calls.
///
/// # Errors
/// `TimedOut` where it takes longer, and what the system says where there can be no thread.
pub fn in_time<T: Send + 'static>(
    name: &str,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
    late: impl FnOnce(T) + Send + 'static,
) -> Result<T, Error> {
    // Without room in between: what is sent was taken, and what was not comes back.
    let (done, waits) = sync_channel(0);
    let run = move || {
        if let Err(SendError(outcome)) = done.send(work()) {
            late(outcome);
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
    waits.recv_timeout(patience).map_err(|error| match error {
        RecvTimeoutError::Timeout => Error::new(ErrorKind::TimedOut, "it does not answer in time"),
        RecvTimeoutError::Disconnected => Error::other("it ended without a word"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_is_done_in_time_is_handed_over_and_what_is_not_comes_late() {
        let quick = in_time("quick", Duration::from_secs(90), || 1, drop);
        assert_eq!(quick.unwrap(), 1);
        let ((go, may_go), (tell, told)) = (channel::<()>(), channel());
        let work = move || may_go.recv().unwrap_or_default();
        let error = in_time("slow", Duration::from_millis(1), work, move |()| tell.send(2).unwrap());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
        go.send(()).unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(90)).unwrap(), 2);
    }
}
