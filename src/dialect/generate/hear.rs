//! Gemini's chunks, heard: each is a response of its own with what is new.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::prompt::Signature;
use super::super::said::{Delta, Finish, Hear, Said, Tokens};
use super::super::{Api, errors};
use crate::response::shape::{ProviderError, Text};
use crate::response::usage::GeminiUsage;
use crate::sse::Event;

/// More candidates than Gemini gives (8).
const MOST_CANDIDATES: usize = 128;
const STRANGE: &str = "an event was not what the API promises";

/// Hears Gemini.
#[derive(Default)]
pub(in super::super) struct GenerateHearer {
    begun: bool,
    /// The provider's id of the reply.
    id: String,
    candidates: Vec<Candidate>,
    /// The prompt was refused, so there are no candidates.
    blocked: bool,
    failed: bool,
}

/// What was heard of one candidate.
#[derive(Default)]
struct Candidate {
    calls: u32,
    finished: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<ChunkCandidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<Feedback<'a>>,
    usage_metadata: Option<GeminiUsage>,
    #[serde(borrow)]
    model_version: Option<Text<'a>>,
    #[serde(borrow)]
    response_id: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow)]
    block_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChunkCandidate<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow)]
    finish_message: Option<Text<'a>>,
    logprobs_result: Option<LogprobsResult>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(default)]
    thought: bool,
    #[serde(borrow)]
    thought_signature: Option<Text<'a>>,
    #[serde(borrow)]
    function_call: Option<FunctionCall<'a>>,
}

#[derive(Deserialize)]
struct FunctionCall<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogprobsResult {
    chosen_candidates: Option<Vec<TokenLogprob>>,
    top_candidates: Option<Vec<TopTokens>>,
}

#[derive(Deserialize)]
struct TopTokens {
    candidates: Option<Vec<TokenLogprob>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenLogprob {
    token: Option<String>,
    log_probability: Option<f64>,
}

fn filled(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0.into_owned()).filter(|text| !text.is_empty())
}

impl Hear for GenerateHearer {
    fn hear(&mut self, event: &Event, said: &mut Vec<Said>) -> Result<(), &'static str> {
        // Errors may come within a list.
        let chunk = serde_json::from_slice::<Chunk>(event.data());
        if chunk.as_ref().map_or(true, |chunk| chunk.error.is_some()) {
            let error = errors::said_in(event.data()).ok_or(STRANGE)?;
            self.failed = true;
            said.push(Said::Error(error));
            return Ok(());
        }
        let Ok(chunk) = chunk else { return Err(STRANGE) };
        if !std::mem::replace(&mut self.begun, true) {
            let id = filled(chunk.response_id);
            self.id = id.clone().unwrap_or_default();
            said.push(Said::Begin { id, model: filled(chunk.model_version) });
        }
        for (position, candidate) in chunk.candidates.unwrap_or_default().into_iter().enumerate() {
            self.candidate(position, candidate, said)?;
        }
        let reason = chunk.prompt_feedback.and_then(|feedback| filled(feedback.block_reason));
        if let Some(reason) = reason.filter(|_| !self.blocked && self.candidates.is_empty()) {
            self.blocked = true;
            said.push(Said::Delta(0, Delta::Refusal(format!("blocked: {reason}"))));
            said.push(Said::Finish(0, Finish::Filtered));
        }
        if let Some(usage) = chunk.usage_metadata {
            said.push(Said::Usage(Tokens { usage: usage.counts(), thinking: usage.thinking() }));
        }
        Ok(())
    }

    /// Nothing in the stream says that it is over: a finish of every candidate is the proof.
    fn end(&mut self, said: &mut Vec<Said>) {
        let finished = !self.candidates.is_empty() && self.candidates.iter().all(|it| it.finished);
        if !self.failed && (finished || self.blocked) {
            said.push(Said::End);
        }
    }
}

impl GenerateHearer {
    fn candidate(
        &mut self,
        position: usize,
        heard: ChunkCandidate,
        said: &mut Vec<Said>,
    ) -> Result<(), &'static str> {
        let at = heard.index.unwrap_or(position);
        if at >= MOST_CANDIDATES {
            return Err("an index is out of all bounds");
        }
        if self.candidates.len() <= at {
            self.candidates.resize_with(at + 1, Candidate::default);
        }
        let Some(candidate) = self.candidates.get_mut(at) else { return Ok(()) };
        let index = u32::try_from(at).unwrap_or_default();
        for part in heard.content.and_then(|content| content.parts).unwrap_or_default() {
            candidate.part(part, (&self.id, index), said)?;
        }
        if let Some(logprobs) = heard.logprobs_result {
            said.push(Said::Delta(index, Delta::Logprobs(logprobs.tokens())));
        }
        if let Some(reason) = filled(heard.finish_reason).filter(|_| !candidate.finished) {
            candidate.finished = true;
            match candidate.finish(&reason) {
                Some(finish) => said.push(Said::Finish(index, finish)),
                None => {
                    self.failed = true;
                    said.push(Said::Error(broke_off(reason, filled(heard.finish_message))));
                }
            }
        }
        Ok(())
    }
}

impl Candidate {
    /// One part of the candidate `of`: of the reply of this id, with this index.
    fn part(&mut self, part: Part, of: (&str, u32), said: &mut Vec<Said>) -> Result<(), &'static str> {
        let signature =
            filled(part.thought_signature).map(|data| Signature { by: Api::Generate, data, redacted: false });
        let mut add = |delta| said.push(Said::Delta(of.1, delta));
        match (part.function_call, part.text) {
            (Some(heard), _) => {
                let name = filled(heard.name).unwrap_or_default();
                let json = heard.args.map_or_else(|| "{}".to_owned(), |args| compact(args.get()));
                let call = self.calls;
                self.calls += 1;
                let id = filled(heard.id).unwrap_or_else(|| made_up(of, call, &name, &json));
                add(Delta::Call { call, id, name, signature });
                add(Delta::Arguments { call, json });
            }
            (None, Some(text)) => {
                let text = text.0.into_owned();
                if !text.is_empty() {
                    add(if part.thought { Delta::Thinking(text) } else { Delta::Text(text) });
                }
                signature.map(Delta::Signature).into_iter().for_each(&mut add);
            }
            (None, None) => match signature {
                Some(signature) => add(Delta::Signature(signature)),
                None => return Err("the answer has a part that the client's API has no words for"),
            },
        }
        Ok(())
    }

    /// Why the candidate ended; `None` where the model went wrong.
    fn finish(&self, reason: &str) -> Option<Finish> {
        Some(match reason {
            "STOP" if self.calls > 0 => Finish::Calls,
            "STOP" => Finish::Stop(None),
            "MAX_TOKENS" => Finish::Length,
            "CONTINUATION" => Finish::Paused,
            "FINISH_REASON_UNSPECIFIED"
            | "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MISSING_THOUGHT_SIGNATURE"
            | "MALFORMED_RESPONSE" => return None,
            // SAFETY, RECITATION and their like.
            _ => Finish::Filtered,
        })
    }
}

/// The error that a candidate is which ended so.
fn broke_off(reason: String, message: Option<String>) -> ProviderError {
    let message = message.unwrap_or_else(|| format!("Gemini broke off: {reason}"));
    ProviderError { status: 500, message, kind: Some("INTERNAL".to_owned()), code: Some(reason) }
}

/// JSON without the white space between its tokens: Gemini writes bodies for people to read.
fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let kept = |c: &char| {
        let white = !quoted && c.is_ascii_whitespace();
        quoted ^= *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        !white
    };
    json.chars().filter(kept).collect()
}

/// An id for a call that came without one: the same whenever the same reply is heard, another one in
/// every other reply, and short enough for all (OpenAI: 40 characters).
fn made_up((reply, candidate): (&str, u32), call: u32, name: &str, json: &str) -> String {
    let of = json!([reply, candidate, call, name, json]).to_string();
    let digest = blake3::hash(of.as_bytes()).to_hex();
    format!("call_{}", digest.get(..24).unwrap_or_default())
}

impl LogprobsResult {
    /// OpenAI's form of it.
    fn tokens(self) -> Vec<Value> {
        let mut likeliest = self.top_candidates.unwrap_or_default().into_iter();
        let chosen = self.chosen_candidates.unwrap_or_default().into_iter();
        chosen
            .map(|token| {
                let top = likeliest.next().and_then(|top| top.candidates).unwrap_or_default();
                let mut written = token.written();
                written["top_logprobs"] = top.into_iter().map(TokenLogprob::written).collect();
                written
            })
            .collect()
    }
}

impl TokenLogprob {
    fn written(self) -> Value {
        let token = self.token.unwrap_or_default();
        json!({"token": token, "logprob": self.log_probability.unwrap_or_default(), "bytes": token.as_bytes()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_lose_only_the_white_space_between_tokens() {
        for (json, expected) in [
            ("{\n  \"a b\": [ 1, 2.50 ]\n}", r#"{"a b":[1,2.50]}"#),
            (r#"{ "q": "say \"a b\" \\" , "n" : null }"#, r#"{"q":"say \"a b\" \\","n":null}"#),
        ] {
            assert_eq!(compact(json), expected);
        }
    }

    #[test]
    fn every_reason_to_end_has_its_meaning() {
        let called = Candidate { calls: 1, finished: false };
        assert_eq!(called.finish("STOP"), Some(Finish::Calls));
        let of = |reason| Candidate::default().finish(reason);
        assert_eq!(of("STOP"), Some(Finish::Stop(None)));
        assert_eq!(of("MAX_TOKENS"), Some(Finish::Length));
        assert_eq!(of("CONTINUATION"), Some(Finish::Paused));
        for filter in [
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "OTHER",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "IMAGE_OTHER",
            "NO_IMAGE",
            "ESCALATION",
            "PUP_LIMITED_DISABLED",
            "MODEL_ARMOR",
        ] {
            assert_eq!(of(filter), Some(Finish::Filtered), "{filter}");
        }
        for wrong in [
            "MALFORMED_FUNCTION_CALL",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MISSING_THOUGHT_SIGNATURE",
            "MALFORMED_RESPONSE",
        ] {
            assert_eq!(of(wrong), None, "{wrong}: another target may do better");
        }
    }

    #[test]
    fn a_made_up_id_is_its_calls_own() {
        let ids = [
            made_up(("r1", 0), 0, "f", "{}"),
            made_up(("r1", 0), 1, "f", "{}"),
            made_up(("r1", 1), 0, "f", "{}"),
            made_up(("r2", 0), 0, "f", "{}"),
        ];
        assert_eq!(ids[0], made_up(("r1", 0), 0, "f", "{}"));
        assert!(ids[1..].iter().all(|id| *id != ids[0] && id.len() <= 40));
    }
}
