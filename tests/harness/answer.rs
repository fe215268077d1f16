//! An answer as the client saw it, whole or under way.

use http::HeaderMap;
use reqwest::Response;
use serde_json::Value;

/// An answer read to its end.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The body came to its proper end; a cut chunked body did not.
    pub whole: bool,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        Live::new(response).rest().await
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `Cache-Status` after `pareto; `.
    pub fn cache(&self) -> &str {
        self.header("cache-status").strip_prefix("pareto; ").unwrap_or_default()
    }

    /// Served from the cache, fresh.
    pub fn is_hit(&self) -> bool {
        self.cache().starts_with("hit; ") && self.cache().ends_with("detail=memory")
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The `data:` of every event; what is no JSON (`[DONE]`) as a string.
    pub fn events(&self) -> Vec<Value> {
        events(&self.text())
    }

    /// The error's code in OpenAI's shape.
    pub fn code(&self) -> String {
        let error = &self.json()["error"];
        for member in ["message", "type", "param", "code"] {
            assert!(error.get(member).is_some(), "{member} is missing in {error}");
        }
        error["code"].as_str().unwrap_or_default().to_owned()
    }

    /// What the first choice says, from a body or from events.
    pub fn said(&self) -> String {
        if self.header("content-type").starts_with("text/event-stream") {
            let events = self.events();
            let piece = |event: &Value| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
            return events.iter().filter_map(piece).collect();
        }
        self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    /// The answer ended as a stream that broke must: an error event last, no `[DONE]`, no clean end.
    pub fn assert_broken_off(&self) {
        let events = self.events();
        assert_eq!(self.status, 200);
        assert!(!self.whole, "a clean end: {}", self.text());
        assert!(events.last().is_some_and(|last| last["error"].is_object()), "no error: {}", self.text());
        assert!(!self.text().contains("[DONE]"), "a clean last word: {}", self.text());
    }

    /// One of our own errors, which SDKs understand and do not repeat.
    pub fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text());
        assert_eq!(self.header("x-should-retry"), "false");
        assert!(self.whole && self.header("content-type").starts_with("application/json"));
    }
}

/// An answer under way. Dropping it hangs up.
pub struct Live {
    response: Response,
    body: Vec<u8>,
}

impl Live {
    pub fn new(response: Response) -> Self {
        Self { response, body: Vec::new() }
    }

    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Reads until at least so many events have come.
    pub async fn events(&mut self, least: usize) -> Vec<Value> {
        loop {
            let text = String::from_utf8_lossy(&self.body);
            let (complete, _) = text.rsplit_once("\n\n").unwrap_or_default();
            let found = events(complete);
            if found.len() >= least {
                return found;
            }
            let chunk = self.response.chunk().await.unwrap();
            self.body.extend_from_slice(&chunk.expect("the stream ended too early"));
        }
    }

    /// Reads to the end.
    pub async fn rest(mut self) -> Answer {
        let whole = loop {
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.body.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(error) if error.is_timeout() => panic!("the answer never ended"),
                Err(_) => break false,
            }
        };
        let (status, headers) = (self.status(), self.response.headers().clone());
        Answer { status, headers, body: self.body, whole }
    }
}

fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()))).collect()
}
