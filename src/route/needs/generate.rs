//! Gemini's generateContent, as far as it says what it needs.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Asks, Calling, Needs, samples, some};

/// Gemini's generateContent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Generation<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, alias = "tool_config")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(alias = "generation_config")]
    generation_config: Option<GenerationConfig>,
    #[serde(borrow)]
    contents: Option<Vec<GeminiTurn<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    #[serde(borrow, alias = "function_calling_config")]
    function_calling_config: Option<Calling<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(alias = "response_schema")]
    response_schema: Option<IgnoredAny>,
    #[serde(alias = "response_json_schema")]
    response_json_schema: Option<IgnoredAny>,
    temperature: Option<f64>,
    #[serde(alias = "top_p")]
    top_p: Option<f64>,
    #[serde(alias = "top_k")]
    top_k: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct GeminiTurn<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    parts: Option<Vec<GeminiPart<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GeminiPart<'a> {
    #[serde(borrow, alias = "inline_data")]
    inline_data: Option<Blob<'a>>,
    #[serde(borrow, alias = "file_data")]
    file_data: Option<Blob<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    #[serde(borrow, alias = "mime_type")]
    mime_type: Option<Cow<'a, str>>,
}

impl Generation<'_> {
    fn blobs(&self) -> impl Iterator<Item = &Blob<'_>> {
        let parts = self.contents.iter().flatten().flat_map(|turn| turn.parts.iter().flatten());
        parts.filter_map(|part| part.inline_data.as_ref().or(part.file_data.as_ref()))
    }
}

impl Asks for Generation<'_> {
    fn needs(&self) -> Needs {
        let is_image = |blob: &Blob| blob.mime_type.as_ref().is_some_and(|kind| kind.starts_with("image/"));
        let set = self.generation_config.as_ref();
        let calling = self.tool_config.as_ref().and_then(|config| config.function_calling_config.as_ref());
        let last = self.contents.as_ref().and_then(|turns| turns.last());
        Needs {
            tools: some(self.tools),
            images: self.blobs().any(is_image),
            json_schema: set
                .is_some_and(|set| set.response_schema.is_some() || set.response_json_schema.is_some()),
            sampling: set.is_some_and(|set| samples(set.temperature, set.top_p, set.top_k)),
            forced_tools: calling.is_some_and(|calling| calling.mode.as_deref() == Some("ANY")),
            prefill: last.is_some_and(|turn| turn.role.as_deref() == Some("model")),
            ..Needs::default()
        }
    }

    fn has_media(&self) -> bool {
        self.blobs().next().is_some()
    }
}
