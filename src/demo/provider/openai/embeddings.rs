//! `POST /v1/embeddings`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::Value;

use super::refusal::{Refusal, missing, model, number};
use crate::demo::provider::api::Ask;
use crate::demo::provider::hash::of_text;
use crate::demo::provider::mind::tokens_of;
use crate::demo::provider::reply::Reply;
use crate::demo::provider::vector;

/// Limits of the real API (openai.md section 6).
const MAX_INPUTS: usize = 2048;
const MAX_INPUT_TOKENS: u64 = 8192;
const MAX_TOKENS: u64 = 300_000;

#[derive(Serialize)]
struct List<'a> {
    object: &'a str,
    data: Vec<Item>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

/// Plain `f32`, not JSON values, so that numbers print with the digits a 32-bit float has.
#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// One thing to embed.
enum Input {
    Text(String),
    Tokens(Vec<u64>),
}

/// Answers an embeddings request.
pub fn answer(ask: &Ask<'_>) -> Result<Reply, Refusal> {
    let model = model(ask)?;
    let inputs = inputs(&ask.body["input"], ask.behaviour.embeds_empty_texts)?;
    let full = full_dimensions(model);
    let dimensions = number(ask, "dimensions", 1.0, full as f64, full as f64)? as usize;
    let base64 = match ask.body["encoding_format"].as_str() {
        Some("base64") => true,
        None | Some("float") => false,
        Some(_) => return Err(Refusal::invalid("Invalid encoding_format.", Some("encoding_format"))),
    };
    let tokens: Vec<u64> = inputs.iter().map(Input::tokens).collect();
    if tokens.iter().any(|tokens| *tokens > MAX_INPUT_TOKENS) || tokens.iter().sum::<u64>() > MAX_TOKENS {
        return Err(Refusal::invalid("This model's maximum context length is 8192 tokens.", Some("input")));
    }
    let seed = of_text(ask.behaviour.seed, model);
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let floats = input.vector(seed, full, dimensions);
        let embedding = if base64 { Vector::Base64(encode(&floats)) } else { Vector::Floats(floats) };
        Item { object: "embedding", index, embedding }
    });
    let total = tokens.iter().sum();
    let usage = Usage { prompt_tokens: total, total_tokens: total };
    Ok(Reply::json(200, &List { object: "list", data: data.collect(), model, usage }))
}

/// Size of a model's vectors where the request does not cut it.
pub fn full_dimensions(model: &str) -> usize {
    if model.contains("large") { 3072 } else { 1536 }
}

impl Input {
    fn tokens(&self) -> u64 {
        match self {
            Self::Text(text) => tokens_of(text),
            Self::Tokens(tokens) => tokens.len() as u64,
        }
    }

    fn vector(&self, seed: u64, full: usize, dimensions: usize) -> Vec<f32> {
        match self {
            Self::Text(text) => vector::of_words(seed, text, full, dimensions),
            Self::Tokens(tokens) => vector::of_tokens(seed, tokens, full, dimensions),
        }
    }
}

/// A string or a row of tokens is one input, an array of either is many.
fn inputs(input: &Value, empty_texts: bool) -> Result<Vec<Input>, Refusal> {
    let invalid = || Refusal {
        status: 400,
        code: None,
        message: "'$.input' is invalid. Please check the API reference.".to_owned(),
        param: Some("input"),
    };
    let items = match input {
        Value::Null => return Err(missing("input")),
        Value::Array(items) if items.is_empty() || items.len() > MAX_INPUTS => return Err(invalid()),
        Value::Array(items) if items.iter().all(|item| !item.is_number()) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let one = |item: &Value| match item {
        Value::String(text) if empty_texts || !text.is_empty() => Some(Input::Text(text.clone())),
        Value::Array(tokens) if !tokens.is_empty() => {
            Some(Input::Tokens(tokens.iter().map(Value::as_u64).collect::<Option<_>>()?))
        }
        _ => None,
    };
    items.iter().map(one).collect::<Option<Vec<_>>>().ok_or_else(invalid)
}

/// Little-endian 32-bit floats in padded standard base64.
fn encode(floats: &[f32]) -> String {
    let bytes: Vec<u8> = floats.iter().flat_map(|value| value.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}
