//! What is said in a request, read in one pass for whoever decides by it.
//!
//! Every API's conversation comes out in the same form. Texts are counted where they lie; only what
//! the user said last is copied.

mod lenient;
mod parse;

use super::endpoint::Endpoint;

/// What is said in a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// What the user said last, where the conversation ends with it.
    pub last: Option<LastMessage>,
    /// Characters of all texts, instructions included.
    pub characters: usize,
    /// Messages, instructions not counted.
    pub messages: usize,
    /// The temperature asked for.
    pub temperature: Option<f64>,
    /// The request brings tools.
    pub tools: bool,
    /// A message has an image.
    pub images: bool,
}

/// What the user said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastMessage {
    /// Its texts, one line each.
    pub text: String,
    /// Its characters.
    pub characters: usize,
    /// Nothing came with it: no image, no file, no result of a tool.
    pub alone: bool,
}

impl Content {
    /// Reads a body. What is not as the API has it is passed over: the provider judges it.
    ///
    /// The input of embeddings, searches and completions counts as what the user said last, unless
    /// there are several or it is in tokens.
    pub fn read(endpoint: Endpoint, body: &[u8]) -> Self {
        parse::read(endpoint, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(endpoint: Endpoint, body: &str) -> Option<(String, bool)> {
        Content::read(endpoint, body.as_bytes()).last.map(|last| (last.text, last.alone))
    }

    fn text(text: &str) -> Option<(String, bool)> {
        Some((text.to_owned(), true))
    }

    #[test]
    fn what_the_user_said_last_is_found_in_every_api() {
        for (endpoint, body) in [
            (
                Endpoint::Chat,
                r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"\u0061"}]}"#,
            ),
            (
                Endpoint::Chat,
                r#"{"messages":[{"content":[{"text":"a","type":"text"}],"role":"user"},{"role":"system","content":"s"}]}"#,
            ),
            (Endpoint::Completions, r#"{"prompt":"a"}"#),
            (Endpoint::Completions, r#"{"prompt":["a"]}"#),
            (Endpoint::Responses, r#"{"input":"a"}"#),
            (
                Endpoint::Responses,
                r#"{"instructions":"s","input":[{"role":"developer","content":"s"},{"role":"user","content":[{"type":"input_text","text":"a"}]}]}"#,
            ),
            (
                Endpoint::Messages,
                r#"{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"b"},{"role":"assistant","content":"c"},{"role":"user","content":"a"}]}"#,
            ),
            (
                Endpoint::Generate,
                r#"{"contents":[{"role":"model","parts":[{"text":"b"}]},{"parts":[{"text":"a"}]}],"systemInstruction":{"parts":[{"text":"s"}]}}"#,
            ),
            (Endpoint::Generate, r#"{"contents":{"parts":{"text":"a"}}}"#),
            (Endpoint::Embeddings, r#"{"input":"a"}"#),
            (Endpoint::EmbedContent, r#"{"content":{"parts":[{"text":"a"}]}}"#),
            (
                Endpoint::BatchEmbedContents,
                r#"{"requests":[{"model":"m","content":{"parts":[{"text":"a"}]}}]}"#,
            ),
            (Endpoint::VectorStoreSearch, r#"{"query":"a"}"#),
        ] {
            assert_eq!(last(endpoint, body), text("a"), "{body}");
        }
        let parts = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#;
        assert_eq!(last(Endpoint::Chat, parts), text("a\nb"));
    }

    #[test]
    fn a_conversation_that_does_not_end_with_the_user_has_no_last_message() {
        for (endpoint, body) in [
            (
                Endpoint::Chat,
                r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
            ),
            (
                Endpoint::Chat,
                r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[]},{"role":"tool","content":"b"}]}"#,
            ),
            (
                Endpoint::Messages,
                r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":"c"}]}]}"#,
            ),
            (
                Endpoint::Responses,
                r#"{"input":[{"role":"user","content":"a"},{"type":"function_call_output","output":"b"}]}"#,
            ),
            (Endpoint::Generate, r#"{"contents":[{"parts":[{"functionResponse":{"name":"f"}}]}]}"#),
            (Endpoint::Embeddings, r#"{"input":["a","b"]}"#),
            (Endpoint::Embeddings, r#"{"input":[1,2,3]}"#),
            (Endpoint::VectorStoreSearch, r#"{"query":["a","b"]}"#),
            (Endpoint::Completions, r#"{"prompt":[[1,2],[3]]}"#),
            (Endpoint::Moderations, r#"{"input":[{"type":"image_url","image_url":{"url":"x"}}]}"#),
            (Endpoint::Chat, r#"{"messages":7}"#),
            (Endpoint::Chat, r#"{"messages":[7,"x",null,{"role":"user"},{"role":7,"content":{}}]}"#),
            (Endpoint::Chat, "["),
        ] {
            assert_eq!(last(endpoint, body), None, "{body}");
        }
    }

    #[test]
    fn what_comes_with_a_text_is_told() {
        let image = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}]}"#;
        let read = Content::read(Endpoint::Chat, image.as_bytes());
        assert_eq!(read.last, Some(LastMessage { text: "a".to_owned(), characters: 1, alone: false }));
        assert!(read.images);
        let gemini =
            r#"{"contents":[{"parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"AA"}}]}]}"#;
        assert!(Content::read(Endpoint::Generate, gemini.as_bytes()).images);
        let sound = r#"{"contents":[{"parts":[{"text":"a"},{"inline_data":{"mime_type":"audio/wav","data":"AA"}}]}]}"#;
        let read = Content::read(Endpoint::Generate, sound.as_bytes());
        assert!(!read.images && !read.last.unwrap().alone);
        let result = r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image","source":{}}]},{"type":"text","text":"a"}]}]}"#;
        let read = Content::read(Endpoint::Messages, result.as_bytes());
        assert!(read.images && !read.last.unwrap().alone);
    }

    #[test]
    fn lengths_settings_and_tools_are_told() {
        let body = r#"{"temperature":1.5,"tools":[{"type":"function"}],"messages":[
            {"role":"system","content":"abc"},{"role":"user","content":"سلام"},{"role":"assistant","content":null},
            {"role":"user","content":[{"type":"text","text":"\ud83d\ude42"}]}]}"#;
        let read = Content::read(Endpoint::Chat, body.as_bytes());
        assert_eq!((read.characters, read.messages), (3 + 4 + 1, 3));
        assert_eq!((read.temperature, read.tools, read.images), (Some(1.5), true, false));
        let gemini = r#"{"generationConfig":{"temperature":0},"tools":[],"contents":[]}"#;
        let read = Content::read(Endpoint::Generate, gemini.as_bytes());
        assert_eq!((read.temperature, read.tools), (Some(0.0), false));
    }
}
