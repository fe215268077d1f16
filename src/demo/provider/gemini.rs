//! `POST /{version}/models/{model}:{method}`; source: gemini.md sections 2, 3, 7 and 8.

use serde::Serialize;
use serde_json::{Value, json};

use super::api::Ask;
use super::fault_reply;
use super::hash::of_text;
use super::mind::{Prompt, Said, Thought, Tool, think, tokens_in};
use super::reply::{Event, Reply, Role};
use super::vector;
use crate::demo::chance::Chance;
use crate::request::endpoint::Family;

/// Vector size of `gemini-embedding-001`.
const DIMENSIONS: usize = 3072;
/// Pieces of text per chunk: Gemini streams in larger steps than one token.
const PIECES_PER_CHUNK: usize = 4;
/// The proof that a call is the simulated model's own.
const SIGNATURE: &str = "c2ltdWxhdGVk";
/// The proof that is not checked: `skip_thought_signature_validator` in base64.
const UNCHECKED: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// Answers a Gemini call.
pub fn answer(ask: &Ask<'_>, model: &str, method: &str, sse: bool) -> Reply {
    if model.starts_with("no-such") {
        return fault_reply::error(Family::Gemini, 404);
    }
    match method {
        "embedContent" => embed_one(ask, model),
        "batchEmbedContents" => embed_batch(ask, model),
        _ => generate(ask, model, method == "streamGenerateContent", sse),
    }
}

fn generate(ask: &Ask<'_>, model: &str, streams: bool, sse: bool) -> Reply {
    let Some(contents) = ask.body["contents"].as_array().filter(|contents| !contents.is_empty()) else {
        return invalid("* GenerateContentRequest.contents: contents is not specified");
    };
    if let Some(message) = wrong_turns(contents, model) {
        return invalid(message);
    }
    let config = &ask.body["generationConfig"];
    let count = config["candidateCount"].as_u64().unwrap_or(1).clamp(1, 8);
    let schema = Some(&config["responseJsonSchema"]).filter(|schema| !schema.is_null());
    let schema = schema.or_else(|| Some(&config["responseSchema"]));
    let tools = if contents.last().is_some_and(has_result) { Vec::new() } else { tools(ask.body) };
    let think_of = |index| {
        think(&Prompt {
            seed: (ask.seed ^ of_text(0, model)).wrapping_add(index),
            last: last_text(contents),
            tools: tools.clone(),
            limit: config["maxOutputTokens"].as_u64(),
            schema: schema.filter(|_| config["responseMimeType"] == "application/json"),
        })
    };
    let answer = Answer {
        ask,
        model,
        thoughts: (0..count).map(think_of).collect(),
        input: tokens_in(&ask.body["contents"]) + tokens_in(&ask.body["systemInstruction"]),
    };
    match (streams, sse) {
        (false, _) => Reply::json(200, &answer.body()),
        (true, true) => {
            Reply::events(answer.chunks().iter().map(|(role, chunk)| Event::data(*role, chunk)).collect())
        }
        // Without alt=sse the stream is one JSON array.
        (true, false) => {
            Reply::json(200, &answer.chunks().into_iter().map(|(_, chunk)| chunk).collect::<Value>())
        }
    }
}

/// What Gemini refuses in a conversation, in its words (gemini.md sections 4 and 5).
fn wrong_turns(contents: &[Value], model: &str) -> Option<&'static str> {
    let count = |content: &Value, name: &str| {
        let parts = content["parts"].as_array().into_iter().flatten();
        parts.filter(|part| part.get(name).is_some()).count()
    };
    if contents.last().is_some_and(|last| last["role"] == "model") {
        return Some("Please ensure that multiturn requests end with a user role or a function response.");
    }
    let mut before = &Value::Null;
    for content in contents {
        let (calls, answered) = (count(content, "functionCall"), count(before, "functionCall"));
        if calls > 0 && before["role"] != "user" {
            return Some(
                "Please ensure that function call turn comes immediately after a user turn or after a \
                 function response turn.",
            );
        }
        if count(content, "functionResponse") != answered {
            return Some(
                "Please ensure that the number of function response parts is equal to the number of \
                 function call parts of the function call turn.",
            );
        }
        before = content;
    }
    if model.starts_with("gemini-2") { None } else { wrong_signature(contents) }
}

/// The first call of each step has to prove that it is the model's own.
fn wrong_signature(contents: &[Value]) -> Option<&'static str> {
    let calls = contents.iter().filter_map(|content| {
        content["parts"].as_array()?.iter().find(|part| part.get("functionCall").is_some())
    });
    for call in calls {
        match call["thoughtSignature"].as_str() {
            None => return Some("Function call is missing a thought_signature in functionCall parts."),
            Some(SIGNATURE | UNCHECKED) => {}
            Some(_) => return Some("Corrupted thought signature."),
        }
    }
    None
}

fn has_result(content: &Value) -> bool {
    content["parts"]
        .as_array()
        .is_some_and(|parts| parts.iter().any(|part| part.get("functionResponse").is_some()))
}

fn last_text(contents: &[Value]) -> &str {
    let user = contents.iter().rev().find(|content| content["role"] != "model");
    let parts = user.and_then(|content| content["parts"].as_array());
    parts.and_then(|parts| parts.iter().rev().find_map(|part| part["text"].as_str())).unwrap_or("")
}

fn tools(body: &Value) -> Vec<Tool<'_>> {
    let config = &body["toolConfig"]["functionCallingConfig"];
    if config["mode"] == "NONE" {
        return Vec::new();
    }
    let declared = body["tools"].as_array().into_iter().flatten();
    let declared = declared.flat_map(|tool| tool["functionDeclarations"].as_array().into_iter().flatten());
    let mut tools: Vec<_> = declared
        .filter_map(|tool| {
            let schema = tool.get("parametersJsonSchema").unwrap_or(&tool["parameters"]);
            Some(Tool { name: tool["name"].as_str()?, schema: Some(schema) })
        })
        .collect();
    if let Some(names) = config["allowedFunctionNames"].as_array() {
        tools.retain(|tool| names.iter().any(|name| name == tool.name));
    }
    tools
}

fn invalid(message: &str) -> Reply {
    Reply::json(400, &json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}))
}

struct Answer<'a> {
    ask: &'a Ask<'a>,
    model: &'a str,
    thoughts: Vec<Thought>,
    input: u64,
}

impl Answer<'_> {
    fn envelope(&self, candidates: Value, output: u64) -> Value {
        let thinking: u64 = self.thoughts.iter().map(|thought| thought.reasoning).sum();
        json!({
            "candidates": candidates,
            "usageMetadata": {
                "promptTokenCount": self.input,
                "candidatesTokenCount": output,
                "thoughtsTokenCount": thinking,
                "totalTokenCount": self.input + output + thinking,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.input}],
            },
            "modelVersion": self.model,
            "responseId": self.ask.id("sim"),
        })
    }

    fn body(&self) -> Value {
        let candidates = (0..).zip(&self.thoughts).map(|(index, thought)| {
            let parts: Vec<_> = self.rows(thought).into_iter().flatten().collect();
            candidate(index, &joined(parts), Some(finish_reason(thought)))
        });
        self.envelope(candidates.collect(), self.output())
    }

    /// Chunks with new parts only; the last of each candidate has the finish reason.
    fn chunks(&self) -> Vec<(Role, Value)> {
        let mut chunks = Vec::new();
        let mut spoken = 0;
        for (index, thought) in (0..).zip(&self.thoughts) {
            let rows = self.rows(thought);
            let last = rows.len().saturating_sub(1);
            for (at, parts) in rows.into_iter().enumerate() {
                let (role, finish) = match at == last {
                    true => (Role::Finish, Some(finish_reason(thought))),
                    false => (Role::Body, None),
                };
                spoken = if at == last { spoken + thought.tokens - at as u64 } else { spoken + 1 };
                chunks.push((role, self.envelope(json!([candidate(index, &parts, finish)]), spoken)));
            }
        }
        chunks
    }

    fn output(&self) -> u64 {
        self.thoughts.iter().map(|thought| thought.tokens).sum()
    }

    /// Parts in the rows a stream sends them in.
    fn rows(&self, thought: &Thought) -> Vec<Vec<Value>> {
        match &thought.said {
            Said::Text(pieces) | Said::Refusal(pieces) => {
                let rows: Vec<_> = pieces
                    .chunks(PIECES_PER_CHUNK)
                    .map(|some| vec![json!({"text": some.concat()})])
                    .collect();
                if rows.is_empty() { vec![vec![json!({"text": ""})]] } else { rows }
            }
            // Function calls always arrive whole (gemini.md section 2); the first carries the signature.
            Said::Calls(calls) => {
                let part = |(n, call): (u64, &super::mind::ToolCall)| {
                    let args: Value = serde_json::from_str(&call.input).unwrap_or_else(|_| json!({}));
                    let id = self.ask.nth_id("c", n + 1);
                    let mut part = json!({"functionCall": {"id": id, "name": call.name, "args": args}});
                    if n == 0 {
                        part["thoughtSignature"] = json!(SIGNATURE);
                    }
                    part
                };
                vec![(0..).zip(calls).map(part).collect()]
            }
        }
    }
}

/// Neighbouring texts as one part, as the whole answer has them.
fn joined(parts: Vec<Value>) -> Vec<Value> {
    if parts.iter().any(|part| part.get("text").is_none()) {
        return parts;
    }
    let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    vec![json!({"text": text})]
}

fn candidate(index: u64, parts: &[Value], finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": index});
    if let Some(reason) = finish {
        candidate["finishReason"] = json!(reason);
    }
    candidate
}

fn finish_reason(thought: &Thought) -> &'static str {
    match (&thought.said, thought.cut) {
        (Said::Refusal(_), _) => "PROHIBITED_CONTENT",
        _ if thought.paused => "CONTINUATION",
        (_, true) => "MAX_TOKENS",
        _ => "STOP",
    }
}

#[derive(Serialize)]
struct Embedding {
    values: Vec<f32>,
}

fn embed_one(ask: &Ask<'_>, model: &str) -> Reply {
    #[derive(Serialize)]
    struct One {
        embedding: Embedding,
    }
    match embed(ask, model, ask.body) {
        Some(embedding) => Reply::json(200, &One { embedding }),
        None => invalid("content is empty"),
    }
}

fn embed_batch(ask: &Ask<'_>, model: &str) -> Reply {
    #[derive(Serialize)]
    struct Many {
        embeddings: Vec<Embedding>,
    }
    let requests = ask.body["requests"].as_array().filter(|requests| !requests.is_empty());
    let embeddings =
        requests.and_then(|requests| requests.iter().map(|one| embed(ask, model, one)).collect());
    match embeddings {
        Some(embeddings) => Reply::json(200, &Many { embeddings }),
        None => invalid("requests is empty, or a content in it"),
    }
}

/// The vector of one content; the task type and title change it.
fn embed(ask: &Ask<'_>, model: &str, request: &Value) -> Option<Embedding> {
    let parts = request["content"]["parts"].as_array()?;
    let text: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    let text = Some(text.join("\n")).filter(|text| !text.is_empty())?;
    let task = format!("{} {}", request["taskType"], request["title"]);
    let seed = of_text(Chance::new(of_text(ask.behaviour.seed, &task)).next(), model);
    let dimensions = request["outputDimensionality"].as_u64().map_or(DIMENSIONS, |wanted| wanted as usize);
    let values = vector::of_words(seed, &text, DIMENSIONS, dimensions.clamp(1, DIMENSIONS));
    Some(Embedding { values })
}
