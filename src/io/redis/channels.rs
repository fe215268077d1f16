//! What other sidecars publish, told to whoever waits for it here. One connection for all of it.
//!
//! A message says only that there is something to read: one that is lost while the connection is
//! made anew is made up for by looking, which [`Message::Look`] asks for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use redis::ErrorKind;
use redis::aio::{PubSub, PubSubSink};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{CONNECT, Redis};

/// Messages that may wait for one listener. One who is behind is told to look.
const QUEUE: usize = 64;
/// Between two attempts to connect; after one where nothing may be heard.
const REST: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Who listens to what.
#[derive(Default)]
pub struct Channels {
    listeners: Mutex<HashMap<String, Vec<Listener>>>,
    next: AtomicU64,
    changes: Mutex<Option<mpsc::UnboundedSender<Change>>>,
    deaf: AtomicBool,
}

/// One who listens.
struct Listener {
    id: u64,
    messages: mpsc::Sender<Message>,
    /// A message found no room.
    missed: Arc<AtomicBool>,
}

/// Something heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// What was published.
    Heard(Vec<u8>),
    /// Messages may have been missed; from now on they are heard.
    Look,
}

enum Change {
    Subscribe(String),
    Unsubscribe(String),
}

/// Listens to a channel until it is dropped.
pub struct Listening<'c> {
    channels: &'c Channels,
    channel: String,
    id: u64,
    messages: mpsc::Receiver<Message>,
    missed: Arc<AtomicBool>,
}

impl Channels {
    /// Listens to a channel. The first message is [`Message::Look`], once messages are heard.
    pub fn listen(&self, channel: String) -> Listening<'_> {
        let (sender, messages) = mpsc::channel(QUEUE);
        let id = self.next.fetch_add(1, Relaxed);
        let missed = Arc::<AtomicBool>::default();
        let listener = Listener { id, messages: sender, missed: missed.clone() };
        let mut listeners = self.listeners.lock();
        listeners.entry(channel.clone()).or_default().push(listener);
        self.change(Change::Subscribe(channel.clone()));
        drop(listeners);
        Listening { channels: self, channel, id, messages, missed }
    }

    /// Whether Redis refuses to tell this user what is published: what is waited for by hearing is then
    /// better not waited for.
    pub fn is_deaf(&self) -> bool {
        self.deaf.load(Relaxed)
    }

    async fn subscribe(&self, sink: &mut PubSubSink, channel: &str) -> bool {
        match timeout(CONNECT, sink.subscribe(channel)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::Server(_)) => {
                if !self.deaf.swap(true, Relaxed) {
                    tracing::warn!(%error, "Redis lets its user hear no messages; calls under way are not shared");
                }
            }
            Ok(Err(_)) | Err(_) => {}
        }
        false
    }

    fn change(&self, change: Change) {
        if let Some(changes) = &*self.changes.lock() {
            let _ = changes.send(change);
        }
    }

    fn tell(&self, channel: &str, message: &Message) {
        if let Some(listeners) = self.listeners.lock().get(channel) {
            for listener in listeners {
                if listener.messages.try_send(message.clone()).is_err() {
                    listener.missed.store(true, Relaxed);
                }
            }
        }
    }
}

impl Listening<'_> {
    /// The next message.
    pub async fn next(&mut self) -> Message {
        if self.missed.swap(false, Relaxed) {
            return Message::Look;
        }
        match self.messages.recv().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut listeners = self.channels.listeners.lock();
        if let Some(list) = listeners.get_mut(&self.channel) {
            list.retain(|listener| listener.id != self.id);
            if list.is_empty() {
                listeners.remove(&self.channel);
                self.channels.change(Change::Unsubscribe(self.channel.clone()));
            }
        }
    }
}

/// Keeps the connection, again and again, for as long as anybody has the [`Redis`].
pub(super) async fn listen(redis: Weak<Redis>) {
    loop {
        let Some(held) = redis.upgrade() else { return };
        if held.is_up()
            && let Ok(Ok(heard)) = timeout(CONNECT, held.server.listen()).await
        {
            hear(&redis, held, heard).await;
        } else {
            drop(held);
        }
        let deaf = redis.upgrade().is_some_and(|redis| redis.channels.is_deaf());
        sleep(if deaf { REST.1 } else { REST.0 }).await;
    }
}

/// Hears what is published, until the connection breaks.
async fn hear(redis: &Weak<Redis>, held: Arc<Redis>, heard: PubSub) {
    let (changes, mut to_do) = mpsc::unbounded_channel();
    let channels: Vec<String> = {
        let listeners = held.channels.listeners.lock();
        *held.channels.changes.lock() = Some(changes);
        listeners.keys().cloned().collect()
    };
    let (mut sink, mut messages) = heard.split();
    let broken = held.broken.clone();
    for channel in channels {
        if !held.channels.subscribe(&mut sink, &channel).await {
            return;
        }
        held.channels.tell(&channel, &Message::Look);
    }
    held.channels.deaf.store(false, Relaxed);
    drop(held);
    let broken = broken.notified();
    tokio::pin!(broken);
    loop {
        let next = tokio::select! {
            message = messages.next() => message.map(Ok),
            change = to_do.recv() => change.map(Err),
            () = &mut broken => None,
        };
        let (Some(next), Some(held)) = (next, redis.upgrade()) else { return };
        let done = match next {
            Ok(message) => {
                let payload = Message::Heard(message.get_payload_bytes().to_vec());
                held.channels.tell(message.get_channel_name(), &payload);
                true
            }
            Err(Change::Subscribe(channel)) => {
                let done = held.channels.subscribe(&mut sink, &channel).await;
                held.channels.tell(&channel, &Message::Look);
                done
            }
            Err(Change::Unsubscribe(channel)) => {
                // Somebody may have come since.
                let wanted = held.channels.listeners.lock().contains_key(&channel);
                wanted || matches!(timeout(CONNECT, sink.unsubscribe(&channel)).await, Ok(Ok(())))
            }
        };
        if !done {
            return;
        }
    }
}
