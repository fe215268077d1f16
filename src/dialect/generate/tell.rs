//! A reply told as Gemini's chunks.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::held::{HeldCall, HeldCalls};
use super::super::prompt::Prompt;
use super::super::resume::Partial;
use super::super::said::{Delta, Finish, Said, Tell, Tokens, tell_json};
use super::super::translator::Stamp;
use super::super::{Api, errors};
use super::UNPROVED;
use crate::sse::EventWriter;

/// More candidates than anybody asks for.
const MOST_CANDIDATES: usize = 128;

/// Tells a client of Gemini's. Calls are given whole and only at the end: the pieces of several may come
/// in any order.
pub(in super::super) struct GenerateTeller {
    stamp: Stamp,
    candidates: Vec<Candidate>,
    tokens: Tokens,
    /// The client asked to see thoughts.
    thoughts: bool,
}

/// What is not told yet of one candidate.
#[derive(Default)]
struct Candidate {
    calls: HeldCalls,
    finish: Option<Finish>,
}

/// A chunk with one part of one candidate: the one event of which there are many.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a, P> {
    candidates: [Told<'a, P>; 1],
    model_version: &'a str,
    response_id: &'a str,
}

#[derive(Serialize)]
struct Told<'a, P> {
    content: Content<'a, P>,
    index: u32,
}

#[derive(Serialize)]
struct Content<'a, P> {
    role: &'a str,
    parts: [&'a P; 1],
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

impl GenerateTeller {
    /// A teller of the reply to `prompt`.
    pub(in super::super) fn new(prompt: &Prompt, stamp: Stamp) -> Self {
        Self { stamp, candidates: Vec::new(), tokens: Tokens::default(), thoughts: prompt.thoughts }
    }

    fn chunk(&self, out: &mut EventWriter, candidates: Vec<Value>, usage: Option<Value>) {
        let mut chunk = Map::new();
        chunk.insert("candidates".into(), candidates.into());
        chunk.extend(usage.map(|usage| ("usageMetadata".to_owned(), usage)));
        chunk.insert("modelVersion".into(), self.stamp.model.as_str().into());
        chunk.insert("responseId".into(), self.stamp.id.as_str().into());
        tell_json(out, "", &chunk);
    }

    fn part(&self, out: &mut EventWriter, index: u32, part: &impl Serialize) {
        let content = Content { role: "model", parts: [part] };
        let chunk = Chunk {
            candidates: [Told { content, index }],
            model_version: &self.stamp.model,
            response_id: &self.stamp.id,
        };
        tell_json(out, "", &chunk);
    }

    /// What was told of a candidate; `None` beyond all bounds.
    fn candidate(&mut self, index: u32) -> Option<&mut Candidate> {
        let at = index as usize;
        if at < MOST_CANDIDATES && self.candidates.len() <= at {
            self.candidates.resize_with(at + 1, Candidate::default);
        }
        self.candidates.get_mut(at)
    }

    fn delta(&mut self, out: &mut EventWriter, index: u32, delta: Delta) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => self.part(out, index, &Text { text: &text }),
            Delta::Thinking(text) if self.thoughts => {
                self.part(out, index, &json!({"text": text, "thought": true}));
            }
            Delta::Signature(signature) if signature.by == Api::Generate => {
                self.part(out, index, &json!({"text": "", "thoughtSignature": signature.data}));
            }
            // Not asked for, or a proof that says nothing to Gemini.
            Delta::Thinking(_) | Delta::Signature(_) => {}
            Delta::Call { call, id, name, signature } => {
                if let Some(candidate) = self.candidate(index) {
                    candidate.calls.begin(call, id, name, signature);
                }
            }
            Delta::Arguments { call, json } => {
                if let Some(candidate) = self.candidate(index) {
                    candidate.calls.add(call, &json);
                }
            }
            Delta::Logprobs(tokens) => {
                let candidate = json!({"logprobsResult": logprobs(&tokens), "index": index});
                self.chunk(out, vec![candidate], None);
            }
        }
    }

    /// Usage and all finishes go with the last chunk, as Gemini's do.
    fn end(&mut self, out: &mut EventWriter) {
        let candidates = std::mem::take(&mut self.candidates);
        let told = (0..).zip(candidates).map(|(index, candidate)| candidate.end(index)).collect();
        self.chunk(out, told, Some(usage(&self.tokens)));
    }
}

impl Candidate {
    fn end(self, index: u32) -> Value {
        let reason = match self.finish {
            Some(Finish::Stop(_) | Finish::Calls) | None => "STOP",
            Some(Finish::Length | Finish::Paused) => "MAX_TOKENS",
            Some(Finish::Filtered) => "SAFETY",
        };
        let calls = self.calls.iter().enumerate().map(|(at, call)| call_part(call, at == 0));
        let calls: Option<Vec<Value>> = calls.collect();
        // Gemini's arguments are an object, and its own models too fail to write one at times.
        let Some(parts) = calls else {
            let message = "Malformed function call: its arguments are no JSON object.";
            return json!({
                "finishReason": "MALFORMED_FUNCTION_CALL",
                "finishMessage": message,
                "index": index,
            });
        };
        if parts.is_empty() {
            return json!({"finishReason": reason, "index": index});
        }
        json!({"content": {"role": "model", "parts": parts}, "finishReason": reason, "index": index})
    }
}

/// The call as a part; `None` where its arguments are no JSON object. The first of a step says that
/// Gemini did not make it: the client sends it back, maybe to Gemini.
fn call_part(held: &HeldCall, first: bool) -> Option<Value> {
    let args: Map<String, Value> = serde_json::from_str(&held.json).ok()?;
    let mut part = json!({"functionCall": {"id": held.id, "name": held.name, "args": args}});
    let own = held.signature.as_ref().filter(|signature| signature.by == Api::Generate);
    let proof = own.map(|signature| signature.data.as_str()).or_else(|| first.then_some(UNPROVED));
    if let Some(proof) = proof {
        part["thoughtSignature"] = proof.into();
    }
    Some(part)
}

impl Tell for GenerateTeller {
    fn tell(&mut self, said: Said, out: &mut EventWriter) {
        match said {
            Said::Begin { id, model } => self.stamp.begin(id, model),
            Said::Delta(index, delta) => self.delta(out, index, delta),
            Said::Finish(index, finish) => {
                if let Some(candidate) = self.candidate(index) {
                    candidate.finish = Some(finish);
                }
            }
            Said::Usage(tokens) => self.tokens = tokens,
            Said::Error(error) => {
                let body = errors::body(Api::Generate, &error).to_string();
                out.event(b"", |out| out.extend_from_slice(body.as_bytes()));
            }
            Said::End => self.end(out),
        }
    }

    fn go_on(&mut self, partial: &Partial) {
        self.stamp.begin(partial.id.clone(), partial.model.clone());
    }
}

/// `usageMetadata`: thoughts are not among the candidates' tokens.
fn usage(tokens: &Tokens) -> Value {
    let counts = tokens.usage;
    json!({
        "promptTokenCount": counts.input,
        "cachedContentTokenCount": counts.cached_input,
        "candidatesTokenCount": counts.output.saturating_sub(tokens.thinking),
        "thoughtsTokenCount": tokens.thinking,
        "totalTokenCount": counts.input.saturating_add(counts.output),
    })
}

/// Probabilities in OpenAI's form, in Gemini's.
fn logprobs(tokens: &[Value]) -> Value {
    let one = |token: &Value| json!({"token": token["token"], "logProbability": token["logprob"]});
    let likeliest = tokens.iter().map(|token| {
        let top = token["top_logprobs"].as_array().into_iter().flatten();
        json!({"candidates": top.map(one).collect::<Vec<_>>()})
    });
    json!({
        "chosenCandidates": tokens.iter().map(one).collect::<Vec<_>>(),
        "topCandidates": likeliest.collect::<Vec<_>>(),
    })
}
