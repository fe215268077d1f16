//! A request in the making. Awaiting it sends it and reads the whole answer.

use std::pin::Pin;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{Answer, Live};

/// A POST of JSON with a credential.
pub struct Ask {
    request: RequestBuilder,
    body: Value,
    key: &'static str,
}

impl Ask {
    pub fn new(request: RequestBuilder, body: Value) -> Self {
        Self { request, body, key: "sk-alice" }
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sets a member of the body.
    pub fn set(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.body[member] = value.into();
        self
    }

    /// Asks for events.
    pub fn stream(self) -> Self {
        self.set("stream", true)
    }

    /// Asks for events and the usage frame.
    pub fn stream_with_usage(self) -> Self {
        self.stream().set("stream_options", json!({"include_usage": true}))
    }

    /// Asks with another credential.
    pub fn by(mut self, key: &'static str) -> Self {
        self.key = key;
        self
    }

    /// Sets `Cache-Control`.
    pub fn cache_control(self, directives: &str) -> Self {
        self.with("cache-control", directives)
    }

    /// The request itself, to be sent by other means.
    pub fn request(self) -> RequestBuilder {
        let request = self.request.header("content-type", "application/json").bearer_auth(self.key);
        request.body(self.body.to_string())
    }

    /// Sends it and returns once the head is there.
    pub async fn open(self) -> Live {
        Live::new(self.request().send().await.unwrap())
    }

    /// Sends it in the background.
    pub fn spawn(self) -> tokio::task::JoinHandle<Answer> {
        tokio::spawn(self.into_future())
    }
}

impl IntoFuture for Ask {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.open().await.rest().await })
    }
}
