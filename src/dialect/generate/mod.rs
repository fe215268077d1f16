//! Gemini's `generateContent`, as clients ask and are answered and as Gemini is asked.

mod hear;
mod models;
mod openapi;
mod read;
mod read_turns;
mod schema;
mod tell;
mod write;
mod write_turns;

use std::borrow::Cow;

use super::{Field, Target};

pub(super) use hear::GenerateHearer;
pub(super) use read::read;
pub(super) use tell::GenerateTeller;
pub(super) use write::write;

/// Stands in for the proof of a call that Gemini did not make, or whose proof was lost: base64 of
/// `skip_thought_signature_validator` (Google's guide to thought signatures).
pub(super) const UNPROVED: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// What `generateContent` calls a part of a prompt.
pub(super) fn field(field: Field) -> Cow<'static, str> {
    match field {
        Field::Turn(at) => format!("contents[{at}]").into(),
        Field::Tool(at) => format!("tools.functionDeclarations[{at}]").into(),
        Field::ToolChoice => "toolConfig.functionCallingConfig".into(),
        Field::Format => "generationConfig.responseMimeType".into(),
        Field::MaxTokens => "generationConfig.maxOutputTokens".into(),
        Field::Stop => "generationConfig.stopSequences".into(),
        Field::Choices => "generationConfig.candidateCount".into(),
        Field::Effort => "generationConfig.thinkingConfig".into(),
        Field::Temperature => "generationConfig.temperature".into(),
        Field::TopP => "generationConfig.topP".into(),
        Field::TopK => "generationConfig.topK".into(),
        Field::Seed => "generationConfig.seed".into(),
        Field::PresencePenalty => "generationConfig.presencePenalty".into(),
        Field::FrequencyPenalty => "generationConfig.frequencyPenalty".into(),
        Field::Logprobs => "generationConfig.responseLogprobs".into(),
        // A client of Gemini's has no words for these.
        Field::ParallelCalls | Field::Verbosity => "model".into(),
    }
}

/// Whether a model wants to see that the calls of a conversation are its own.
pub(super) fn asks_for_proof(model: &str) -> bool {
    models::traits(model).third
}

/// The path and query Gemini is asked at. The model's name is one segment of it, whatever it contains:
/// it may come from a client.
pub(super) fn path(target: Target, stream: bool) -> String {
    let (kind, name) = match target.model.split_once('/') {
        Some((kind @ ("models" | "tunedModels"), name)) => (kind, name),
        _ => ("models", target.model),
    };
    let mut path = format!("/v1beta/{kind}/");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => path.push(byte.into()),
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    // Without `alt=sse` a stream is one JSON array, written piece by piece.
    path + if stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" }
}

#[cfg(test)]
mod tests {
    use super::super::Server;
    use super::*;

    #[test]
    fn a_model_is_one_segment_of_the_path_whatever_its_name() {
        for (model, stream, expected) in [
            ("gemini-2.5-flash", false, "/v1beta/models/gemini-2.5-flash:generateContent"),
            (
                "models/gemini-2.5-flash",
                true,
                "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
            ),
            ("tunedModels/mine", false, "/v1beta/tunedModels/mine:generateContent"),
            ("../files?x=#", false, "/v1beta/models/..%2Ffiles%3Fx%3D%23:generateContent"),
        ] {
            assert_eq!(path(Target { model, server: Server::Other }, stream), expected);
        }
    }
}
