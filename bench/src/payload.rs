//! The request, the answer and the stream of every scenario, at fixed sizes, so that every contender moves the same bytes.

use std::iter;

/// Bytes of the plain chat request's body.
pub const REQUEST_BYTES: usize = 1204;
/// Bytes of the JSON answer's body.
pub const ANSWER_BYTES: usize = 1023;
/// Server-sent events of one streamed answer, `[DONE]` included.
pub const EVENTS: usize = 50;
/// Where clients send the request.
pub const PATH: &str = "/v1/chat/completions";

/// Digits of the counter that makes a request unlike all others.
const COUNTER_DIGITS: usize = 20;
const WORDS: &str =
    "A caching proxy keeps what it has once fetched and answers the same question again without asking. ";

/// What a chat request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A JSON answer.
    Json,
    /// A stream of server-sent events, with the usage frame.
    Stream,
    /// A JSON answer about an image of so many base64 characters.
    Image(usize),
}

/// A complete HTTP/1.1 request whose message holds a counter that can be rewritten in place.
#[derive(Debug, Clone)]
pub struct Request {
    bytes: Vec<u8>,
    counter_at: usize,
}

impl Request {
    /// Writes the request for `host`, as an SDK would send it.
    pub fn new(host: &str, ask: Ask) -> Self {
        let body = chat_body(ask);
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\ncontent-type: application/json\r\n\
             user-agent: OpenAI/Python 2.8.0\r\nauthorization: Bearer sk-bench\r\nx-stainless-lang: python\r\n\
             x-stainless-retry-count: 0\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.as_bytes(), body.as_bytes()].concat();
        let zeros = "0".repeat(COUNTER_DIGITS);
        let counter_at = memchr::memmem::find(&bytes, zeros.as_bytes()).expect("the body holds the counter");
        Self { bytes, counter_at }
    }

    /// Makes this the request number `number`.
    pub fn set_counter(&mut self, mut number: u64) {
        for digit in self.bytes[self.counter_at..self.counter_at + COUNTER_DIGITS].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }

    /// Head and body as they go over the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn chat_body(ask: Ask) -> String {
    let question = format!("Question {}: ", "0".repeat(COUNTER_DIGITS));
    let stream =
        if ask == Ask::Stream { r#""stream":true,"stream_options":{"include_usage":true},"# } else { "" };
    let start = format!(
        r#"{{"model":"gpt-4o-mini","temperature":0.2,{stream}"messages":[{{"role":"system","content":"You answer in one short paragraph."}},{{"role":"user","content":"#
    );
    match ask {
        Ask::Image(size) => format!(
            r#"{start}[{{"type":"text","text":"{question}what is shown?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}]}}"#,
            base64_noise(size)
        ),
        Ask::Json | Ask::Stream => padded(&format!(r#"{start}"{question}"#), r#""}]}"#, REQUEST_BYTES),
    }
}

/// The constant JSON answer, a complete chat completion.
pub fn answer() -> String {
    padded(
        r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1795000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":""#,
        r#"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":230,"completion_tokens":120,"total_tokens":350,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"}"#,
        ANSWER_BYTES,
    )
}

/// The constant stream, event by event: role, content, finish, usage, `[DONE]`.
pub fn events() -> Vec<String> {
    let chunk = |choices: &str, usage: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\
             \"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\",\
             \"choices\":[{choices}],\"usage\":{usage}}}\n\n"
        )
    };
    let choice = |delta: &str, finish: &str| {
        format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#)
    };
    let role = chunk(&choice(r#"{"role":"assistant","content":"","refusal":null}"#, "null"), "null");
    let content = WORDS
        .split(' ')
        .filter(|word| !word.is_empty())
        .cycle()
        .take(EVENTS - 4)
        .map(|word| chunk(&choice(&format!(r#"{{"content":" {word}"}}"#), "null"), "null"));
    let finish = chunk(&choice("{}", r#""stop""#), "null");
    let usage = chunk("", r#"{"prompt_tokens":230,"completion_tokens":46,"total_tokens":276}"#);
    iter::once(role).chain(content).chain([finish, usage, "data: [DONE]\n\n".to_owned()]).collect()
}

fn padded(start: &str, end: &str, size: usize) -> String {
    let room = size - start.len() - end.len();
    let filler: String = WORDS.chars().cycle().take(room).collect();
    format!("{start}{filler}{end}")
}

/// Characters as a PNG's base64 has them: from a fixed sequence, not compressible to nothing.
fn base64_noise(size: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(ALPHABET[(state >> 58) as usize])
    })
    .take(size)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(request: &Request) -> serde_json::Value {
        let at = memchr::memmem::find(request.bytes(), b"\r\n\r\n").unwrap() + 4;
        serde_json::from_slice(&request.bytes()[at..]).unwrap()
    }

    #[test]
    fn sizes_are_as_named_and_all_is_json() {
        assert_eq!(chat_body(Ask::Json).len(), REQUEST_BYTES);
        assert_eq!(chat_body(Ask::Stream).len(), REQUEST_BYTES);
        assert_eq!(answer().len(), ANSWER_BYTES);
        serde_json::from_str::<serde_json::Value>(&answer()).unwrap();
        let events = events();
        assert_eq!(events.len(), EVENTS);
        for event in &events[..EVENTS - 1] {
            let data = event.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
            serde_json::from_str::<serde_json::Value>(data).unwrap();
        }
    }

    #[test]
    fn only_the_counter_tells_two_requests_apart() {
        for ask in [Ask::Json, Ask::Stream, Ask::Image(64)] {
            let mut request = Request::new("bench", ask);
            let before = request.bytes().to_vec();
            request.set_counter(1_234);
            assert_eq!(request.bytes().len(), before.len());
            assert!(body_of(&request).to_string().contains("Question 00000000000000001234: "));
        }
    }
}
