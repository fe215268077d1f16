//! A flight among sidecars: the call is made by one of them, and the others record what it tells.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::Gateway;
use super::fly::Flight;
use super::passengers::Landing;
use crate::cache::Stored;
use crate::cache::entry::Entry;
use crate::coalesce::follower::Followed;
use crate::coalesce::leader::Lease;
use crate::coalesce::shared::Place;
use crate::error::ApiError;
use crate::response::recording::{Completed, Ending, Recorder, ResponseHead};

impl Gateway {
    /// Flies for whoever is aboard here: makes the call, or records what the sidecar tells that makes
    /// it. Without a Redis, or while it is away, every sidecar makes its own.
    pub(super) async fn fly_for_all(self: Arc<Self>, flight: Flight, recorder: Recorder, landing: Landing) {
        let Some(shared) = &self.kept.shared else {
            return self.clone().fly(flight, recorder, Some(landing)).await;
        };
        let key = landing.key();
        loop {
            match shared.board(key).await {
                Place::Alone => break,
                Place::Leader(lease) => return self.clone().lead(flight, recorder, landing, lease).await,
                Place::Landed => {}
                Place::Follower(follower) => {
                    let recording = recorder.recording().clone();
                    let followed = tokio::select! {
                        // Nobody waits longer for another's call than for one of their own, nor for both in turn.
                        followed = timeout_at(flight.deadline, follower.follow(&recorder)) => followed.ok(),
                        () = recording.abandoned() => return,
                    };
                    match followed {
                        Some(Followed::Ended(ending)) => return recorder.finish(ending),
                        Some(Followed::Lost) => continue,
                        Some(Followed::Landed) => {}
                        // What has begun elsewhere cannot go on here: dropped, it ends as broken off.
                        None if recording.is_from_elsewhere() => return,
                        Some(Followed::Alone) => break,
                        None => {
                            let error =
                                ApiError::upstream(&flight.first().unwrap_or_default(), &flight.too_late());
                            return recorder.finish(Ending::Failed(error));
                        }
                    }
                }
            }
            let known = self.kept.cache.find(&key);
            match self.kept.cache.fetch(key, known.as_ref()).await {
                Some(found) if !found.entry.is_stale(self.io.clock.now()) => {
                    return replay(&found.entry, recorder).await;
                }
                _ => break,
            }
        }
        self.clone().fly(flight, recorder, Some(landing)).await;
    }

    /// Makes the call for all sidecars.
    async fn lead(self: Arc<Self>, flight: Flight, recorder: Recorder, landing: Landing, lease: Lease) {
        let (key, began) = (landing.key(), self.io.clock.now());
        let recording = recorder.recording().clone();
        let (over, is_over) = oneshot::channel();
        let holding = tokio::spawn(async move {
            lease.hold(&recording, is_over).await;
            lease
        });
        self.clone().fly(flight, recorder, Some(landing)).await;
        drop(over);
        let Ok(lease) = holding.await else { return };
        let stored = self.kept.cache.find(&key).is_some_and(|found| found.entry.stored >= began);
        if stored {
            // Who hears that it has landed must find it.
            self.kept.cache.written().await;
        }
        lease.land(stored).await;
    }
}

/// Gives readers who waited for another sidecar's call the answer it has stored.
async fn replay(entry: &Entry, recorder: Recorder) {
    recorder.recording().comes_from_elsewhere();
    recorder.head(ResponseHead {
        status: entry.status,
        headers: entry.headers.clone(),
        form: entry.form,
        upstream: std::time::Duration::ZERO,
        provider: entry.provider.clone(),
        attempts: 0,
    });
    for frame in entry.frames() {
        recorder.push(frame).await;
    }
    let done = Completed {
        stored: true,
        usage: entry.usage,
        cost: entry.cost,
        model: entry.model.clone(),
        ..Completed::default()
    };
    recorder.finish(Ending::Complete(done));
}
