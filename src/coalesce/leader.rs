//! The side of a flight across sidecars that makes the call.

use std::sync::Arc;

use tokio::sync::{Notify, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::shared::{LANDED, SharedFlights};
use crate::io::redis::Away;
use crate::request::key::CacheKey;
use crate::response::headers::repeatable;
use crate::response::packed::Packer;
use crate::response::recording::{Ending, Frame, Playback, Read, Recording};

/// What a record of the stream begins with.
pub(super) mod kind {
    pub(crate) const HEAD: u8 = 0;
    pub(crate) const PIECE: u8 = 1;
    pub(crate) const EVENT: u8 = 2;
    pub(crate) const COMPLETE: u8 = 3;
    pub(crate) const FAILED: u8 = 4;
}

/// The right to make a call for all sidecars, for as long as it is renewed.
pub struct Lease {
    shared: Arc<SharedFlights>,
    key: CacheKey,
    token: String,
    asked: Arc<Notify>,
}

impl Lease {
    pub(super) fn new(shared: Arc<SharedFlights>, key: CacheKey, token: String, asked: Arc<Notify>) -> Self {
        Self { shared, key, token, asked }
    }

    /// Renews the lease, and once somebody follows tells what is recorded; ends with the recording,
    /// where nobody follows when the call is `over`, or when the lease is lost.
    pub async fn hold(&self, recording: &Arc<Recording>, mut over: oneshot::Receiver<()>) {
        let mut renewal = interval(self.shared.lease_time() / 3);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        renewal.tick().await;
        loop {
            tokio::select! {
                () = self.asked.notified() => break,
                _ = &mut over => return,
                _ = renewal.tick() => {}
            }
            if !self.renew().await {
                return;
            }
        }
        // A provider's refusal is for each caller to hear from a call of its own.
        let Some(playback) = recording.join() else { return };
        tokio::select! {
            told = self.tell(&playback) => if told.is_err() {
                self.shared.failed();
            },
            () = async {
                loop {
                    renewal.tick().await;
                    if !self.renew().await {
                        return;
                    }
                }
            } => {}
        }
    }

    async fn renew(&self) -> bool {
        let lease = self.shared.lease_key(&self.key);
        let arguments = [self.token.as_bytes(), &self.shared.lease_millis()];
        let renewed: Result<u8, Away> =
            self.shared.redis.script(&self.shared.scripts.renew, &[&lease], &arguments).await;
        match renewed {
            Ok(1) => true,
            // Redis may be back before the lease has ended.
            Err(Away) => true,
            Ok(_) => {
                self.shared.failed();
                false
            }
        }
    }

    async fn tell(&self, playback: &Playback) -> Result<(), Away> {
        let Ok(head) = playback.head().await else { return Ok(()) };
        if !head.status.is_success() {
            return Ok(());
        }
        let mut out = Packer::default();
        out.byte(kind::HEAD);
        out.head(head.status, head.form, &repeatable(&head.headers), &head.provider);
        let mut frames = Vec::new();
        loop {
            let read = playback.read(&mut frames).await;
            for frame in frames.drain(..) {
                match frame {
                    Frame::Piece(bytes) => {
                        out.byte(kind::PIECE);
                        out.text(&bytes);
                    }
                    Frame::Event(event) => {
                        out.byte(kind::EVENT);
                        out.text(event.bytes());
                    }
                    Frame::KeepAlive | Frame::Comment(_) => {}
                }
            }
            let over = match read {
                Read::Frames => false,
                Read::End(Ending::Complete(done)) => {
                    out.byte(kind::COMPLETE);
                    out.completed(&done);
                    true
                }
                Read::End(Ending::Failed(_) | Ending::Told(_)) => {
                    out.byte(kind::FAILED);
                    true
                }
            };
            if !out.is_empty() {
                self.write(std::mem::take(&mut out)).await?;
            }
            if over {
                return Ok(());
            }
        }
    }

    async fn write(&self, packed: Packer) -> Result<(), Away> {
        let shared = &self.shared;
        let wrapped = shared.envelope.wrap(self.key.bytes(), &packed.into_bytes(), true).ok_or(Away)?;
        let (lease, stream) = (shared.lease_key(&self.key), shared.stream_key(&self.key, &self.token));
        let channel = shared.channel(&self.key);
        let arguments =
            [self.token.as_bytes(), &shared.lease_millis(), wrapped.as_slice(), channel.as_bytes()];
        let told: u8 = shared.redis.script(&shared.scripts.tell, &[&lease, &stream], &arguments).await?;
        if told == 1 { Ok(()) } else { Err(Away) }
    }

    /// Gives the lease back: the answer is stored where others find it, or there is none to share.
    pub async fn land(self, stored: bool) {
        let shared = &self.shared;
        let (lease, channel) = (shared.lease_key(&self.key), shared.channel(&self.key));
        let word = if stored { LANDED } else { "" };
        let arguments = [self.token.as_bytes(), word.as_bytes(), channel.as_bytes()];
        let landed: Result<u8, Away> = shared.redis.script(&shared.scripts.land, &[&lease], &arguments).await;
        if !matches!(landed, Ok(1)) {
            shared.failed();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.forget(&self.token);
    }
}
