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

use serde_json::Value;

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

/// A request with [`UNPROVED`] in place of every proof, and as the proof of every first call of a step;
/// `None` where that changes nothing.
pub(super) fn unproved(body: &[u8]) -> Option<Vec<u8>> {
    let mut request: Value = serde_json::from_slice(body).ok()?;
    let mut changed = false;
    for content in request.get_mut("contents")?.as_array_mut()? {
        let parts = content.get_mut("parts").and_then(Value::as_array_mut);
        let mut called = false;
        for part in parts.into_iter().flatten().filter_map(Value::as_object_mut) {
            let calls = part.contains_key("functionCall") || part.contains_key("function_call");
            let first = calls && !called;
            called |= calls;
            // Google's JSON knows each name in both spellings.
            let proof =
                part.shift_remove("thought_signature").or_else(|| part.shift_remove("thoughtSignature"));
            if proof.is_some() || first {
                changed |= proof.is_none_or(|proof| proof != UNPROVED);
                part.insert("thoughtSignature".into(), UNPROVED.into());
            }
        }
    }
    changed.then(|| request.to_string().into_bytes())
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
    use serde_json::json;

    use super::super::Server;
    use super::*;

    #[test]
    fn every_proof_and_first_call_of_a_step_gets_the_stand_in_once() {
        let call = |proof: Option<&str>| {
            let mut part = json!({"functionCall": {"name": "f", "args": {"thoughtSignature": "mine"}}});
            part.as_object_mut()
                .unwrap()
                .extend(proof.map(|proof| ("thoughtSignature".to_owned(), proof.into())));
            part
        };
        let of =
            |parts: [Value; 3]| json!({"contents": [{"role": "user"}, {"role": "model", "parts": parts}]});
        let foreign = of([json!({"text": "a", "thought_signature": "eA=="}), call(Some("eQ==")), call(None)]);
        let expected =
            of([json!({"text": "a", "thoughtSignature": UNPROVED}), call(Some(UNPROVED)), call(None)]);
        for asked in [foreign, of([json!({"text": "a", "thoughtSignature": "eA=="}), call(None), call(None)])]
        {
            let made = unproved(asked.to_string().as_bytes()).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&made).unwrap(), expected);
            assert_eq!(unproved(&made), None, "there is nothing left to try");
        }
        assert_eq!(unproved(b"{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}"), None);
    }

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
