//! The side of a flight across sidecars that listens to another's call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::leader::kind;
use super::shared::{LANDED, SharedFlights};
use crate::error::ApiError;
use crate::io::redis::Away;
use crate::request::key::CacheKey;
use crate::response::packed::Unpacker;
use crate::response::recording::{Ending, Frame, Recorder};
use crate::sse::{Decoder, Item};

/// After the moment a lease should have ended it is looked at this much later.
const AFTER: Duration = Duration::from_millis(5);

/// For messages to be heard at all.
const HEARD: Duration = Duration::from_secs(1);

/// A flight that another sidecar leads.
pub struct Follower {
    shared: Arc<SharedFlights>,
    key: CacheKey,
    token: String,
    read_to: String,
    begun: bool,
}

/// What became of a flight that was followed.
pub enum Followed {
    /// It came to its end; all before it is recorded.
    Ended(Ending),
    /// The answer is stored; nothing of it is recorded.
    Landed,
    /// There is no leader any more, and nothing is recorded: somebody else must call.
    Lost,
    /// The leader cannot be asked, and nothing is recorded: the call is made without it.
    Alone,
}

/// One reading of the lease and the stream: holder, milliseconds left, records.
type Reading = (String, i64, Vec<(String, (String, Vec<u8>))>);

impl Follower {
    pub(super) fn new(shared: Arc<SharedFlights>, key: CacheKey, token: String) -> Self {
        Self { shared, key, token, read_to: "-".to_owned(), begun: false }
    }

    /// Records what the leader tells, to its end.
    pub async fn follow(mut self, recorder: &Recorder) -> Followed {
        let shared = self.shared.clone();
        let mut heard = shared.redis.channels().listen(shared.channel(&self.key));
        // From here on nothing is missed; where that takes too long, the lease's end wakes us.
        let _ = timeout(shared.lease_time().min(HEARD), heard.next()).await;
        let mut asked = false;
        loop {
            if !asked {
                // Who cannot ask would hear nothing before the lease ends.
                if shared.ask(&self.token).await.is_err() {
                    return self.broken_off(Followed::Alone);
                }
                asked = true;
            }
            let (holder, left, records) = match self.read().await {
                Ok(reading) => reading,
                Err(Away) => return self.broken_off(Followed::Lost),
            };
            let more = !records.is_empty();
            for (id, (_, wrapped)) in records {
                match self.record(wrapped, recorder).await {
                    Some(Some(ending)) => return Followed::Ended(ending),
                    Some(None) => self.read_to = format!("({id}"),
                    // Not ours to read: another version's or another key's.
                    None => return self.broken_off(Followed::Lost),
                }
            }
            if more {
                continue;
            }
            if holder != self.token {
                let landed = if holder == LANDED { Followed::Landed } else { Followed::Lost };
                return self.broken_off(landed);
            }
            let left = Duration::from_millis(u64::try_from(left).unwrap_or_default()) + AFTER;
            if timeout(left, heard.next()).await.is_err() && !self.begun {
                // The leader renews, but may not have heard.
                asked = false;
            }
        }
    }

    /// What follows from the leader's silence: readers who have the start of an answer cannot be
    /// given another's.
    fn broken_off(&self, otherwise: Followed) -> Followed {
        if !self.begun {
            return otherwise;
        }
        Followed::Ended(Ending::Failed(ApiError::unavailable(
            "The call to the provider was made by another pareto, which broke off. Try again.",
        )))
    }

    async fn read(&self) -> Result<Reading, Away> {
        let shared = &self.shared;
        let (lease, stream) = (shared.lease_key(&self.key), shared.stream_key(&self.key, &self.token));
        shared.redis.script(&shared.scripts.follow, &[&lease, &stream], &[self.read_to.as_bytes()]).await
    }

    /// Records what one record tells; `None` where it cannot be read, the ending where it has one.
    async fn record(&mut self, wrapped: Vec<u8>, recorder: &Recorder) -> Option<Option<Ending>> {
        let packed = self.shared.envelope.open(self.key.bytes(), wrapped).ok()?;
        let mut from = Unpacker::new(Bytes::from(packed));
        while !from.is_at_end() {
            match from.byte()? {
                kind::HEAD => {
                    recorder.recording().comes_from_elsewhere();
                    recorder.head(from.head()?);
                    self.begun = true;
                }
                kind::PIECE => recorder.push(Frame::Piece(from.text()?)).await,
                kind::EVENT => {
                    let bytes = from.text()?;
                    let mut decoder = Decoder::new(bytes.len());
                    decoder.push(bytes);
                    let Ok(Some(Item::Event(event))) = decoder.next_item() else { return None };
                    recorder.push(Frame::Event(event)).await;
                }
                kind::COMPLETE => return Some(Some(Ending::Complete(from.completed()?))),
                kind::FAILED => return Some(Some(Ending::Failed(broken_off()))),
                _ => return None,
            }
        }
        Some(None)
    }
}

fn broken_off() -> ApiError {
    ApiError::unavailable("The call to the provider, made by another pareto, failed before its end.")
}
