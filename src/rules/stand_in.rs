//! An embedding of another text: the same request, each of its inputs replaced.

use serde_json::{Value, json};

use crate::json::{elements, member_span, with_member};
use crate::request::endpoint::Endpoint;

/// The body that asks for the vector of `text` in place of every input; `None` where it has none.
pub fn asking_for(endpoint: Endpoint, body: &[u8], text: &str) -> Option<Vec<u8>> {
    let content = json!({"parts": [{"text": text}]});
    match endpoint {
        Endpoint::Embeddings => {
            let span = member_span(body, "input")?;
            let count = inputs(&body[span.value]);
            let input = count.map_or_else(|| json!(text), |count| vec![json!(text); count].into());
            with_member(body, "input", input.to_string().as_bytes())
        }
        Endpoint::EmbedContent => with_member(body, "content", content.to_string().as_bytes()),
        Endpoint::BatchEmbedContents => {
            let span = member_span(body, "requests")?;
            let requests = &body[span.value];
            let each = elements(requests)?.into_iter();
            let each = each.map(|at| with_member(&requests[at], "content", content.to_string().as_bytes()));
            let each = each.collect::<Option<Vec<_>>>()?;
            with_member(body, "requests", &[b"[", each.join(&b","[..]).as_slice(), b"]"].concat())
        }
        _ => None,
    }
}

/// How many inputs an array has; `None` where the input is a single one, a text or a row of tokens.
fn inputs(input: &[u8]) -> Option<usize> {
    let all: Vec<Value> = serde_json::from_slice(input).ok()?;
    let tokens = all.first().is_none_or(Value::is_number);
    (!tokens).then_some(all.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_is_replaced_and_their_number_stays() {
        let asking = |endpoint, body: &str| {
            String::from_utf8(asking_for(endpoint, body.as_bytes(), "x").unwrap()).unwrap()
        };
        for (input, replaced) in [
            (r#""a""#, r#""x""#),
            (r#"["a","b"]"#, r#"["x","x"]"#),
            ("[1,2]", r#""x""#),
            ("[[1,2],[3]]", r#"["x","x"]"#),
        ] {
            assert_eq!(
                asking(Endpoint::Embeddings, &format!(r#"{{"model":"m","input":{input}}}"#)),
                format!(r#"{{"model":"m","input":{replaced}}}"#)
            );
        }
        assert_eq!(
            asking(Endpoint::BatchEmbedContents, r#"{"requests":[{"model":"m","content":{"parts":[]}}]}"#),
            r#"{"requests":[{"model":"m","content":{"parts":[{"text":"x"}]}}]}"#
        );
        assert_eq!(asking(Endpoint::EmbedContent, "{}"), r#"{"content":{"parts":[{"text":"x"}]}}"#);
        assert_eq!(asking_for(Endpoint::Chat, b"{}", "x"), None);
    }
}
