//! The most a request may consume, told from its body before anybody is asked.

use serde_json::Value;

use super::images;
use super::tokens::Tokenizer;

/// What a body says of what it will consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Input tokens.
    pub input: u64,
    /// The most output tokens that the body allows, of all its choices; `None` where it names no limit.
    pub output: Option<u64>,
    /// How many answers are asked for.
    pub choices: u64,
    /// How the input was counted.
    pub tokenizer: Tokenizer,
    /// Parts of it may be written to the provider's prompt cache, which costs more.
    pub caches: bool,
}

/// The members of a body that become input.
const INPUT: [&str; 16] = [
    "messages",
    "input",
    "prompt",
    "instructions",
    "system",
    "contents",
    "content",
    "requests",
    "systemInstruction",
    "system_instruction",
    "tools",
    "functions",
    "response_format",
    "text",
    "query",
    "suffix",
];
/// The names that the limit of output tokens goes by.
const OUTPUT: [&str; 3] = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
/// What stands around a message: its role and the marks of its beginning and end (OpenAI's cookbook,
/// "How to count tokens").
const PER_MESSAGE: u64 = 4;
/// What begins every answer.
const PRIMING: u64 = 3;
/// Not listed in the table of models.
const UNLISTED: u64 = 32_768;
/// Longer texts under these names are files and not prose.
const FILE: usize = 1024;

/// The table of the most output tokens by the beginning of a model's name.
const MODELS: &str = include_str!("models.csv");

impl Estimate {
    /// Reads a body that is asked of `model`. What is no JSON consumes as many tokens as its bytes
    /// come to. Files other than images have no published formula and count nothing.
    pub fn of(model: &str, body: &[u8]) -> Self {
        let tokenizer = Tokenizer::of(model);
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            let input = Tokenizer::Bytes.count(&String::from_utf8_lossy(body));
            return Self { input, output: None, choices: 1, tokenizer, caches: false };
        };
        let mut found = Found { model, text: String::new(), tokens: PRIMING, caches: false };
        for name in INPUT {
            if let Some(value) = members.get(name) {
                found.walk(name, value);
            }
        }
        let generation = members.get("generationConfig").or_else(|| members.get("generation_config"));
        let nested = |name: &str| generation.and_then(|config| config.get(name)).and_then(Value::as_u64);
        let given = OUTPUT.iter().find_map(|name| members.get(*name)?.as_u64());
        let choices = members.get("n").and_then(Value::as_u64).or_else(|| nested("candidateCount"));
        let choices = choices.unwrap_or(1).max(1);
        let most = given.or_else(|| nested("maxOutputTokens")).or_else(|| nested("max_output_tokens"));
        Self {
            input: found.tokens + tokenizer.count(&found.text),
            output: most.map(|most| most.saturating_mul(choices)),
            choices,
            tokenizer,
            caches: found.caches,
        }
    }

    /// The most output tokens: what the body allows, else `ceiling` or the most of the model, for each
    /// choice.
    pub fn most_output(&self, model: &str, ceiling: Option<u64>) -> u64 {
        let each = || ceiling.unwrap_or_else(|| most_of(model));
        self.output.unwrap_or_else(|| each().saturating_mul(self.choices))
    }
}

/// The most output tokens of one answer of a model.
fn most_of(model: &str) -> u64 {
    let name = model.rsplit('/').next().unwrap_or(model);
    let lines = MODELS.lines().filter(|line| !line.starts_with('#')).skip(1);
    let rows = lines.filter_map(|line| line.split_once(','));
    let fits = rows.filter(|(prefix, _)| name.starts_with(prefix));
    let longest = fits.max_by_key(|(prefix, _)| prefix.len());
    longest.and_then(|(_, most)| most.parse().ok()).unwrap_or(UNLISTED)
}

/// What was found in a body so far.
struct Found<'m> {
    model: &'m str,
    text: String,
    tokens: u64,
    caches: bool,
}

impl Found<'_> {
    fn walk(&mut self, name: &str, value: &Value) {
        match value {
            Value::String(text) => self.string(name, text),
            Value::Array(items) => items.iter().for_each(|item| self.walk(name, item)),
            // Input may be given as token ids.
            Value::Number(_) if matches!(name, "input" | "prompt") => self.tokens += 1,
            Value::Number(_) | Value::Bool(_) | Value::Null => {}
            Value::Object(_) if matches!(name, "tools" | "functions" | "response_format") => {
                // A schema is shown to the model in some form of its own; about as long as this.
                self.text.push_str(&value.to_string());
            }
            Value::Object(members) => self.object(members),
        }
    }

    fn object(&mut self, members: &serde_json::Map<String, Value>) {
        if members.contains_key("role") {
            self.tokens += PER_MESSAGE;
        }
        self.caches |= members.contains_key("cache_control");
        let low = members.get("detail").and_then(Value::as_str) == Some("low");
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        // Anthropic's source and Gemini's inlineData: the data beside its type.
        let kind = text("media_type").or_else(|| text("mimeType")).or_else(|| text("mime_type"));
        if kind.is_some_and(|kind| kind.starts_with("image/")) {
            let size = text("data").and_then(images::size_of);
            self.tokens += images::tokens(self.model, low, size);
            return;
        }
        for (name, value) in members {
            match (name.as_str(), value) {
                ("url" | "image_url", Value::String(url)) => self.image(url, low),
                ("type" | "role" | "id" | "detail" | "cache_control" | "tool_call_id" | "tool_use_id", _) => {
                }
                (name, value) => self.walk(name, value),
            }
        }
    }

    fn image(&mut self, url: &str, low: bool) {
        let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        let size = data.and_then(|(_, data)| images::size_of(data));
        self.tokens += images::tokens(self.model, low, size);
    }

    fn string(&mut self, name: &str, text: &str) {
        let file =
            matches!(name, "data" | "file_data" | "encrypted_content" | "signature") && text.len() > FILE;
        if !file {
            self.text.push_str(text);
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(model: &str, body: &str) -> Estimate {
        Estimate::of(model, body.as_bytes())
    }

    #[test]
    fn a_chat_is_its_texts_and_a_little_for_each_message() {
        let body = r#"{"model":"gpt-4o","messages":[{"role":"system","content":"You are kind."},
            {"role":"user","content":[{"type":"text","text":"hello world"}]}],"user":"somebody","seed":7}"#;
        // "You"," are"," kind",".\n" and "hello"," world","\n", 4 for each message and 3 for the answer.
        assert_eq!(estimate("gpt-4o", body).input, 4 + 3 + 2 * PER_MESSAGE + PRIMING);
        assert_eq!(estimate("gpt-4o", body).output, None);
    }

    #[test]
    fn output_is_what_the_body_allows_or_the_most_of_the_model() {
        let most = |model, rest: &str| estimate(model, &format!(r#"{{"messages":[]{rest}}}"#));
        assert_eq!(most("gpt-4o", r#","max_tokens":100,"n":3"#).most_output("gpt-4o", None), 300);
        assert_eq!(most("gpt-4o", r#","max_completion_tokens":7"#).most_output("gpt-4o", Some(9)), 7);
        assert_eq!(most("gpt-4o", "").most_output("gpt-4o-2024-08-06", None), 16_384);
        assert_eq!(most("gpt-4o", r#","n":2"#).most_output("gpt-4o", Some(500)), 1000);
        assert_eq!(most("claude-opus-4-5", "").most_output("anthropic/claude-opus-4-5", None), 64_000);
        assert_eq!(most("llama", "").most_output("llama", None), UNLISTED);
        let gemini = r#"{"contents":[],"generationConfig":{"maxOutputTokens":50,"candidateCount":2}}"#;
        assert_eq!(estimate("gemini-2.5-pro", gemini).most_output("gemini-2.5-pro", None), 100);
    }

    #[test]
    fn images_count_by_their_formula_and_token_ids_as_they_are() {
        let image = r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a/b.png","detail":"low"}}]}]}"#;
        assert_eq!(estimate("gpt-4o", image).input, 85 + PER_MESSAGE + PRIMING);
        let source = r#"{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}"#;
        assert_eq!(estimate("claude-sonnet-4-5", source).input, 1600 + PER_MESSAGE + PRIMING);
        assert_eq!(estimate("text-embedding-3-small", r#"{"input":[[1,2,3],[4]]}"#).input, 4 + PRIMING);
    }

    #[test]
    fn whatever_the_body_is_there_is_an_estimate() {
        for body in [
            "",
            "[]",
            "{",
            "\u{0}",
            r#"{"messages":7,"n":0,"max_tokens":-1}"#,
            r#"{"n":18446744073709551615,"max_tokens":9}"#,
        ] {
            let estimate = estimate("gpt-4o", body);
            assert!(estimate.choices >= 1 && estimate.most_output("gpt-4o", None) >= 1);
        }
    }
}
